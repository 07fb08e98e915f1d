#include "tarn/evaluation/neuron_statistics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Matrix<float> normals(std::int64_t n, std::int64_t D, std::uint64_t which) {
  Matrix<float> x(n, D);
  fill_normals(120 + which, Stream::evaluation, 0, 0, 1, x.view());
  return x;
}

double phi(double x) { return std::exp(-x * x / 2.0) / std::sqrt(2.0 * std::numbers::pi); }

TEST(TuningCurves, OfARectifiedAndALinearNeuronOfANormalInput) {
  constexpr std::int64_t n = 40000;
  const Matrix<float> z = normals(n, 3, 0);
  Matrix<float> rates(n, 2);
  std::vector<float> u;
  for (std::int64_t i = 0; i < n; ++i) {
    u.push_back(z(i, 0));
    rates(i, 0) = std::max(z(i, 0), 0.0f) + 0.3f * z(i, 1);
    rates(i, 1) = 2.0f - z(i, 0) + 0.5f * z(i, 2);
  }
  const TuningCurves curves = tuning_curves(Activity(rates.view(), n), u, 4);
  ASSERT_EQ(curves.counts, (std::vector<std::int64_t>{n / 4, n / 4, n / 4, n / 4}));
  // means of the normal law between its quartiles, -0.6745, 0, 0.6745
  const double q = 0.67448975, outer = 4.0 * phi(q), inner = 4.0 * (phi(0.0) - phi(q));
  const double stimulus[] = {-outer, -inner, inner, outer};
  for (std::int64_t b = 0; b < 4; ++b) {
    const auto at = static_cast<std::size_t>(b);
    EXPECT_NEAR(curves.stimulus[at], stimulus[at], 0.03);
    // five standard errors and what the sample's quartiles move; false alarm below 1e-5
    EXPECT_NEAR(curves.mean(0, b), std::max(stimulus[at], 0.0), 5.0 * curves.error(0, b) + 0.02);
    EXPECT_NEAR(curves.mean(1, b), 2.0 - stimulus[at], 5.0 * curves.error(1, b) + 0.02);
  }
  EXPECT_NEAR(curves.error(0, 0), 0.3 / std::sqrt(n / 4.0), 0.05 * 0.3 / std::sqrt(n / 4.0));
  const std::vector<double> sure = selectivity(curves);
  EXPECT_GT(sure[0], 100.0);
}

TEST(TuningCurves, DrawsOfOneChainAreNotCountedAsIndependent) {
  constexpr std::int64_t C = 500, T = 10;
  const Matrix<float> z = normals(C, 2, 1);
  Matrix<float> rates(C * T, 1), once(C, 1);
  std::vector<float> u(C * T), u_once;
  for (std::int64_t c = 0; c < C; ++c) {
    for (std::int64_t t = 0; t < T; ++t) {
      rates(c * T + t, 0) = z(c, 1);
      u[static_cast<std::size_t>(c * T + t)] = z(c, 0);
    }
    once(c, 0) = z(c, 1);
    u_once.push_back(z(c, 0));
  }
  const TuningCurves repeated = tuning_curves(Activity(rates.view(), C), u, 5),
                     single = tuning_curves(Activity(once.view(), C), u_once, 5);
  for (std::int64_t b = 0; b < 5; ++b) {
    EXPECT_NEAR(repeated.mean(0, b), single.mean(0, b), 1e-6);
    EXPECT_NEAR(repeated.error(0, b), single.error(0, b), 1e-6) << "ten copies of each draw know no more";
  }
}

