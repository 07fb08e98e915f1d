#include "tarn/evaluation/autocorrelation.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

// x_{t+1} = a x_t + sqrt(1 - a^2) xi from its own law: rho_k = a^k, time (1 + a)/(1 - a).
Matrix<float> ar1(double a, std::int64_t n_chains, std::int64_t n_draws) {
  Matrix<float> xi(n_draws * n_chains, 1), x(n_chains, n_draws);
  fill_normals(17, Stream::evaluation, 0, 0, n_draws, xi.view());
  const double b = std::sqrt(1.0 - a * a);
  for (std::int64_t i = 0; i < n_chains; ++i) {
    double state = xi(i, 0);
    for (std::int64_t t = 0; t < n_draws; ++t) {
      if (t > 0) state = a * state + b * xi(t * n_chains + i, 0);
      x(i, t) = static_cast<float>(state);
    }
  }
  return x;
}

// Five standard errors in each of six checks: false alarm below 4e-6. The truncated tail is e^-10 of the time at most.
TEST(Autocorrelation, FirstOrderAutoregression) {
  for (const double a : {0.9, 0.5, -0.5}) {
    const double exact = (1.0 + a) / (1.0 - a);
    for (const std::int64_t n_chains : {1, 100}) {
      const AutocorrelationTime t = integrated_autocorrelation_time(ar1(a, n_chains, 100000 / n_chains));
      EXPECT_TRUE(t.settled);
      EXPECT_EQ(t.n_chains, n_chains);
      EXPECT_NEAR(t.time, exact, 5.0 * t.standard_error + 0.002 * exact) << "a " << a << ", chains " << n_chains;
      EXPECT_LT(t.standard_error, 0.07 * exact);
      EXPECT_GE(static_cast<double>(t.window), 5.0 * std::max(t.time, 1.0) - 1.0);
    }
  }
}

// Bartlett: the error of rho_k of an AR(1) series of n draws is at most sqrt((1 + a^2) / (1 - a^2) / n); five of those, 40 checks.
TEST(Autocorrelation, FunctionOfAFirstOrderAutoregression) {
  for (const double a : {0.9, -0.5}) {
    const Matrix<float> x = ar1(a, 100, 2000);
    const std::vector<double> rho = autocorrelation(x.view(), 20);
    ASSERT_EQ(rho.size(), 21u);
    EXPECT_EQ(rho[0], 1.0);
    const double error = std::sqrt((1.0 + a * a) / (1.0 - a * a) / 200000.0);
    for (std::size_t k = 1; k <= 20; ++k)
      EXPECT_NEAR(rho[k], std::pow(a, k), 5.0 * error) << "a " << a << ", lag " << k;
  }
  Matrix<float> constant(2, 5);
  EXPECT_TRUE(autocorrelation(constant.view(), 3).empty());
  EXPECT_EQ(autocorrelation(ar1(0.5, 2, 5).view(), 100).size(), 5u);
}

// The stated standard error is that of replicates: 60 of them, so its estimate has a relative error of 9 %; factor 1.5 is
// five of those.
TEST(Autocorrelation, StandardErrorIsThatOfReplicates) {
  const Matrix<float> all = ar1(0.8, 600, 1000);
  double sum = 0.0, square = 0.0, stated = 0.0;
  for (std::int64_t r = 0; r < 60; ++r) {
    const AutocorrelationTime t = integrated_autocorrelation_time(all.view().slice(10 * r, 10 * r + 10));
    sum += t.time / 60.0;
    square += t.time * t.time / 60.0;
    stated += t.standard_error / 60.0;
  }
  const double found = std::sqrt((square - sum * sum) * 60.0 / 59.0);
  EXPECT_LT(found, 1.5 * stated);
  EXPECT_GT(found, stated / 1.5);
}

// rho_k = r^k cos(w k), as of a turning flow: the sum dips below the truth on the way, where a window that looks at the
// present sum alone would end.
TEST(Autocorrelation, SwingingChains) {
  constexpr double r = 0.97, w = 0.1;
  constexpr std::int64_t n_chains = 400, n_draws = 500;
  Matrix<float> xi(n_draws * n_chains, 2), x(n_chains, n_draws);
  fill_normals(18, Stream::evaluation, 0, 0, n_draws, xi.view());
  for (std::int64_t i = 0; i < n_chains; ++i) {
    double p = xi(i, 0), q = xi(i, 1);
    for (std::int64_t t = 0; t < n_draws; ++t) {
      if (t > 0) {
        const double b = std::sqrt(1.0 - r * r), turned = r * (std::cos(w) * p - std::sin(w) * q);
        q = r * (std::sin(w) * p + std::cos(w) * q) + b * xi(t * n_chains + i, 1);
        p = turned + b * xi(t * n_chains + i, 0);
      }
      x(i, t) = static_cast<float>(p);
    }
  }
  // 1 + 2 Re z/(1 - z), z = r e^{iw}
  const double norm = 1.0 - 2.0 * r * std::cos(w) + r * r;
  const double exact = 1.0 + 2.0 * (r * std::cos(w) - r * r) / norm;
  const AutocorrelationTime t = integrated_autocorrelation_time(x.view());
  EXPECT_TRUE(t.settled);
  EXPECT_NEAR(t.time, exact, 5.0 * t.standard_error + 0.1 * exact) << "false alarm 6e-7";
}

TEST(Autocorrelation, WhatCannotBeHadIsSaid) {
  Matrix<float> x = ar1(0.99, 200, 50);
  const AutocorrelationTime small = integrated_autocorrelation_time(x.view());
  EXPECT_FALSE(small.settled) << "chains of 50 draws cannot show a time of 199";
  EXPECT_EQ(small.window, 49);
  x(3, 7) = std::numeric_limits<float>::quiet_NaN();
  const AutocorrelationTime spoiled = integrated_autocorrelation_time(x.view());
  EXPECT_EQ(spoiled.n_spoiled, 1);
  EXPECT_EQ(spoiled.n_chains, 199);
  EXPECT_TRUE(std::isfinite(spoiled.time));
  EXPECT_TRUE(std::isnan(integrated_autocorrelation_time(Matrix<float>(4, 10).view()).time)) << "no spread";
  EXPECT_TRUE(std::isnan(integrated_autocorrelation_time(Matrix<float>(4, 1).view()).time));
  EXPECT_THROW(integrated_autocorrelation_time(x.view(), 0.0), Error);
}

}  // namespace
}  // namespace tarn
