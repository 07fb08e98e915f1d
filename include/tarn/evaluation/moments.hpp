// Moments and quantiles of draws, with non-finite values counted instead of averaged.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn {

struct Moments {
  std::int64_t n = 0;             ///< finite values
  std::int64_t n_not_finite = 0;  ///< the others
  double mean = 0.0;              ///< NaN with no finite value
  double variance = 0.0;          ///< divisor n - 1; NaN below two values
  double skewness = 0.0;          ///< `m3 / m2^1.5`; NaN without spread
  double excess_kurtosis = 0.0;   ///< `m4 / m2^2 - 3`; NaN without spread
  double smallest = 0.0;          ///< of the finite values; NaN where there is none
  double largest = 0.0;
};

Moments moments(std::span<const float> values);
/// Of each column of `draws` `[n, D]`.
std::vector<Moments> column_moments(MatrixView<const float> draws);
/// Column `j`, contiguous.
std::vector<float> column(MatrixView<const float> draws, std::int64_t j);

/// Quantiles at `probabilities` (in [0, 1]) of the finite values, linear between order statistics (type 7 of Hyndman
/// and Fan 1996, the default of R and NumPy). NaN where there are none. Throws `Error` for a probability out of range.
std::vector<double> quantiles(std::span<const float> values, std::span<const double> probabilities);

/// One quantity along several independent chains.
struct ChainsSummary {
  std::vector<Moments> chains;  ///< `[n_chains]`
  double mean = 0.0;            ///< of the means of the chains that have finite draws
  double standard_error = 0.0;  ///< of that mean, from the spread between chains: right whatever the autocorrelation
  std::int64_t n_spoiled = 0;   ///< chains with any non-finite draw
};
/// `draws` `[n_chains, n_draws]`.
ChainsSummary summarise_chains(MatrixView<const float> draws);

}  // namespace tarn
