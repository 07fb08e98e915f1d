// Whether chains converged, and what their draws are worth: R-hat, effective sample sizes, Monte-Carlo errors.
#pragma once

#include <cstdint>
#include <string>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// Of one quantity along several chains, after Vehtari et al. 2021 ("Rank-normalization, folding, and localization: an improved
/// R-hat"), with the same arithmetic as ArviZ and R's posterior package, which the tests hold it against. Chains with a draw that is
/// not finite are counted and left out.
struct Convergence {
  std::int64_t n_chains = 0;     ///< those that took part
  std::int64_t n_draws = 0;      ///< of each
  std::int64_t n_spoiled = 0;    ///< chains left out: a draw of theirs is not finite
  std::int64_t n_stuck = 0;      ///< chains whose draws are all the same number, where there are two draws or more
  std::int64_t n_duplicate = 0;  ///< chains that repeat another one bit for bit, where there are two draws or more
  double mean = 0.0;
  double deviation = 0.0;  ///< divisor n - 1, over all draws
  double r_hat = 0.0;      ///< the larger one of rank-normalised split R-hat and its folded form (there, eq. 13 and 14)
  double ess_bulk = 0.0;   ///< effective draws for the middle of the law: of rank-normalised split chains
  double ess_tail = 0.0;   ///< ... for the 5 % and 95 % quantiles, the smaller one
  double ess_mean = 0.0;   ///< ... for the mean: of split chains as they are
  double mcse_mean = 0.0;  ///< Monte-Carlo standard error of the mean, `deviation / sqrt(ess_mean)`
  double nested_rhat = 0.0;  ///< as `nested_r_hat`, chains grouped in up to 16 groups of neighbours
};

/// `draws` `[n_chains, n_draws]`. With fewer than four draws a chain, R-hat and the ESS by autocorrelation are NaN, since they cannot be
/// had; `nested_rhat` works from one draw a chain on. A law without spread has no effective draws: ESS 0 (ArviZ says: all of
/// them), R-hat NaN.
Convergence convergence(MatrixView<const float> draws);

/// Rank-normalised split R-hat of chains `[n_chains, n_draws]` of finite values; NaN with fewer than four draws, or without spread.
double rank_r_hat(MatrixView<const float> draws);

/// Effective sample size of chains as they are, by Geyer's initial monotone sequence over all chains (Vehtari et al. 2021, eq. 10): of
/// `n_chains * n_draws` draws, at most that times log10 of that. Not split, not ranked. 0 without spread, NaN below two draws.
double effective_sample_size(MatrixView<const double> draws);

/// Nested R-hat (Margossian et al. 2024): chains `[n_chains, n_draws]` in `n_groups` groups of neighbours (a remainder is left out), for
/// many short chains, one draw each included. Chains of a group should have started from one place, or from neighbouring ones, else what the start
/// left behind is seen only as far as groups differ. NaN without spread. Throws `Error` unless there are two groups of two chains.
double nested_r_hat(MatrixView<const float> draws, std::int64_t n_groups);

/// What is wrong by the usual thresholds (R-hat above 1.01, fewer than 400 effective draws, stuck, duplicate or spoiled chains), one clause
/// after another; empty where nothing is.
std::string concerns(const Convergence& c);

}  // namespace tarn
