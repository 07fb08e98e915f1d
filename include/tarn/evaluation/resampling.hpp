// Confidence intervals by half-samples: the bootstrap that no statistic of pairs or neighbours minds.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// A statistic with a 95 % confidence interval. Both ends are NaN where there is none.
struct Interval {
  double value = 0.0, low = 0.0, high = 0.0;
};

/// Rows without NaN and infinity, in their order.
struct FiniteRows {
  Matrix<float> rows;
  std::int64_t n_not_finite = 0;
};
FiniteRows finite_rows(MatrixView<const float> rows);

/// `x` at these rows, `[indices.size(), D]`.
Matrix<float> gather_rows(MatrixView<const float> x, std::span<const std::int64_t> indices);

/// `n` of `n_rows` indices without replacement, in random order: drawn by (seed, set, replicate). Throws `Error` for more than there are, more than 2^26
/// rows, and a set from 2^14 up. Those below 8192 belong to `half_sample_intervals`.
std::vector<std::int64_t> random_subset(std::int64_t n, std::int64_t n_rows, std::uint64_t seed, std::uint64_t set,
                                        std::uint64_t replicate);

/// The rows of each set that one half-sample keeps.
using HalfSample = std::vector<std::vector<std::int64_t>>;

/// Intervals of several statistics of the same sets of independent rows. A resample keeps half of the rows of each set, drawn without
/// replacement (McCarthy 1969; Efron 1982, section 8.3; with n/2 of n kept, the delete-d jackknife of Shao and Wu 1989): the spread of
/// the resampled values around their own mean is that of the statistic at the full count around its expectation,
///
///     low = value - q_0.975(T* - mean T*),   high = value - q_0.025(T* - mean T*).
///
/// Rows are never doubled, which nearest neighbours and U-statistics would take for structure, and a bias that depends on the count (as
/// of Frechet distances) falls out: the interval is one for the expected value at this count. Where a statistic is degenerate (a squared
/// distance between equal laws) the spread comes out too large, by a factor of about 1.7 for U-statistics.
/// `n_rows` `[n_sets]`; a set of fewer than four rows leaves the intervals NaN, and so does a statistic that is NaN in any resample.
/// `statistics` is called from several threads; `sets` keeps the noise of several calls apart (below 128). Pure function of its
/// arguments for any number of threads.
std::vector<Interval> half_sample_intervals(const std::vector<double>& values, std::span<const std::int64_t> n_rows,
                                            std::uint64_t seed, std::uint64_t sets, std::int64_t n_resamples,
                                            const std::function<std::vector<double>(const HalfSample&)>& statistics);

}  // namespace tarn
