#include "tarn/evaluation/image_set.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Matrix<float> normals(std::int64_t n, std::int64_t D, std::uint64_t seed) {
  Matrix<float> x(n, D);
  fill_normals(seed, Stream::evaluation, 0, 0, 1, x.view());
  return x;
}

GaussianMoments moments_of(const Matrix<float>& x) {
  GaussianMoments m(x.cols());
  m.add(x.view());
  return m;
}

TEST(NormCount, BeyondTheDataAndNotFinite) {
  Matrix<float> data(2, 2), draws(5, 2);
  data(0, 0) = 3.0f;
  data(0, 1) = 4.0f;
  EXPECT_DOUBLE_EQ(largest_norm(data.view()), 5.0);
  draws(0, 0) = 5.9f;
  draws(1, 0) = 6.1f;
  draws(2, 1) = nan;
  draws(3, 1) = std::numeric_limits<float>::infinity();
  const NormCount c = count_beyond(draws.view(), 5.0);
  EXPECT_EQ(c.n_draws, 5);
  EXPECT_EQ(c.n_beyond, 1);
  EXPECT_EQ(c.n_not_finite, 2);
  EXPECT_DOUBLE_EQ(c.share_lost(), 0.6);
  EXPECT_NEAR(c.largest, 6.1, 1e-6);
  EXPECT_THROW(largest_norm(draws.view()), Error);
}

TEST(GaussianMoments, BlocksGiveWhatOneBlockGives) {
  Matrix<float> x = normals(1500, 5, 1);
  for (std::int64_t i = 0; i < x.rows(); ++i) x(i, 2) = 1000.0f + 0.5f * x(i, 2) + x(i, 0);
  const GaussianMoments whole = moments_of(x);
  GaussianMoments pieces(5);
  pieces.add(x.view().slice(0, 7));
  pieces.add(x.view().slice(7, 900));
  pieces.add(x.view().slice(900, 1500));
  // direct two-pass reference
  for (std::int64_t a = 0; a < 5; ++a) {
    double mean = 0.0;
    for (std::int64_t i = 0; i < 1500; ++i) mean += x(i, a) / 1500.0;
    EXPECT_NEAR(whole.mean()[static_cast<std::size_t>(a)], mean, 1e-9);
    EXPECT_NEAR(pieces.mean()[static_cast<std::size_t>(a)], mean, 1e-9);
    for (std::int64_t b = 0; b < 5; ++b) {
      double mean_b = 0.0, sum = 0.0;
      for (std::int64_t i = 0; i < 1500; ++i) mean_b += x(i, b) / 1500.0;
      for (std::int64_t i = 0; i < 1500; ++i) sum += (x(i, a) - mean) * (x(i, b) - mean_b) / 1499.0;
      EXPECT_NEAR(whole.covariance()(a, b), sum, 1e-9);
      EXPECT_NEAR(pieces.covariance()(a, b), sum, 1e-9);
    }
  }
}

TEST(GaussianMoments, NotFiniteRowsAreCountedAndLeftOut) {
  Matrix<float> x = normals(100, 3, 2);
  const GaussianMoments clean = moments_of(x);
  Matrix<float> spoiled(102, 3);
  std::copy(x.data(), x.data() + x.size(), spoiled.row(1));
  spoiled(0, 1) = nan;
  spoiled(101, 2) = -std::numeric_limits<float>::infinity();
  const GaussianMoments m = moments_of(spoiled);
  EXPECT_EQ(m.n(), 100);
  EXPECT_EQ(m.n_not_finite(), 2);
  EXPECT_EQ(m.covariance(), clean.covariance());
  EXPECT_THROW(moments_of(Matrix<float>(1, 3)).covariance(), Error);
}

