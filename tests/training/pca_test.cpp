// PCA against known covariances, on both ways of computing it, and for any number of threads.
#include "tarn/training/pca.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

// Rows `z diag(spread) R^T + offset` with R a product of plane rotations; returns R's columns too.
struct Sample {
  Matrix<float> x;
  Matrix<double> R;
};
Sample sample(std::int64_t n, std::int64_t P, const std::vector<double>& spread) {
  Sample s{Matrix<float>(n, P), Matrix<double>(P, P)};
  for (std::int64_t j = 0; j < P; ++j) s.R(j, j) = 1.0;
  for (std::int64_t k = 0; k + 1 < P; ++k) {
    const double c = std::cos(0.3 + 0.2 * static_cast<double>(k)), d = std::sin(0.3 + 0.2 * static_cast<double>(k));
    for (std::int64_t i = 0; i < P; ++i) {
      const double a = s.R(i, k), b = s.R(i, k + 1);
      s.R(i, k) = c * a - d * b;
      s.R(i, k + 1) = d * a + c * b;
    }
  }
  Matrix<float> z(n, P);
  fill_normals(3, Stream::evaluation, 0, 0, 1, z);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < P; ++j) {
      double sum = 5.0 + static_cast<double>(j % 7);
      for (std::int64_t k = 0; k < P; ++k) sum += s.R(j, k) * spread[static_cast<std::size_t>(k)] * z(i, k);
      s.x(i, j) = static_cast<float>(sum);
    }
  }
  return s;
}

double mean_square_difference(const Matrix<float>& a, const Matrix<float>& b) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a.data()[i]) - b.data()[i], 2);
  return sum / static_cast<double>(a.rows());
}

TEST(Pca, FindsKnownDirections) {
  const std::vector<double> spread = {1.0, 8.0, 0.5, 3.0, 0.1};
  const auto [x, R] = sample(20000, 5, spread);
  const auto filter = fit_pca(x, 3);
  const int expected[3] = {1, 3, 0};
  for (int d = 0; d < 3; ++d) {
    // Standard errors: sqrt(2/n) of a variance, a few times 1/sqrt(n) of a direction; 5.5 of them, false alarm 4e-8
    // each.
    const double variance = std::pow(spread[static_cast<std::size_t>(expected[d])], 2);
    EXPECT_NEAR(filter.variances()[static_cast<std::size_t>(d)], variance, 5.5 * variance * std::sqrt(2.0 / 20000));
    double along = 0.0, largest = 0.0;
    for (std::int64_t j = 0; j < 5; ++j) {
      along += filter.V()(j, d) * R(j, expected[d]);
      if (std::abs(filter.V()(j, d)) > std::abs(largest)) largest = filter.V()(j, d);
    }
    EXPECT_GT(std::abs(along), 1.0 - 1e-3);
    EXPECT_GT(largest, 0.0f);
  }
}

void expect_pca(const Matrix<float>& x, std::int64_t n_components, double tolerance) {
  const auto filter = fit_pca(x, n_components);
  const auto P = x.cols();
  // Orthonormal columns.
  for (std::int64_t a = 0; a < n_components; ++a) {
    for (std::int64_t b = 0; b <= a; ++b) {
      double dot = 0.0;
      for (std::int64_t j = 0; j < P; ++j) dot += static_cast<double>(filter.V()(j, a)) * filter.V()(j, b);
      ASSERT_NEAR(dot, a == b ? 1.0 : 0.0, 1e-6);
    }
  }
  // Eigenvectors: outputs are uncorrelated, with the stated variances and no mean.
  const auto y = filter.apply(x);
  for (std::int64_t a = 0; a < n_components; a += 3) {
    double mean = 0.0;
    for (std::int64_t i = 0; i < y.rows(); ++i) mean += y(i, a) / static_cast<double>(y.rows());
    EXPECT_NEAR(mean, 0.0, tolerance);
    for (std::int64_t b = 0; b < n_components; b += 2) {
      double covariance = 0.0;
      for (std::int64_t i = 0; i < y.rows(); ++i) covariance += static_cast<double>(y(i, a)) * y(i, b);
      EXPECT_NEAR(covariance / static_cast<double>(y.rows()),
                  a == b ? filter.variances()[static_cast<std::size_t>(a)] : 0.0, tolerance * filter.variances()[0]);
    }
  }
  for (std::size_t d = 1; d < filter.variances().size(); ++d)
    EXPECT_LE(filter.variances()[d], filter.variances()[d - 1]);
  // What is lost is the sum of the eigenvalues left out.
  double kept = 0.0;
  for (const double v : filter.variances()) kept += v;
  EXPECT_NEAR(mean_square_difference(filter.invert(y), x), filter.total_variance() - kept,
              tolerance * filter.total_variance());
  EXPECT_NEAR(filter.explained_variance_ratio(), kept / filter.total_variance(), 1e-12);
}

