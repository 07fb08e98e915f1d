// Two sets of points in one space, compared by distances that say what they can tell apart.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "tarn/core/matrix.hpp"
#include "tarn/evaluation/image_set.hpp"

namespace tarn {

/// Two disjoint random subsets of `n` rows each, drawn by (seed, replicate). Throws `Error` where 2 n exceeds the rows.
std::pair<Matrix<float>, Matrix<float>> disjoint_subsets(MatrixView<const float> rows, std::int64_t n,
                                                         std::uint64_t seed, std::uint64_t replicate);

/// `n` draws of the Gaussian with these moments, `[n, D]`.
Matrix<float> gaussian_draws(const GaussianMoments& moments, std::int64_t n, std::uint64_t seed);

/// A distance with what it is to be read against.
struct ReadDistance {
  double value = 0.0;  ///< draws against the real set; NaN where fewer than two draws are finite
  double gaussian =
      0.0;             ///< draws of one Gaussian with the real set's mean and covariance, as many, against the real set
  FrechetFloor floor;  ///< real against real
};

struct SetComparison {
  ReadDistance frechet;    ///< between the Gaussians fitted to either set: two moments only, so one Gaussian passes
  ReadDistance sliced_w2;  ///< sees the marginals' shapes along 64 directions too, so one Gaussian does not pass
};

/// `draws` `[n, D]` (rows that are not finite are left out) against `real` `[m, D]`, both in one space. Throws `Error` for
/// other shapes, and for fewer than four real rows.
SetComparison compare_sets(MatrixView<const float> draws, MatrixView<const float> real, std::uint64_t seed,
                           std::int64_t n_replicates = 5);

}  // namespace tarn
