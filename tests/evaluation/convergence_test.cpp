#include "tarn/evaluation/convergence.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

// x_{t+1} = a x_t + (four uniforms - 2), shifted by `offset` a chain: a few lines in any language give the same numbers.
Matrix<float> chains(std::int64_t n_chains, std::int64_t n_draws, double a, double offset, std::uint32_t seed) {
  Matrix<float> x(n_chains, n_draws);
  const auto uniform = [&] {
    seed = 1664525u * seed + 1013904223u;
    return seed / 4294967296.0;
  };
  for (std::int64_t i = 0; i < n_chains; ++i) {
    double state = 0.0;
    for (std::int64_t t = 0; t < n_draws; ++t) {
      const double u = uniform(), v = uniform(), w = uniform(), z = uniform();
      state = a * state + (u + v + w + z - 2.0);
      x(i, t) = static_cast<float>(state + offset * static_cast<double>(i));
    }
  }
  return x;
}

struct Reference {
  std::int64_t n_chains, n_draws;
  double a, offset;
  std::uint32_t seed;
  double mean, r_hat, ess_bulk, ess_tail, ess_mean;
};

// What ArviZ 0.23.4 gives for the same chains in float64 (rhat; ess with method bulk, tail, mean). It refuses R-hat for a single chain,
// whose halves can be compared all the same.
constexpr Reference arviz[] = {
    {4, 100, 0.0, 0.0, 1, 0.033477456390392034, 1.0056729, 408.8963339, 457.8724773, 414.8140845},
    {4, 101, 0.9, 0.0, 2, 0.31374690216495704, 1.144525765, 21.71448015, 31.11649056, 20.4605231},
    {3, 250, 0.5, 0.3, 3, 0.21578801109540896, 1.080471352, 33.85786887, 310.1678573, 34.16236717},
    {1, 60, -0.6, 0.0, 4, 0.023699380729037028, NAN, 106.689075, 41.65336738, 106.689075},
    {10, 7, 0.3, 0.0, 5, -0.1970874257651823, 1.159532408, 106.689075, 106.689075, 106.689075},
    {2, 1000, 0.98, 0.0, 6, 0.3010542869787896, 1.104314579, 15.45211833, 107.8116714, 15.71668089},
};

TEST(ConvergenceTest, AgreesWithArviz) {
  for (const Reference& r : arviz) {
    const Convergence c = convergence(chains(r.n_chains, r.n_draws, r.a, r.offset, r.seed).view());
    SCOPED_TRACE(testing::Message() << "seed " << r.seed);
    EXPECT_NEAR(c.mean, r.mean, 1e-12);
    if (!std::isnan(r.r_hat)) {
      EXPECT_NEAR(c.r_hat, r.r_hat, 1e-8 * r.r_hat);
    }
    EXPECT_NEAR(c.ess_bulk, r.ess_bulk, 1e-8 * r.ess_bulk);
    EXPECT_NEAR(c.ess_tail, r.ess_tail, 1e-8 * r.ess_tail);
    EXPECT_NEAR(c.ess_mean, r.ess_mean, 1e-8 * r.ess_mean);
    EXPECT_DOUBLE_EQ(c.mcse_mean, c.deviation / std::sqrt(c.ess_mean));
    EXPECT_EQ(c.n_chains, r.n_chains);
    EXPECT_EQ(c.n_stuck + c.n_duplicate + c.n_spoiled, 0);
  }
}

TEST(ConvergenceTest, ConstantChainsHaveNoEffectiveDraws) {
  Matrix<float> x(3, 50);
  std::fill_n(x.data(), x.size(), 0.7f);
  const Convergence c = convergence(x.view());
  EXPECT_EQ(c.ess_bulk, 0.0);
  EXPECT_EQ(c.ess_tail, 0.0);
  EXPECT_EQ(c.ess_mean, 0.0);
  EXPECT_TRUE(std::isnan(c.r_hat));
  EXPECT_TRUE(std::isnan(c.mcse_mean));
  EXPECT_EQ(c.n_stuck, 3);
  EXPECT_EQ(c.n_duplicate, 2);
  EXPECT_EQ(concerns(c), "3 chains never move; 2 chains repeat another one; only 0 effective draws");
}

