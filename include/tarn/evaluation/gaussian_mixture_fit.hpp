// A Gaussian mixture fitted to data: what draws of a network are to be read against, beside a single Gaussian.
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn {

struct MixtureFitSettings {
  std::int64_t n_components = 100;
  std::int64_t n_neighbours =
      8;  ///< components that a row may belong to: those nearest its best; K or more: all, which is plain EM
  std::int64_t n_start = 5;        ///< rounds of k-means before
  std::int64_t n_iterations = 10;  ///< of EM at most
  double tolerance = 1e-3;         ///< EM ends where the mean log likelihood of a row grows by less
  double floor = 1e-4;             ///< added to every variance, times the mean variance of the data
};

/// `sum_k weight_k N(mean_k, L_k L_k^T)`.
struct MixtureFit {
  std::vector<double> weights;          ///< `[K]`, sum 1
  Matrix<double> means;                 ///< `[K, D]`
  std::vector<Matrix<double>> factors;  ///< `[K]` of `[D, D]`, lower triangular: L_k
  double mean_log_likelihood =
      0.0;  ///< of a row, in the last expectation step (a lower bound where neighbours are few)
  std::int64_t n_rows = 0, n_iterations = 0;

  std::int64_t dimension() const { return means.cols(); }
};

/// Maximum likelihood with full covariances by expectation maximisation (Dempster, Laird and Rubin 1977) from k-means++ (Arthur and
/// Vassilvitskii 2007) and some rounds of k-means. With fewer neighbours than components the expectation is truncated to the components
/// whose means are nearest to that of the row's best one (as in Hirschberger, Forster and Luecke 2022), which costs K / n_neighbours times
/// less: in many dimensions a row belongs to one or two components anyway. Whitening in float32, sums in float64; a pure function of its
/// arguments for any number of threads. `rows` `[n, D]` are finite. Throws `Error` for settings out of range, fewer rows than components
/// and rows that are all the same.
MixtureFit fit_gaussian_mixture(MatrixView<const float> rows, const MixtureFitSettings& settings, std::uint64_t seed);

/// Logarithm of the density at each row, all components and float64 throughout. `rows` `[n, D]`.
std::vector<double> log_density(const MixtureFit& fit, MatrixView<const float> rows);

/// `n` draws `[n, D]`: a draw is the same whatever their number.
Matrix<float> mixture_draws(const MixtureFit& fit, std::int64_t n, std::uint64_t seed);

}  // namespace tarn
