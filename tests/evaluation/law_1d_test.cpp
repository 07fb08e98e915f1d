#include "tarn/evaluation/law_1d.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "evaluation/test_targets.hpp"

namespace tarn {
namespace {

Law1d gaussian(double mean, double deviation) {
  return Law1d::from_log_density([=](double x) { return -0.5 * (x - mean) * (x - mean) / (deviation * deviation); },
                                 mean, deviation);
}

TEST(Law1d, GaussianMatchesTheErrorFunction) {
  const Law1d law = gaussian(0.7, 0.3);
  for (double x = -1.5; x < 3.0; x += 0.0137) {
    const double z = (x - 0.7) / 0.3;
    EXPECT_NEAR(law.cdf(x), test::normal_cdf(z), 1e-10) << x;
    EXPECT_NEAR(law.density(x), std::exp(-z * z / 2.0) / (0.3 * std::sqrt(2.0 * M_PI)), 2e-7) << x;
    EXPECT_NEAR(law.log_density(x), -z * z / 2.0 - std::log(0.3 * std::sqrt(2.0 * M_PI)), 1e-10) << x;
    // int_{-inf}^x cdf = (x - m) cdf + s^2 pdf
    EXPECT_NEAR(law.integrated_cdf(x),
                (x - 0.7) * test::normal_cdf(z) + 0.3 * std::exp(-z * z / 2.0) / std::sqrt(2.0 * M_PI), 1e-9);
  }
  EXPECT_NEAR(law.mean(), 0.7, 1e-12);
  EXPECT_NEAR(law.variance(), 0.09, 1e-11);
}

TEST(Law1d, QuantileInvertsTheDistributionFunction) {
  const Law1d law = Law1d::from_target(test::double_peak(), 0.1);
  for (double u = 1e-6; u < 1.0; u += 0.00731) EXPECT_NEAR(law.cdf(law.quantile(u)), u, 1e-13) << u;
  EXPECT_NEAR(law.quantile(0.5), 0.0, 1e-9);
  EXPECT_EQ(law.quantile(0.0), law.low());
  EXPECT_EQ(law.quantile(1.0), law.high());
  EXPECT_TRUE(std::isnan(law.quantile(std::nan(""))));
  EXPECT_EQ(law.cdf(-1e9), 0.0);
  EXPECT_EQ(law.cdf(1e9), 1.0);
}

TEST(Law1d, NarrowPeaksFarApartAreFound) {
  const test::Peaks peaks({-50.0, 3.0, 70.0}, 0.02);
  const Law1d law = Law1d::from_target(peaks, 0.0);
  EXPECT_NEAR(law.mean(), 23.0 / 3.0, 1e-8);
  EXPECT_NEAR(law.variance(), peaks.total_variance(), 1e-6);
  EXPECT_NEAR(law.cdf(-20.0), 1.0 / 3.0, 1e-9);
  EXPECT_NEAR(law.cdf(70.0), 2.0 / 3.0 + 1.0 / 6.0, 1e-9);
}

TEST(Law1d, HeavyTailsMoveTheLimits) {
  const Law1d laplace = Law1d::from_log_density([](double x) { return -std::abs(x); }, 0.0, 1.0);
  EXPECT_LT(laplace.low(), -39.0);
  EXPECT_NEAR(laplace.cdf(2.0), 1.0 - 0.5 * std::exp(-2.0), 1e-10);
  EXPECT_NEAR(laplace.variance(), 2.0, 1e-8);
}

TEST(Law1d, KlOfTwoGaussians) {
  const double m = 0.4, s = 1.3;
  const Law1d q = gaussian(m, s), p = gaussian(-0.2, 0.8);
  const double exact = std::log(0.8 / s) + (s * s + 0.36) / (2.0 * 0.64) - 0.5;
  EXPECT_NEAR(kl_divergence(q, p), exact, 1e-9);
  EXPECT_NEAR(kl_divergence(q, q), 0.0, 1e-13);
}

TEST(Law1d, WassersteinOfGaussians) {
  EXPECT_NEAR(wasserstein_1(gaussian(0.0, 1.0), gaussian(0.6, 1.0)), 0.6, 1e-8);
  // same mean: |s_a - s_b| E|z|
  EXPECT_NEAR(wasserstein_1(gaussian(0.0, 1.0), gaussian(0.0, 1.5)), 0.5 * std::sqrt(2.0 / M_PI), 1e-7);
  EXPECT_NEAR(wasserstein_1(gaussian(0.0, 0.1), gaussian(100.0, 0.1)), 100.0, 1e-6);
}

TEST(Law1d, ATableGoesOnInAStraightLine) {
  const Law1d table(-1.0, 1.0, {-1.0, -0.5, 0.0, -0.5, -1.0});  // exp(-|x|) at five nodes
  EXPECT_NEAR(table.log_density(3.0) - table.log_density(1.0), -2.0, 1e-12);
  EXPECT_NEAR(table.log_density(-4.0) - table.log_density(-1.0), -3.0, 1e-12);
}

TEST(Law1d, WhatIsNoLawIsRefused) {
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(Law1d::from_log_density([](double) { return 0.0; }, 0.0, 1.0), Error);
  EXPECT_THROW(Law1d::from_log_density([](double x) { return x; }, 0.0, 1.0), Error);
  EXPECT_THROW(Law1d::from_log_density([nan](double x) { return x > 1.0 ? nan : -x * x; }, 0.0, 1.0), Error);
  EXPECT_THROW(Law1d::from_log_density([](double) { return -std::numeric_limits<double>::infinity(); }, 0.0, 1.0),
               Error);
  EXPECT_THROW(Law1d::from_log_density([](double x) { return -x * x; }, 0.0, 0.0), Error);
  EXPECT_THROW(Law1d(0.0, 1.0, {0.0, 0.0}), Error);
  EXPECT_THROW(Law1d(1.0, 0.0, {0.0, 0.0, 0.0}), Error);
}

}  // namespace
}  // namespace tarn
