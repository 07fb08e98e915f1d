// How many draws of a chain count as one: the integrated autocorrelation time.
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// Two-sided integrated autocorrelation time `1 + 2 sum_{k >= 1} rho_k`, in draws: the variance of a mean over n draws of a
/// chain is that of n / time independent ones. Times the spacing of the draws it is `2 int_0^inf rho dt`.
struct AutocorrelationTime {
  double time = 0.0;            ///< NaN with fewer than two draws a chain, or without spread
  double standard_error = 0.0;  ///< `time sqrt(2 (2 window + 1) / n)`, n draws in all (Sokal 1997, eq. 3.19)
  std::int64_t window = 0;      ///< lags summed
  bool settled = false;         ///< false: the chains are too short for the window, and the time may be too small
  std::int64_t n_chains = 0;    ///< those without a draw that is not finite
  std::int64_t n_spoiled = 0;   ///< the others, left out
};

/// Of stationary chains of one law, `draws` `[n_chains, n_draws]`: mean and autocovariance are taken over all chains, so that
/// short chains are not biased where they are many. The sum ends by Sokal's automatic window (Sokal 1997, "Monte Carlo
/// methods in statistical mechanics"): at the first lag that reaches `window_factor` times the largest partial sum so far;
/// the largest, not the last, since irreversible chains have autocorrelations that swing. Throws `Error` unless
/// `window_factor > 0`.
AutocorrelationTime integrated_autocorrelation_time(MatrixView<const float> draws, double window_factor = 5.0);

/// The autocorrelation itself at lags 0 to `max_lag` (at most n_draws - 1), of the same chains by the same mean; empty without spread
/// or with fewer than two draws.
std::vector<double> autocorrelation(MatrixView<const float> draws, std::int64_t max_lag);

}  // namespace tarn
