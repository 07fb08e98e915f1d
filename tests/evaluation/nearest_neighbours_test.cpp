#include "tarn/evaluation/nearest_neighbours.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "evaluation/waves.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

Matrix<float> normals(std::int64_t n, std::int64_t D, std::uint64_t chain) {
  Matrix<float> x(n, D);
  fill_normals(3, Stream::synthetic_data, chain, 0, 1, x.view());
  return x;
}

// compute_prdc(real, fake, nearest_k) of the package prdc 0.2 (the authors' own).
TEST(NearestNeighbours, AgreeWithPrdc) {
  const PairDistances d = squared_distances(test::wave(40, 6, 1.7), test::wave(50, 6, 2.9, 1.25f, 0.375f));
  const NeighbourShares two = neighbour_shares(d, 2), five = neighbour_shares(d, 5);
  EXPECT_DOUBLE_EQ(two.precision, 0.95);
  EXPECT_DOUBLE_EQ(two.recall, 0.74);
  EXPECT_DOUBLE_EQ(two.density, 1.0125);
  EXPECT_DOUBLE_EQ(two.coverage, 0.88);
  EXPECT_DOUBLE_EQ(five.density, 1.22);
}

// Equal laws: coverage 1 - prod (n - i)/(2n - i), i = 1..k, and density 1 whatever the dimension (Naeem et al. 2020, lemmas 1 and 2). Over 50
// trials, 5 standard errors: a false alarm below 1e-5 each.
TEST(NearestNeighbours, ExpectedValuesOfEqualLaws) {
  constexpr std::int64_t n = 60, k = 4;
  double missed = 1.0;
  for (int i = 1; i <= k; ++i) missed *= static_cast<double>(n - i) / static_cast<double>(2 * n - i);
  for (const std::int64_t D : {1, 20}) {
    double sums[4] = {};
    constexpr int n_trials = 50;
    for (int t = 0; t < n_trials; ++t) {
      const auto chain = static_cast<std::uint64_t>(t) * 2 * n;
      const NeighbourShares s = neighbour_shares(squared_distances(normals(n, D, chain), normals(n, D, chain + n)), k);
      sums[0] += s.coverage;
      sums[1] += s.coverage * s.coverage;
      sums[2] += s.density;
      sums[3] += s.density * s.density;
    }
    for (int s = 0; s < 4; s += 2) {
      const double mean = sums[s] / n_trials, error = std::sqrt((sums[s + 1] / n_trials - mean * mean) / n_trials);
      EXPECT_NEAR(mean, s == 0 ? 1.0 - missed : 1.0, 5.0 * error) << "D = " << D;
      EXPECT_LT(error, 0.05);
    }
  }
}

TEST(NearestNeighbours, SeeLossOfModesAndLossOfQuality) {
  Matrix<float> data = normals(200, 2, 0), half = normals(200, 2, 300), wide = normals(200, 2, 600);
  for (std::int64_t i = 0; i < 200; ++i) {
    data(i, 0) += i % 2 == 0 ? 20.0f : -20.0f;
    half(i, 0) += 20.0f;  // one of the two clusters
    wide(i, 0) *= 40.0f;  // all over the place
  }
  const NeighbourShares lost = neighbour_shares(squared_distances(half, data));
  EXPECT_GT(lost.precision, 0.85);
  EXPECT_LT(lost.recall, 0.51);
  EXPECT_LT(lost.coverage, 0.51);
  const NeighbourShares poor = neighbour_shares(squared_distances(wide, data));
  EXPECT_LT(poor.precision, 0.4);
  EXPECT_LT(poor.density, 0.4);
  EXPECT_GT(poor.recall, 0.8) << "wide balls reach far: recall alone is no good figure";
  Matrix<float> away = data;
  for (std::int64_t i = 0; i < 200; ++i) away(i, 1) += 1000.0f;
  const NeighbourShares none = neighbour_shares(squared_distances(away, data));
  EXPECT_EQ(none.precision, 0.0);
  EXPECT_EQ(none.recall, 0.0);
  EXPECT_EQ(none.density, 0.0);
  EXPECT_EQ(none.coverage, 0.0);
  const NeighbourShares same = neighbour_shares(squared_distances(data, data));
  EXPECT_EQ(same.precision, 1.0);
  EXPECT_EQ(same.recall, 1.0);
  EXPECT_EQ(same.coverage, 1.0);
}

TEST(NearestNeighbours, Traps) {
  const Matrix<float> five = normals(5, 2, 0), six = normals(6, 2, 10);
  EXPECT_TRUE(std::isnan(neighbour_shares(squared_distances(five, six), 5).coverage))
      << "five rows have four neighbours";
  EXPECT_TRUE(std::isfinite(neighbour_shares(squared_distances(six, six), 5).coverage));
  const Matrix<float> constant(8, 2);
  const NeighbourShares alone = neighbour_shares(squared_distances(constant, six), 5);
  EXPECT_EQ(alone.recall, 0.0) << "balls of radius 0";
  EXPECT_LE(alone.coverage, 1.0);
  EXPECT_THROW(neighbour_shares(squared_distances(six, six), 0), Error);
}

}  // namespace
}  // namespace tarn
