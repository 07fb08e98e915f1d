#include "tarn/evaluation/equal_cells.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Matrix<float> normals(std::int64_t n, std::int64_t D, std::uint64_t which) {
  Matrix<float> x(n, D);
  fill_normals(70 + which, Stream::evaluation, 0, 0, 1, x.view());
  return x;
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// The standard deviation of the KL of n exact draws over K cells, by the chi-square law of 2 n KL.
double exact_deviation(double K, double n) { return std::sqrt(2.0 * (K - 1.0)) / (2.0 * n); }

TEST(EqualCells, AShiftedNormalHasTheClosedFormOverItsCells) {
  constexpr std::int64_t n = 200000, K = 16;
  const EqualCells cells(normals(1 << 18, 1, 0).view(), 4);
  Matrix<float> shifted = normals(n, 1, 1);
  for (std::int64_t i = 0; i < n; ++i) shifted(i, 0) += 0.5f;
  // cell k lies between the quantiles k/K and (k+1)/K of the standard normal law
  double expected = 0.0, below = 0.0;
  for (std::int64_t k = 1; k <= K; ++k) {
    double low = -8.0, high = 8.0;
    for (int i = 0; i < 80; ++i)
      (normal_cdf(0.5 * (low + high)) < static_cast<double>(k) / K ? low : high) = 0.5 * (low + high);
    const double up_to = k == K ? 1.0 : normal_cdf(low - 0.5), q = up_to - below;
    expected += q * std::log(q * K);
    below = up_to;
  }
  const CellKl found = cells.kl(shifted.view());
  EXPECT_EQ(found.n_cells, K);
  EXPECT_EQ(found.n, n);
  // its deviation is below sqrt(Var log(q K) / n) = 0.0012, that of the cells' edges smaller: 5 of them, false alarm 6e-7
  EXPECT_NEAR(found.corrected, expected, 0.006);
  EXPECT_LT(found.corrected, 0.5 * 0.5 / 2.0) << "the divergence of the laws is the upper bound";
  EXPECT_GT(expected, 0.1) << "and 16 cells see most of it";
}

TEST(EqualCells, ExactDrawsAreAtZeroInThreeDimensions) {
  const auto cloud = [](std::int64_t n, std::uint64_t which) {
    Matrix<float> x = normals(n, 3, which);
    for (std::int64_t i = 0; i < n; ++i) {
      x(i, 1) = 0.9f * x(i, 0) + 0.2f * x(i, 1);
      x(i, 2) = std::abs(x(i, 2)) * 4.0f;
    }
    return x;
  };
  constexpr std::int64_t n = 20000;
  const EqualCells cells(cloud(1 << 18, 2).view(), 7);
  const CellKl found = cells.kl(cloud(n, 3).view());
  EXPECT_NEAR(found.raw, 127.0 / (2.0 * n), 4.5 * exact_deviation(128, n) + 128.0 / (1 << 18));  // false alarm 1e-5
  EXPECT_NEAR(found.corrected, found.raw - 127.0 / (2.0 * n), 1e-12);
  EXPECT_EQ(found.n_empty, 0);
}

TEST(EqualCells, WrongWeightsOfPeaksAreSeenInFull) {
  // ten dimensions, two far peaks: cells keep them apart, so the divergence is that of the weights
  const auto peaks = [](std::int64_t n, double share, std::uint64_t which) {
    Matrix<float> x = normals(n, 10, which);
    for (std::int64_t i = 0; i < n; ++i) x(i, 7) += static_cast<double>(i) < share * static_cast<double>(n) ? 20 : -20;
    return x;
  };
  const EqualCells cells(peaks(1 << 16, 0.5, 4).view(), 5);
  const CellKl found = cells.kl(peaks(40000, 0.8, 5).view());
  EXPECT_NEAR(found.corrected, 0.8 * std::log(1.6) + 0.2 * std::log(0.4), 0.003);
}

TEST(EqualCells, LostDrawsAreCountedAndInNoCell) {
  const EqualCells cells(normals(4096, 2, 6).view(), 3);
  Matrix<float> draws = normals(1000, 2, 7);
  Matrix<float> without(998, 2);
  std::copy_n(draws.row(2), 2 * 998, without.data());
  draws(0, 1) = nan;
  draws(1, 0) = std::numeric_limits<float>::infinity();
  const CellKl found = cells.kl(draws.view()), rest = cells.kl(without.view());
  EXPECT_EQ(found.n_lost, 2);
  EXPECT_EQ(found.n, 998);
  EXPECT_EQ(found.raw, rest.raw);
  std::fill_n(draws.data(), draws.size(), nan);
  EXPECT_TRUE(std::isnan(cells.kl(draws.view()).raw));
  EXPECT_TRUE(std::isnan(cells.kl(draws.view()).corrected));
}

TEST(EqualCells, OneDrawAndBadReferencesAreHandled) {
  const EqualCells cells(normals(64, 2, 8).view(), 3);
  EXPECT_DOUBLE_EQ(cells.kl(normals(1, 2, 9).view()).raw, std::log(8.0));
  EXPECT_THROW(EqualCells(normals(15, 2, 8).view(), 3), Error);
  EXPECT_THROW(EqualCells(normals(64, 2, 8).view(), 0), Error);
  EXPECT_THROW(cells.kl(normals(4, 3, 9).view()), Error);
  Matrix<float> spoiled = normals(64, 2, 8);
  spoiled(3, 1) = nan;
  EXPECT_THROW(EqualCells(spoiled.view(), 3), Error);
  // all the reference in one point: the cells are of no use, and nothing breaks
  const EqualCells point(Matrix<float>(64, 2).view(), 2);
  EXPECT_NEAR(point.kl(normals(1000, 2, 9).view()).raw, std::log(4.0), 1.4);
}

}  // namespace
}  // namespace tarn