TEST(ConvergenceTest, OneStuckChainAmongOthersIsNamed) {
  Matrix<float> x = chains(4, 200, 0.0, 0.0, 7);
  std::fill_n(x.row(2), x.cols(), 0.25f);
  const Convergence c = convergence(x.view());
  EXPECT_EQ(c.n_stuck, 1);
  EXPECT_EQ(c.n_duplicate, 0);
  EXPECT_GT(c.r_hat, 1.05);
}

TEST(ConvergenceTest, CopiesOfAChainAreCounted) {
  Matrix<float> x = chains(5, 100, 0.2, 0.0, 8);
  std::copy_n(x.row(1), x.cols(), x.row(4));
  const Convergence c = convergence(x.view());
  EXPECT_EQ(c.n_duplicate, 1);
  EXPECT_NE(concerns(c).find("1 chains repeat another one"), std::string::npos);
}

TEST(ConvergenceTest, NanIsNotAveragedAway) {
  const Matrix<float> good = chains(4, 100, 0.0, 0.0, 1);
  Matrix<float> x(5, 100);
  std::copy_n(good.data(), good.size(), x.data());
  std::fill_n(x.row(4), 100, 0.1f);
  x(4, 99) = quiet_nan;
  const Convergence c = convergence(x.view()), without = convergence(good.view());
  EXPECT_EQ(c.n_spoiled, 1);
  EXPECT_EQ(c.n_chains, 4);
  EXPECT_EQ(c.r_hat, without.r_hat);
  EXPECT_EQ(c.mean, without.mean);
  EXPECT_NE(concerns(c).find("1 chains hold a draw that is not finite"), std::string::npos);
  std::fill_n(x.data(), x.size(), quiet_nan);
  const Convergence none = convergence(x.view());
  EXPECT_EQ(none.n_chains, 0);
  EXPECT_EQ(none.n_spoiled, 5);
  EXPECT_TRUE(std::isnan(none.mean) && std::isnan(none.ess_bulk) && std::isnan(none.nested_rhat));
}

// One draw a chain: nothing to correlate, but groups can be compared. 4096 chains of one law in 16 groups: nested R-hat is
// sqrt(1 + F/256) with F distributed as F(15, 4080), so below sqrt(1 + 5/256) but for 1e-9; and shifted by three deviations
// from group to group it sees that.
TEST(ConvergenceTest, OneDrawAChain) {
  Matrix<float> x(4096, 1);
  fill_normals(11, Stream::evaluation, 0, 0, 1, x.view());
  const Convergence c = convergence(x.view());
  EXPECT_TRUE(std::isnan(c.r_hat) && std::isnan(c.ess_bulk));
  EXPECT_GT(c.nested_rhat, 1.0);
  EXPECT_LT(c.nested_rhat, std::sqrt(1.0 + 5.0 / 256.0));
  EXPECT_EQ(c.n_stuck + c.n_duplicate, 0);
  for (std::int64_t i = 0; i < x.rows(); ++i) x(i, 0) += 3.0f * static_cast<float>(i / 256);
  EXPECT_GT(nested_r_hat(x.view(), 16), 10.0);
}

// Two groups of two chains of two draws, by hand: group means 1.5 and 5.5, B = 8; within: variances of chain means 0.5 and
// 0.5 plus mean variances within chains 0.5 and 2, W = (1 + 2.5) / 2.
TEST(ConvergenceTest, NestedRHatByHand) {
  Matrix<float> x(4, 2);
  const float values[] = {0.5f, 1.5f, 1.5f, 2.5f, 4.0f, 6.0f, 5.0f, 7.0f};
  std::copy_n(values, 8, x.data());
  EXPECT_NEAR(nested_r_hat(x.view(), 2), std::sqrt(1.0 + 8.0 / 1.75), 1e-12);
  EXPECT_THROW(nested_r_hat(x.view(), 3), Error);
  EXPECT_THROW(nested_r_hat(x.view(), 1), Error);
}

// AR(1), a = 0.8: an ESS of n (1 - a)/(1 + a) = n/9. A window of 50 lags gives it a standard error of sqrt(2 * 101 / 80000) = 5 % (Sokal
// 1997, eq. 3.19); five of those.
TEST(ConvergenceTest, EssOfAnAutoregression) {
  const Convergence c = convergence(chains(16, 5000, 0.8, 0.0, 12).view());
  EXPECT_NEAR(c.ess_mean, 80000.0 / 9.0, 0.25 * 80000.0 / 9.0);
  EXPECT_LT(c.r_hat, 1.01);
  EXPECT_EQ(concerns(c), "");
}

}  // namespace
}  // namespace tarn