TEST(TuningCurves, StimuliOfFewValuesAndSpoiledChains) {
  Matrix<float> rates(6, 1);
  for (std::int64_t i = 0; i < 6; ++i) rates(i, 0) = static_cast<float>(i);
  const std::vector<float> two{0, 1, 0, 1, 0, 1}, constant(6, 3.0f);
  const TuningCurves curves = tuning_curves(Activity(rates.view(), 6), two, 10);
  ASSERT_EQ(curves.stimulus, (std::vector<double>{0.0, 1.0}));
  EXPECT_DOUBLE_EQ(curves.mean(0, 0), 2.0);
  EXPECT_DOUBLE_EQ(curves.mean(0, 1), 3.0);
  EXPECT_DOUBLE_EQ(curves.error(0, 0), 2.0 / std::sqrt(3.0));  // 0, 2, 4: deviation 2
  EXPECT_EQ(tuning_curves(Activity(rates.view(), 6), constant, 10).counts, (std::vector<std::int64_t>{6}));

  rates(2, 0) = nan;
  const Activity activity(rates.view(), 6);
  EXPECT_EQ(activity.n_spoiled(), 1);
  EXPECT_EQ(activity.n_chains(), 5);
  EXPECT_DOUBLE_EQ(tuning_curves(activity, two, 10).mean(0, 0), 2.0) << "the mean of 0 and 4";
  const std::vector<float> gap{nan, 1, 0, 1, 0, 1};
  EXPECT_DOUBLE_EQ(tuning_curves(activity, gap, 10).mean(0, 0), 4.0);
  // one chain: a mean without an error
  const TuningCurves one = tuning_curves(Activity(rates.view().slice(0, 1), 1), std::vector<float>{1.0f}, 3);
  EXPECT_TRUE(std::isnan(one.error(0, 0)));
  EXPECT_THROW(tuning_curves(activity, constant, 0), Error);
  EXPECT_THROW(tuning_curves(activity, std::vector<float>(5), 3), Error);
}

TEST(RateStatistics, SparsenessOfKnownLaws) {
  constexpr std::int64_t n = 200000;
  const Matrix<float> z = normals(n, 2, 2);
  Matrix<float> rates(n, 3);
  for (std::int64_t i = 0; i < n; ++i) {
    rates(i, 0) = z(i, 0);  // counts as relu(z): a = (1 / 2 pi) / (1 / 2) = 1 / pi
    rates(i, 1) = 0.5f * (z(i, 0) * z(i, 0) + z(i, 1) * z(i, 1));  // exponential: a = 1 / 2
    rates(i, 2) = 4.0f;                                            // constant: dense
  }
  const RateStatistics r = rate_statistics(Activity(rates.view(), n));
  EXPECT_NEAR(r.lifetime_sparseness[0], 1.0 - 1.0 / std::numbers::pi, 0.01);
  EXPECT_NEAR(r.lifetime_sparseness[1], 0.5, 0.01);
  EXPECT_NEAR(r.lifetime_sparseness[2], 0.0, 1e-9);
  EXPECT_NEAR(r.mean[1], 1.0, 0.02);
  EXPECT_NEAR(r.deviation[1], 1.0, 0.03);
  EXPECT_EQ(r.n_constant, 1);
  EXPECT_EQ(r.n_silent, 0);
  EXPECT_NEAR(r.negative_share, 1.0 / 6.0, 0.005);
}

TEST(RateStatistics, PopulationSparsenessAndSilence) {
  Matrix<float> one_active(2, 4), all_alike(2, 4);
  one_active(0, 1) = 3.0f;
  one_active(1, 2) = 5.0f;
  std::fill_n(all_alike.data(), 8, 2.0f);
  EXPECT_DOUBLE_EQ(rate_statistics(Activity(one_active.view(), 2)).population_sparseness, 1.0);
  EXPECT_EQ(rate_statistics(Activity(one_active.view(), 2)).n_silent, 2);
  EXPECT_DOUBLE_EQ(rate_statistics(Activity(all_alike.view(), 2)).population_sparseness, 0.0);
  EXPECT_TRUE(std::isnan(rate_statistics(Activity(Matrix<float>(2, 4).view(), 2)).population_sparseness));
  EXPECT_EQ(rate_statistics(Activity(Matrix<float>(2, 4).view(), 2)).n_silent, 4);
}

