// How probable a hierarchical model finds data: log p(x_0) by annealed importance sampling over the latents.
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn {

/// How the latents are brought from the prior to the posterior.
struct Annealing {
  std::int64_t n_temperatures = 1000;  ///< K >= 2: intermediate laws, the posterior the last of them
  std::int64_t chains_per_datum = 32;  ///< M >= 2 importance weights a datum
  int leapfrog_steps = 4;              ///< >= 1, of each Hamiltonian move
  double wanted_acceptance = 0.8;      ///< in (0, 1): the step of each temperature is set for it by a pilot run
};

/// Estimates of `log p(x_0)` in nats, one a datum.
struct LikelihoodEstimate {
  std::vector<double>
      log_likelihood;  ///< `[n_data]` log of the mean weight; minus infinity outside the family's domain
  std::vector<double> standard_error;  ///< `[n_data]` of that log, from the spread of the weights
  std::vector<double>
      effective_chains;     ///< `[n_data]` `(sum w)^2 / sum w^2`, 1 to M: few mean that the error is not to be trusted
  double mean = 0.0;        ///< over the data
  double mean_error = 0.0;  ///< standard error of that mean as an estimate for these data
  double acceptance = 0.0;  ///< share of moves accepted
};

/// Annealed importance sampling (Neal 2001) of the data `x_0` `[n_data, n_0]` through the laws
///     p_k(x_1..x_L) ~ p(x_1..x_L) p(x_0 | x_1)^{beta_k},   beta_k = (k/K)^{10/3}, k = 0..K,
/// from exact draws of the prior; between two temperatures one move of Hamiltonian Monte Carlo with an acceptance test, so that each law is kept
/// exactly (reflected at 0 for `rectified` latents). The mean weight is unbiased for p(x_0); its log is low by about half the squared
/// standard error. Chain m of datum i has the noise of chain `i * M + m` (`Stream::annealing`, and `Stream::ancestral` at draw 1 for its start).
/// In double; the result does not depend on the number of threads. Throws `Error` for settings out of range, shapes that do not
/// fit, and data that are not finite.
LikelihoodEstimate annealed_log_likelihood(const HeeParameters& parameters, MatrixView<const float> x_0,
                                           const Annealing& annealing, std::uint64_t seed);

}  // namespace tarn
