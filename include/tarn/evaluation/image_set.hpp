// Judging a set of draws in many dimensions against the data: how many left it, and the Frechet distance.
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// Draws farther out than the data go.
struct NormCount {
  std::int64_t n_draws = 0;
  std::int64_t n_beyond = 0;      ///< finite, norm above `bound`
  std::int64_t n_not_finite = 0;  ///< rows with a NaN or an infinity: quarantined chains
  double bound = 0.0;             ///< factor * largest norm of the data
  double largest = 0.0;           ///< largest norm among the finite draws
  /// Of all draws: beyond the bound or not finite.
  double share_lost() const {
    return n_draws == 0 ? 0.0 : static_cast<double>(n_beyond + n_not_finite) / static_cast<double>(n_draws);
  }
};

/// Largest Euclidean norm of the rows. Throws `Error` where one is not finite.
double largest_norm(MatrixView<const float> data);
NormCount count_beyond(MatrixView<const float> draws, double largest_data_norm, double factor = 1.2);

/// Mean and covariance (divisor n - 1) in float64, gathered block by block; rows that are not finite are counted and
/// left out.
class GaussianMoments {
 public:
  explicit GaussianMoments(std::int64_t dimension);
  /// `rows` `[n, D]`.
  void add(MatrixView<const float> rows);

  std::int64_t dimension() const { return dimension_; }
  std::int64_t n() const { return n_; }
  std::int64_t n_not_finite() const { return n_not_finite_; }
  std::vector<double> mean() const;
  /// `[D, D]`. Throws `Error` with fewer than two rows.
  Matrix<double> covariance() const;

 private:
  std::int64_t dimension_, n_ = 0, n_not_finite_ = 0;
  std::vector<double> shift_;  // the first block's mean, so that nothing cancels
  std::vector<double> sum_;    // of x - shift
  Matrix<double> products_;    // sum of (x - shift)(x - shift)^T, lower triangle
};

/// `|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a^{1/2} C_b C_a^{1/2})^{1/2})`: the squared 2-Wasserstein distance of the two
/// Gaussians with these moments (Dowson and Landau 1982; "FID" where the space is Inception's). It sees two moments
/// only. Throws `Error` where the dimensions differ or a set has fewer than two rows.
double frechet_distance(const GaussianMoments& a, const GaussianMoments& b);

/// Frechet distances of many small sets to one reference, whose square root is taken once.
class FrechetReference {
 public:
  /// Throws `Error` with fewer than two rows in the reference.
  explicit FrechetReference(const GaussianMoments& reference);
  /// Of finite rows `[n, D]`, as `frechet_distance`; with n < D by products of the rows, in order n D^2. NaN with fewer than two rows.
  /// Throws `Error` for another D.
  double operator()(MatrixView<const float> rows) const;

 private:
  std::vector<double> mean_;
  Matrix<double> root_;  // [D, D], R with R^T R the covariance
  double trace_ = 0.0;
};

struct FrechetFloor {
  double mean = 0.0;
  double deviation = 0.0;
  std::int64_t n = 0;  ///< rows on either side: the count asked for, or half the set where that is smaller
  std::int64_t n_replicates = 0;
};

/// What real data reach against real data: two disjoint random subsets of `n` rows each. Throws `Error` with fewer than
/// four rows.
FrechetFloor frechet_floor(MatrixView<const float> real, std::int64_t n, std::uint64_t seed,
                           std::int64_t n_replicates = 5);

}  // namespace tarn