TEST(Frechet, ClosedFormOfDiagonalGaussians) {
  // four points give mean and diagonal covariance exactly: (+-a, 0), (0, +-b) plus the mean; covariance 2a^2/3, 2b^2/3
  const auto cross = [](float a, float b, float mean) {
    Matrix<float> x(4, 2);
    const float points[] = {a, 0.0f, -a, 0.0f, 0.0f, b, 0.0f, -b};
    for (int i = 0; i < 8; ++i) x.data()[i] = points[i] + mean;
    return moments_of(x);
  };
  const GaussianMoments p = cross(1.0f, 2.0f, 0.0f), q = cross(3.0f, 0.5f, 1.0f);
  const double exact = 2.0 + (2.0 / 3.0) * ((3.0 - 1.0) * (3.0 - 1.0) + (2.0 - 0.5) * (2.0 - 0.5));
  EXPECT_NEAR(frechet_distance(p, q), exact, 1e-9);
  EXPECT_NEAR(frechet_distance(q, p), exact, 1e-9);
  EXPECT_NEAR(frechet_distance(p, p), 0.0, 1e-9);
}

TEST(Frechet, CommutingCovariancesThatAreNotDiagonal) {
  // y = c x has covariance c^2 C: distance (1 - c)^2 tr C + |m|^2 (1 - c)^2, also for singular C (fewer rows than
  // columns)
  const Matrix<float> x = normals(20, 30, 4);
  Matrix<float> y = x;
  for (std::int64_t i = 0; i < y.size(); ++i) y.data()[i] *= 2.0f;
  const GaussianMoments a = moments_of(x), b = moments_of(y);
  double exact = 0.0;
  for (std::int64_t j = 0; j < 30; ++j)
    exact += a.covariance()(j, j) + a.mean()[static_cast<std::size_t>(j)] * a.mean()[static_cast<std::size_t>(j)];
  EXPECT_NEAR(frechet_distance(a, b), exact, 1e-5 * exact);
}

TEST(Frechet, RotatedCovariances) {
  // 2 x 2, C_a = diag(4, 1), C_b the same turned by 45 degrees: tr sqrt(C_a C_b) = sqrt(tr(C_a C_b) + 2 det)
  const auto turned = [](double angle) {
    Matrix<float> x(4, 2);
    const double a = std::sqrt(6.0), b = std::sqrt(1.5), c = std::cos(angle), s = std::sin(angle);
    const double points[4][2] = {{a, 0}, {-a, 0}, {0, b}, {0, -b}};
    for (int i = 0; i < 4; ++i) {
      x(i, 0) = static_cast<float>(c * points[i][0] - s * points[i][1]);
      x(i, 1) = static_cast<float>(s * points[i][0] + c * points[i][1]);
    }
    return moments_of(x);
  };
  // tr(C_a C_b) = 4 * 2.5 + 1 * 2.5 = 12.5, det = 4
  EXPECT_NEAR(frechet_distance(turned(0.0), turned(M_PI / 4.0)), 10.0 - 2.0 * std::sqrt(12.5 + 8.0), 1e-5);
}

TEST(Frechet, FloorIsSmallAndFallsWithTheCount) {
  const Matrix<float> x = normals(4000, 8, 5);
  const FrechetFloor few = frechet_floor(x.view(), 200, 1), many = frechet_floor(x.view(), 2000, 1);
  EXPECT_EQ(few.n, 200);
  EXPECT_GT(few.mean, many.mean);
  EXPECT_GT(many.mean, 0.0);
  // to first order 2 D / n from the means and D (D + 1) / (2 n) from the covariances: 0.026 at D = 8, n = 2000, with a
  // standard deviation of 10 % over five replicates
  EXPECT_NEAR(many.mean, 0.026, 0.012);
  EXPECT_EQ(frechet_floor(x.view(), 100000, 1).n, 2000);
  EXPECT_EQ(frechet_floor(x.view(), 200, 1).mean, few.mean);
  Matrix<float> shifted = x;
  for (std::int64_t i = 0; i < x.rows(); ++i) shifted(i, 0) += 0.5f;
  EXPECT_GT(frechet_distance(moments_of(x), moments_of(shifted)), 5.0 * many.mean);
}

}  // namespace
}  // namespace tarn
