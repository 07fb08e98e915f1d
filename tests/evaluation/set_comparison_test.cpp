#include "tarn/evaluation/set_comparison.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

// Two clusters at +-(2, 1, 0) with unit noise: far from any Gaussian, of which it shares two moments.
Matrix<float> clusters(std::int64_t n, std::uint64_t seed) {
  Matrix<float> x(n, 3);
  fill_normals(seed, Stream::evaluation, 0, 0, 1, x.view());
  for (std::int64_t i = 0; i < n; ++i) {
    const float side = i % 2 == 0 ? 1.0f : -1.0f;
    x(i, 0) += 2.0f * side;
    x(i, 1) += side;
  }
  return x;
}

TEST(SetComparison, SubsetsAreDisjointAndRandom) {
  Matrix<float> x(11, 1);
  for (std::int64_t i = 0; i < 11; ++i) x(i, 0) = static_cast<float>(i);
  const auto [a, b] = disjoint_subsets(x.view(), 5, 1, 0);
  std::set<float> seen(a.data(), a.data() + 5);
  seen.insert(b.data(), b.data() + 5);
  EXPECT_EQ(seen.size(), 10u);
  EXPECT_NE(disjoint_subsets(x.view(), 5, 1, 1).first, a);
  EXPECT_EQ(disjoint_subsets(x.view(), 5, 1, 0).first, a);
  EXPECT_THROW(disjoint_subsets(x.view(), 6, 1, 0), Error);
}

// The Frechet distance lets one Gaussian pass, the sliced distance does not; real draws pass both. The floor's spread is that
// of one replicate: eight of them above it are a false alarm below 1e-3 under Student's law with four degrees.
TEST(SetComparison, OneGaussianPassesTwoMomentsOnly) {
  const Matrix<float> real = clusters(8000, 1), more = clusters(2000, 2);
  const SetComparison c = compare_sets(more.view(), real.view(), 3);
  EXPECT_EQ(c.frechet.floor.n, 2000);
  const auto passes = [](double value, const FrechetFloor& f) { return value < f.mean + 8.0 * f.deviation; };
  EXPECT_TRUE(passes(c.frechet.value, c.frechet.floor));
  EXPECT_TRUE(passes(c.frechet.gaussian, c.frechet.floor));
  EXPECT_TRUE(passes(c.sliced_w2.value, c.sliced_w2.floor));
  EXPECT_GT(c.sliced_w2.gaussian, 3.0 * c.sliced_w2.floor.mean);

  Matrix<float> shifted = more;
  for (std::int64_t i = 0; i < shifted.rows(); ++i) shifted(i, 2) += 0.5f;
  const SetComparison s = compare_sets(shifted.view(), real.view(), 3);
  EXPECT_NEAR(s.frechet.value, 0.25, 0.08) << "|shift|^2 and the noise of 2000 draws";
  EXPECT_FALSE(passes(s.sliced_w2.value, s.sliced_w2.floor));
}

TEST(SetComparison, GaussianDrawsHaveTheMoments) {
  GaussianMoments moments(3);
  const Matrix<float> real = clusters(8000, 1);
  moments.add(real.view());
  GaussianMoments again(3);
  again.add(gaussian_draws(moments, 20000, 4).view());
  for (std::size_t i = 0; i < 3; ++i) {
    const double variance = moments.covariance()(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i));
    EXPECT_NEAR(again.mean()[i], moments.mean()[i], 5.0 * std::sqrt(variance / 20000.0));
    for (std::size_t j = 0; j <= i; ++j) {
      const auto r = static_cast<std::int64_t>(i), k = static_cast<std::int64_t>(j);
      const double v = moments.covariance()(k, k), c = moments.covariance()(r, k);
      EXPECT_NEAR(again.covariance()(r, k), c, 5.0 * std::sqrt((variance * v + c * c) / 20000.0)) << "9 checks at 6e-7";
    }
  }
}

TEST(SetComparison, LostChainsAreLeftOut) {
  Matrix<float> draws = clusters(500, 5);
  const Matrix<float> real = clusters(1000, 6);
  draws(7, 1) = std::numeric_limits<float>::quiet_NaN();
  const SetComparison c = compare_sets(draws.view(), real.view(), 1);
  EXPECT_TRUE(std::isfinite(c.frechet.value) && std::isfinite(c.sliced_w2.value));
  Matrix<float> none(3, 3);
  std::fill_n(none.data(), none.size(), std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(std::isnan(compare_sets(none.view(), real.view(), 1).frechet.value));
  EXPECT_THROW(compare_sets(clusters(5, 1).view(), clusters(3, 1).view(), 1), Error);
}

}  // namespace
}  // namespace tarn