std::vector<double> falling(std::int64_t P) {
  std::vector<double> spread;
  for (std::int64_t k = 0; k < P; ++k) spread.push_back(2.0 / (1.0 + 0.1 * static_cast<double>(k)));
  return spread;
}

TEST(Pca, ReconstructionErrorIsTheDroppedVariance) {
  for (const std::int64_t P : {5, 130, 257}) {
    const auto x = sample(2500, P, falling(P)).x;  // more than one tile of rows, one to three blocks
    expect_pca(x, 4, 1e-5);
    expect_pca(x, P / 2, 1e-5);
  }
}

TEST(Pca, FewerRowsThanFeatures) {
  const auto x = sample(60, 2300, falling(2300)).x;  // two tiles of features
  expect_pca(x, 10, 1e-5);
  expect_pca(x, 59, 1e-5);
}

TEST(Pca, BothWaysAgree) {
  // A square sample takes the covariance; one feature more of zeros takes the products of rows.
  const auto x = sample(100, 100, falling(100)).x;
  Matrix<float> wider(100, 101);
  for (std::int64_t i = 0; i < 100; ++i) std::copy_n(x.row(i), 100, wider.row(i));
  const auto a = fit_pca(x, 20), b = fit_pca(wider, 20);
  for (std::int64_t d = 0; d < 20; ++d) {
    EXPECT_NEAR(a.variances()[static_cast<std::size_t>(d)], b.variances()[static_cast<std::size_t>(d)], 1e-9);
    for (std::int64_t j = 0; j < 100; ++j) EXPECT_NEAR(a.V()(j, d), b.V()(j, d), 1e-5);
  }
  EXPECT_NEAR(a.total_variance(), b.total_variance(), 1e-9);
}

TEST(Pca, FullRankIsInvertible) {
  const auto x = sample(300, 40, falling(40)).x;
  const auto filter = fit_pca(x, 40);
  EXPECT_NEAR(filter.explained_variance_ratio(), 1.0, 1e-12);
  EXPECT_LT(std::sqrt(mean_square_difference(filter.invert(filter.apply(x)), x)), 1e-4);  // values of 10 in float
  // And the other way round.
  Matrix<float> y(50, 40);
  fill_normals(8, Stream::evaluation, 0, 0, 1, y);
  EXPECT_LT(std::sqrt(mean_square_difference(filter.apply(filter.invert(y)), y)), 1e-4);
}

TEST(Pca, SameBitsForAnyNumberOfThreads) {
  const auto x = sample(3000, 200, falling(200)).x;
  const auto wide = sample(90, 300, falling(300)).x;
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = fit_pca(x, 50), one_wide = fit_pca(wide, 20);
  const auto y = one.apply(x), back = one.invert(y);
  for (const int threads : {2, 3}) {
    omp_set_num_threads(threads);
    const auto many = fit_pca(x, 50);
    EXPECT_EQ(many.V(), one.V());
    EXPECT_EQ(many.variances(), one.variances());
    EXPECT_EQ(many.apply(x), y);
    EXPECT_EQ(many.invert(y), back);
    EXPECT_EQ(fit_pca(wide, 20).V(), one_wide.V());
  }
  omp_set_num_threads(before);
}

TEST(Pca, BadRequests) {
  auto x = sample(10, 4, {1, 1, 1, 1}).x;
  EXPECT_THROW(fit_pca(x, 0), UsageError);
  EXPECT_THROW(fit_pca(x, 5), UsageError);
  EXPECT_THROW(fit_pca(sample(3, 4, {1, 1, 1, 1}).x, 3), UsageError);
  EXPECT_THROW(fit_pca(Matrix<float>(0, 4).view(), 1), UsageError);
  x(5, 2) = std::nanf("");
  EXPECT_THROW(fit_pca(x, 2), Error);
  // Six rows in seven dimensions, three of them copies: two directions.
  Matrix<float> copies(6, 7);
  for (std::int64_t i = 0; i < 6; ++i) copies(i, i % 3) = 1.0f;
  EXPECT_NO_THROW(fit_pca(copies, 2));
  EXPECT_THROW(fit_pca(copies, 3), Error);
}

}  // namespace
}  // namespace tarn