// Neurons that share noise of variance rho, and an input that moves them all.
Matrix<float> shared_noise(std::int64_t C, std::int64_t T, std::int64_t J, double rho, std::int64_t group_size,
                           std::vector<std::int64_t>& groups) {
  const Matrix<float> own = normals(C * T, J, 3), common = normals(C * T, 1, 4), input = normals(C, 1, 5);
  Matrix<float> rates(C * T, J);
  groups.clear();
  for (std::int64_t c = 0; c < C; ++c) {
    groups.push_back(c / group_size);
    for (std::int64_t t = 0; t < T; ++t) {
      for (std::int64_t j = 0; j < J; ++j) {
        const auto noise =
            static_cast<float>(std::sqrt(rho) * common(c * T + t, 0) + std::sqrt(1.0 - rho) * own(c * T + t, j));
        rates(c * T + t, j) = 3.0f * input(c / group_size, 0) + 2.0f * noise;
      }
    }
  }
  return rates;
}

TEST(NoiseCorrelations, SharedNoiseIsFoundAndTheInputIsNot) {
  std::vector<std::int64_t> groups;
  const Matrix<float> rates = shared_noise(400, 50, 10, 0.3, 40, groups);
  const NoiseCorrelations found = noise_correlations(Activity(rates.view(), 400, groups));
  ASSERT_EQ(found.pairs.size(), 45U);
  // each pair's deviation is (1 - rho^2) / sqrt(20000) = 0.0064; five of them, false alarm 6e-7 a pair
  for (const double r : found.pairs) EXPECT_NEAR(r, 0.3, 0.033);
  EXPECT_NEAR(found.shuffled_mean, 0.0, 0.006);
  EXPECT_NEAR(found.shuffled_deviation, 1.0 / std::sqrt(20000.0), 0.4 / std::sqrt(20000.0));
  // without the inputs the common drive counts as noise: (9 + 4 * 0.3) / (9 + 4)
  EXPECT_GT(noise_correlations(Activity(rates.view(), 400)).mean, 0.6);
}

TEST(NoiseCorrelations, AnInputForEachChain) {
  std::vector<std::int64_t> groups;
  const Matrix<float> rates = shared_noise(60, 300, 4, 0.5, 1, groups);
  const NoiseCorrelations found = noise_correlations(Activity(rates.view(), 60, groups));
  for (const double r : found.pairs) EXPECT_NEAR(r, 0.5, 0.03);
  EXPECT_EQ(found.shuffled.size(), 6U);
  for (const double r : found.shuffled) EXPECT_NEAR(r, 0.0, 0.04);
}

TEST(NoiseCorrelations, ConstantNeuronsAndShortChains) {
  Matrix<float> rates = normals(200, 3, 6);
  for (std::int64_t i = 0; i < 200; ++i) rates(i, 1) = 1234.5f;
  const NoiseCorrelations found = noise_correlations(Activity(rates.view(), 200));  // one draw a chain
  EXPECT_EQ(found.n_constant, 1);
  EXPECT_EQ(found.pairs.size(), 1U);
  EXPECT_LT(std::abs(found.pairs[0]), 0.35);
  for (std::int64_t i = 0; i < 200; ++i) rates(i, 2) = rates(i, 0);
  EXPECT_NEAR(noise_correlations(Activity(rates.view(), 200)).pairs[0], 1.0, 1e-6);
  // one draw a chain and an input for each: nothing varies
  std::vector<std::int64_t> groups(200);
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = static_cast<std::int64_t>(i);
  const NoiseCorrelations none = noise_correlations(Activity(rates.view(), 200, groups));
  EXPECT_TRUE(none.pairs.empty());
  EXPECT_TRUE(std::isnan(none.mean));
  std::fill_n(rates.data(), rates.size(), nan);
  EXPECT_TRUE(noise_correlations(Activity(rates.view(), 200)).pairs.empty());
  EXPECT_THROW(Activity(rates.view(), 7), Error);
}

}  // namespace
}  // namespace tarn
