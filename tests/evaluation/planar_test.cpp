#include "tarn/evaluation/planar.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/evaluation/one_dimensional.hpp"

namespace tarn {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Matrix<float> normals(std::int64_t n, std::int64_t D, std::uint64_t which) {
  Matrix<float> x(n, D);
  fill_normals(40 + which, Stream::evaluation, 0, 0, 1, x.view());
  return x;
}

TEST(Planar, ProjectionAndWasserstein2OfSmallSets) {
  Matrix<float> x(2, 2);
  x(0, 0) = 1.0f, x(0, 1) = 2.0f, x(1, 0) = -3.0f, x(1, 1) = nan;
  const std::vector<double> d{0.6, 0.8};
  EXPECT_FLOAT_EQ(projection(x.view(), d)[0], 2.2f);
  EXPECT_TRUE(std::isnan(projection(x.view(), d)[1]));
  EXPECT_THROW(projection(x.view(), std::vector<double>{1.0}), Error);

  EXPECT_DOUBLE_EQ(wasserstein_2(std::vector<float>{3, 1}, std::vector<float>{2, 5}), std::sqrt((1.0 + 4.0) / 2.0));
  // sizes 2 and 3: [0, 1/3] 1-0, [1/3, 1/2] 1-2, [1/2, 2/3] 3-2, [2/3, 1] 3-4
  EXPECT_DOUBLE_EQ(wasserstein_2(std::vector<float>{1, 3}, std::vector<float>{0, 2, 4}), 1.0);
  EXPECT_DOUBLE_EQ(wasserstein_2(std::vector<float>{1, nan}, std::vector<float>{0, 0, 3, 3}),
                   std::sqrt(0.5 * 1 + 0.5 * 4));
  EXPECT_TRUE(std::isnan(wasserstein_2(std::vector<float>{nan}, std::vector<float>{0})));
}

// A shift by m moves every projection by m . d: the sliced distance is |m| sqrt(mean of cos^2) = |m|/sqrt(2) in the plane, exactly
// with even angles, and about |m|/sqrt(D) beyond.
TEST(Planar, SlicedDistanceOfAShift) {
  Matrix<float> a = normals(1000, 2, 0), b = a;
  for (std::int64_t i = 0; i < b.rows(); ++i) b(i, 0) += 0.25f, b(i, 1) -= 0.5f;
  EXPECT_NEAR(SlicedDistance(a.view(), 16, 1)(b.view()), std::sqrt(0.3125 / 2.0), 1e-6);
  EXPECT_EQ(SlicedDistance(a.view(), 16, 1)(a.view()), 0.0);

  Matrix<float> c = normals(100, 5, 1), e = c;
  for (std::int64_t i = 0; i < e.rows(); ++i) e(i, 3) += 1.0f;
  // mean of 400 values d_3^2 of mean 1/5, variance 2 (1/5) (4/5) / 7: five standard errors
  const double found = SlicedDistance(c.view(), 400, 2)(e.view());
  EXPECT_NEAR(found * found, 0.2, 5.0 * std::sqrt(0.32 / 7.0 / 400.0));
}

TEST(Planar, MarginalDistanceIsTheTwoSampleW1) {
  const Matrix<float> a = normals(700, 2, 4), b = normals(300, 2, 5);
  const MarginalDistance to_a(a.view(), {{1.0, 0.0}, {0.6, -0.8}});
  for (std::size_t k = 0; k < 2; ++k) {
    const double expected =
        wasserstein_1(projection(b.view(), to_a.direction(k)), projection(a.view(), to_a.direction(k))).value;
    EXPECT_NEAR(to_a(b.view(), k), expected, 1e-9);
    EXPECT_TRUE(std::is_sorted(to_a.sorted(k).begin(), to_a.sorted(k).end()));
  }
}

TEST(Planar, ArmsAreToldApart) {
  Matrix<float> x(7, 2);
  const float at[7][2] = {{3, 3.5f}, {-3, 2}, {-1, -4}, {2, -2}, {5, 4}, {0.1f, -0.2f}, {nan, 0}};
  for (std::int64_t i = 0; i < 7; ++i) std::copy_n(at[i], 2, x.row(i));
  const std::vector<double> centre{0.0, 0.0};
  const ArmOccupancy arms = arm_occupancy(x.view(), centre, 1.0);
  EXPECT_EQ(arms.n, 6);
  EXPECT_EQ(arms.n_not_finite, 1);
  EXPECT_DOUBLE_EQ(arms.core, 1.0 / 6.0);
  EXPECT_DOUBLE_EQ(arms.share[0], 2.0 / 6.0);
  for (std::size_t k = 1; k < 4; ++k) EXPECT_DOUBLE_EQ(arms.share[k], 1.0 / 6.0);
  const ArmOccupancy moved = arm_occupancy(x.view(), std::vector<double>{4.0, 3.75}, 1.1);
  EXPECT_DOUBLE_EQ(moved.core, 2.0 / 6.0);
  EXPECT_DOUBLE_EQ(moved.share[2], 4.0 / 6.0);
}

TEST(Planar, HistogramKeepsCountOfEverything) {
  Matrix<float> x(5, 2);
  const float at[5][2] = {{0.1f, 0.1f}, {0.9f, 0.1f}, {0.9f, 0.2f}, {2.0f, 0.5f}, {nan, 0.5f}};
  for (std::int64_t i = 0; i < 5; ++i) std::copy_n(at[i], 2, x.row(i));
  const PlanarHistogram h = planar_histogram(x.view(), 2, {0.0, 0.0}, {1.0, 1.0});
  EXPECT_EQ(h.n_inside, 3);
  EXPECT_EQ(h.n_outside, 1);
  EXPECT_EQ(h.n_not_finite, 1);
  // shares 1/4 and 2/4 over an area of 1/4
  EXPECT_EQ(h.densities, (std::vector<double>{1.0, 2.0, 0.0, 0.0}));
}

// 40 normal samples of 2000: the interval covers 0 in about 95 % of them. Fewer than 31 would be a false alarm of 1e-5 at a
// coverage of 0.93 (percentile intervals of a kurtosis fall short by about that much).
TEST(Planar, KurtosisIntervalCovers) {
  const Matrix<float> x = normals(40 * 2000, 1, 3);
  int covered = 0;
  double width = 0.0;
  for (std::int64_t r = 0; r < 40; ++r) {
    const std::span<const float> sample(x.row(2000 * r), 2000);
    const Interval k = excess_kurtosis_interval(sample, 9, static_cast<std::uint64_t>(r));
    EXPECT_LE(k.low, k.value);
    EXPECT_GE(k.high, k.value);
    width += (k.high - k.low) / 40.0;
    covered += k.low <= 0.0 && k.high >= 0.0;
  }
  EXPECT_GE(covered, 31);
  EXPECT_NEAR(width, 2 * 1.96 * std::sqrt(24.0 / 2000.0), 0.05) << "0.43 in the mean";
  EXPECT_TRUE(std::isnan(excess_kurtosis_interval(std::vector<float>{1.0f, nan}, 1, 0).value));
}

}  // namespace
}  // namespace tarn
