// Distances between laws that are means over pairs of rows: energy distance and maximum mean discrepancy, as unbiased U-statistics.
#pragma once

#include <cstdint>
#include <span>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// Squared Euclidean distances within and between two sets of rows.
struct PairDistances {
  Matrix<float> xx;  ///< `[n, n]`, zero on the diagonal
  Matrix<float> yy;  ///< `[m, m]`
  Matrix<float> xy;  ///< `[n, m]`

  /// The distances of some of the rows, as if the sets had no others.
  PairDistances subset(std::span<const std::int64_t> x, std::span<const std::int64_t> y) const;
};

/// Of `x` `[n, D]` and `y` `[m, D]`, by products in float64 about the mean of `y`: exact to 1e-7 of the distance or 1e-15 of the squared
/// radius, whichever is larger. Threads share rows; the bits do not depend on their number. NaN rows give NaN distances. Throws `Error`
/// for other shapes and for more than 20000 rows on a side.
PairDistances squared_distances(MatrixView<const float> x, MatrixView<const float> y);

/// `2 E|X - Y| - E|X - X'| - E|Y - Y'|`, means over pairs of different rows, so without bias: about 0 for equal laws, of either sign
/// (Szekely and Rizzo 2013, equation 2.1). In units of the rows. NaN with fewer than two rows on a side.
double energy_distance(const PairDistances& distances);

/// Median Euclidean distance of two different rows of y: the usual bandwidth (Gretton et al. 2012, section 8). NaN below two rows.
double median_distance(const PairDistances& distances);

/// Squared maximum mean discrepancy for the mean of three Gaussian kernels,
///
///     k(x, y) = 1/3 sum_{c in {1/2, 1, 2}} exp(-|x - y|^2 / (2 (c h)^2)),   E k(X, X') + E k(Y, Y') - 2 E k(X, Y),
///
/// without bias (Gretton et al. 2012, equation 3): about 0 for equal laws, of either sign, at most 2. NaN with fewer than two rows on a
/// side. Throws `Error` unless h > 0.
double squared_mmd(const PairDistances& distances, double h);

}  // namespace tarn
