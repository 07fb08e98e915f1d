// How far draws on the line, or a learned score, are from a law: KL, 1-Wasserstein distance, score error, and the
// floors that exact draws would reach.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tarn/core/target.hpp"
#include "tarn/evaluation/law_1d.hpp"

namespace tarn {

/// An even histogram: `n_bins` bins from `low` to `high`.
struct Bins {
  std::int64_t n_bins = 60;
  double low = -3.0;
  double high = 3.0;
};

/// Counts of draws in bins. Nothing is dropped in silence: `n_draws` is the sum of all counts below.
struct Histogram {
  Bins bins;
  std::vector<std::int64_t> counts;  ///< `[n_bins]`; a draw at `high` belongs to the last bin
  std::int64_t n_draws = 0;
  std::int64_t n_inside = 0;      ///< in the bins
  std::int64_t n_outside = 0;     ///< finite, but below `low` or above `high`
  std::int64_t n_not_finite = 0;  ///< NaN or infinite

  double bin_width() const { return (bins.high - bins.low) / static_cast<double>(bins.n_bins); }
  /// Densities `[n_bins]`: share of all finite draws over bin width.
  std::vector<double> densities() const;
};

/// Throws `Error` unless `n_bins >= 1` and `low < high`.
Histogram histogram(std::span<const float> draws, const Bins& bins = {});

/// `KL(q || p)` of a histogram q against a law p, both taken given that a draw falls into the bins.
struct HistogramKl {
  double raw = 0.0;  ///< sum over occupied bins of q log(q / p); NaN without draws in the bins, inf where p has none
  double corrected = 0.0;       ///< raw - (K - 1) / (2 n), the mean of `raw` for n exact draws (to first order)
  std::int64_t n_possible = 0;  ///< K: bins to which the law gives a positive probability
  std::int64_t n_inside = 0;    ///< n
  double outside_share = 0.0;   ///< of the finite draws
  double outside_law = 0.0;     ///< what the law itself puts outside
  std::int64_t n_not_finite = 0;
};

HistogramKl histogram_kl(const Histogram& q, const Law1d& p);
/// The same for a law given by its distribution function.
HistogramKl histogram_kl(const Histogram& q, const std::function<double(double)>& cdf);

/// A distance over the finite draws, with the others counted.
struct SampleDistance {
  double value = 0.0;  ///< NaN where no draw is finite
  std::int64_t n_draws = 0;
  std::int64_t n_not_finite = 0;
};

/// `int |F_n - F|`, exact for the tabulated law.
SampleDistance wasserstein_1(std::span<const float> draws, const Law1d& law);
/// Between the empirical laws of two samples, of any two sizes.
SampleDistance wasserstein_1(std::span<const float> a, std::span<const float> b);

/// Even points from `low` to `high` at which scores are compared.
struct ScoreGrid {
  double low = -2.5;
  double high = 2.5;
  double step = 0.05;
  std::vector<double> points() const;
};

/// `sum_i w_i (s(x_i) - s*(x_i))^2` over the grid, `w_i` the law's density there, normalised to sum one.
double score_error_on_grid(const BatchFunction1d& score, const BatchFunction1d& true_score, const Law1d& law,
                           const ScoreGrid& grid = {});
/// `int p (s - s*)^2`, over the whole line.
double score_error(const BatchFunction1d& score, const BatchFunction1d& true_score, const Law1d& law);

/// The score of `target` smoothed by `sigma`. The target must outlive the function.
BatchFunction1d score_of(const Target& target, double sigma);
/// Wraps a float32 score (`x` `[n, 1]` in, `score` `[n, 1]` out).
BatchFunction1d from_float(std::function<void(MatrixView<const float> x, MatrixView<float> score)> score);

/// What exact draws give: mean and spread over replicates.
struct Floor {
  double mean = 0.0;
  double deviation = 0.0;  ///< standard deviation of a single replicate
  double largest = 0.0;
};

struct SamplingFloors {
  std::int64_t n_draws = 0;
  std::int64_t n_replicates = 0;
  Floor kl_raw, kl_corrected, w1;
};

/// Floors at `n_draws` exact draws of `x + sigma xi`, against the law of the same (`reference_sigma < 0`) or smoothed
/// by `reference_sigma`. Draws number 2^40 and up of `target` under `seed` are used, which no training set reaches.
SamplingFloors sampling_floors(const Target& target, double sigma, std::int64_t n_draws, const Bins& bins,
                               std::uint64_t seed, std::int64_t n_replicates = 20, double reference_sigma = -1.0);
/// The same by inverting the law's distribution function.
SamplingFloors sampling_floors(const Law1d& law, std::int64_t n_draws, const Bins& bins, std::uint64_t seed,
                               std::int64_t n_replicates = 20);

}  // namespace tarn
