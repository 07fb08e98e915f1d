// Judging draws in the plane, and by their projections in any dimension: what the marginals along the axes do not see.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/core/target.hpp"
#include "tarn/evaluation/resampling.hpp"

namespace tarn {

/// `x . direction` for each row of `draws` `[n, D]`; `direction` `[D]`. NaN rows give NaN.
std::vector<float> projection(MatrixView<const float> draws, std::span<const double> direction);

/// Draws `first ...` of `x + sigma xi`, x from `target`, `[n, D]`: numbers above 2^40, which no training set reaches.
Matrix<float> smoothed_draws(const Target& target, double sigma, std::int64_t n, std::uint64_t seed,
                             std::uint64_t first);

/// 2-Wasserstein distance of the empirical laws of two samples, of any two sizes; values that are not finite are left out.
/// NaN where none are left.
double wasserstein_2(std::span<const float> a, std::span<const float> b);

/// 1-Wasserstein distances to one reference sample along given directions, which is sorted once.
class MarginalDistance {
 public:
  /// `directions` `[n][D]`. Throws `Error` without rows, and for a direction of another length.
  MarginalDistance(MatrixView<const float> reference, std::vector<std::vector<double>> directions);
  /// Along direction `k`; NaN rows are left out, and NaN is what remains where there are no others.
  double operator()(MatrixView<const float> draws, std::size_t k) const;
  std::size_t n_directions() const { return directions_.size(); }
  const std::vector<double>& direction(std::size_t k) const { return directions_[k]; }
  /// The reference along direction `k`, ascending.
  const std::vector<float>& sorted(std::size_t k) const { return sorted_[k]; }

 private:
  std::vector<std::vector<double>> directions_;
  std::vector<std::vector<float>> sorted_;
};

/// Distances to one reference sample along fixed directions, which is sorted once.
class SlicedDistance {
 public:
  /// In the plane `n_directions` even angles, else directions drawn uniformly on the sphere under `seed`. Throws `Error`
  /// without rows or directions.
  SlicedDistance(MatrixView<const float> reference, std::int64_t n_directions, std::uint64_t seed);
  /// Sliced 2-Wasserstein distance (Rabin et al. 2012): the root of the mean over directions of the squared 2-Wasserstein
  /// distance of the projections.
  double operator()(MatrixView<const float> draws) const;
  /// The same from the draws' projections on the directions, each ascending and finite: `[n_directions][n]`.
  double from_sorted(const std::vector<std::vector<float>>& projections) const;
  const std::vector<std::vector<double>>& directions() const { return directions_; }

 private:
  std::vector<std::vector<double>> directions_;
  std::vector<std::vector<float>> sorted_;
};

/// Where draws in the plane lie, seen from a centre: shares of the finite draws beyond `core_radius` in the four sectors of
/// 90 degrees around +45, +135, -135 and -45 degrees, where a cross has its arms.
struct ArmOccupancy {
  std::array<double, 4> share{};  ///< of all finite draws; they and `core` sum to 1
  double core = 0.0;              ///< within the radius, where the arms run together
  std::int64_t n = 0;             ///< finite draws
  std::int64_t n_not_finite = 0;
};
/// `draws` `[n, 2]`, `centre` `[2]`. Throws `Error` for other than two columns.
ArmOccupancy arm_occupancy(MatrixView<const float> draws, std::span<const double> centre, double core_radius);

/// Counts on an even grid of the plane, as densities over all finite draws.
struct PlanarHistogram {
  std::int64_t n = 0;  ///< bins a side
  double low[2] = {0.0, 0.0}, high[2] = {0.0, 0.0};
  std::vector<double> densities;  ///< `[n * n]`, x_0 running fastest
  std::int64_t n_inside = 0, n_outside = 0, n_not_finite = 0;
};
/// Throws `Error` for other than two columns, no bins or an empty range.
PlanarHistogram planar_histogram(MatrixView<const float> draws, std::int64_t n_bins, const double (&low)[2],
                                 const double (&high)[2]);

/// Excess kurtosis of the finite values with its 95 % bootstrap percentile interval (Efron 1979) from `n_resamples` resamples; `which` keeps the noise of several
/// intervals apart. For heavy tails the interval is too short: the kurtosis of a sample is carried by its few largest values.
Interval excess_kurtosis_interval(std::span<const float> values, std::uint64_t seed, std::uint64_t which,
                                  std::int64_t n_resamples = 200);

}  // namespace tarn
