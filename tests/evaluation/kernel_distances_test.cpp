#include "tarn/evaluation/kernel_distances.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "evaluation/waves.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

Matrix<float> normals(std::int64_t n, std::int64_t D, std::uint64_t chain, float shift = 0.0f, float scale = 1.0f) {
  Matrix<float> x(n, D);
  fill_normals(7, Stream::synthetic_data, chain, 0, 1, x.view());
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = shift + scale * x.data()[i];
  return x;
}

// scikit-learn 1.7 (euclidean_distances, rbf_kernel) and SciPy (pdist, energy_distance), in float64.
TEST(KernelDistances, AgreeWithScikitLearnAndSciPy) {
  const Matrix<float> x = test::wave(40, 6, 1.7), y = test::wave(50, 6, 2.9, 1.25f, 0.375f);
  const PairDistances d = squared_distances(x, y);
  EXPECT_NEAR(energy_distance(d), 0.20806905072717408, 1e-6);
  EXPECT_NEAR(squared_mmd(d, 1.5), 0.02885403495670813, 1e-7);
  EXPECT_NEAR(median_distance(d), 3.113517580035057, 1e-6);
  // In one dimension SciPy gives the root of the biased statistic, whose means are over all pairs.
  Matrix<float> a(40, 1), b(50, 1);
  for (std::int64_t i = 0; i < 40; ++i) a(i, 0) = x(i, 0);
  for (std::int64_t i = 0; i < 50; ++i) b(i, 0) = y(i, 1);
  const PairDistances line = squared_distances(a, b);
  double within[2] = {0.0, 0.0};
  for (std::int64_t k = 0; k < line.xx.size(); ++k) within[0] += std::sqrt(line.xx.data()[k]);
  for (std::int64_t k = 0; k < line.yy.size(); ++k) within[1] += std::sqrt(line.yy.data()[k]);
  const double bias = within[0] / (40.0 * 40.0 * 39.0) + within[1] / (50.0 * 50.0 * 49.0);
  EXPECT_NEAR(std::sqrt(energy_distance(line) + bias), 0.3879158205569107, 1e-6);
}

// Gaussians have closed forms; the statistics are unbiased at any count, so also at ten rows. 400 trials, 5 standard errors: a false
// alarm below 1e-6 each. In one dimension E|N(m, s^2)| = s sqrt(2/pi) exp(-m^2/(2 s^2)) + m erf(m/(s sqrt 2)).
TEST(KernelDistances, AreUnbiasedForGaussians) {
  constexpr std::int64_t n = 10, m = 14, D = 3;
  const double shift = 0.7, scale = 1.5, h = 1.2;
  const auto absolute = [](double mean, double s) {
    return s * std::sqrt(2.0 / M_PI) * std::exp(-mean * mean / (2.0 * s * s)) + mean * std::erf(mean / (s * M_SQRT2));
  };
  const double energy =
      2.0 * absolute(shift, std::sqrt(1.0 + scale * scale)) - absolute(0.0, scale * M_SQRT2) - absolute(0.0, M_SQRT2);
  // E exp(-|z|^2 / (2 b^2)) of z ~ N(mu, v I): (b^2 / (b^2 + v))^(D/2) exp(-|mu|^2 / (2 (b^2 + v)))
  double mmd = 0.0;
  for (const double c : {0.5, 1.0, 2.0}) {
    const auto kernel = [&](double square, double v) {
      const double b = c * c * h * h;
      return std::pow(b / (b + v), 0.5 * D) * std::exp(-square / (2.0 * (b + v))) / 3.0;
    };
    mmd += kernel(0.0, 2.0 * scale * scale) + kernel(0.0, 2.0) - 2.0 * kernel(D * shift * shift, 1.0 + scale * scale);
  }
  double sums[4] = {};
  constexpr int n_trials = 400;
  for (int t = 0; t < n_trials; ++t) {
    const auto chain = static_cast<std::uint64_t>(t) * 100;
    const auto f = [&](std::int64_t columns) {
      return squared_distances(normals(n, columns, chain, static_cast<float>(shift), static_cast<float>(scale)),
                               normals(m, columns, chain + 50));
    };
    const double e = energy_distance(f(1)), k = squared_mmd(f(D), h);
    sums[0] += e;
    sums[1] += e * e;
    sums[2] += k;
    sums[3] += k * k;
  }
  for (int s = 0; s < 4; s += 2) {
    const double mean = sums[s] / n_trials, error = std::sqrt((sums[s + 1] / n_trials - mean * mean) / n_trials);
    EXPECT_NEAR(mean, s == 0 ? energy : mmd, 5.0 * error) << s;
    EXPECT_LT(error, 0.1 * (s == 0 ? energy : mmd)) << "the check says something";
  }
}

TEST(KernelDistances, DistancesAreExactForNearRowsFarOut) {
  Matrix<float> x(3, 2), y(2, 2);
  const float far = 1000.0f;
  const float places[5][2] = {{far, far}, {far + 0.25f, far}, {far, far + 2.0f}, {far, far}, {far + 1.0f, far}};
  for (std::int64_t i = 0; i < 3; ++i) std::copy_n(places[i], 2, x.row(i));
  for (std::int64_t i = 0; i < 2; ++i) std::copy_n(places[3 + i], 2, y.row(i));
  const PairDistances d = squared_distances(x, y);
  EXPECT_FLOAT_EQ(d.xx(0, 1), 0.0625f);
  EXPECT_FLOAT_EQ(d.xx(1, 2), 4.0625f);
  EXPECT_EQ(d.xx(2, 2), 0.0f);
  EXPECT_NEAR(d.xy(0, 0), 0.0f, 1e-12);
  EXPECT_FLOAT_EQ(d.xy(1, 1), 0.5625f);
  const std::int64_t two[] = {2, 1}, one[] = {1};
  const PairDistances part = d.subset(two, one);
  EXPECT_FLOAT_EQ(part.xx(0, 1), 4.0625f);
  EXPECT_FLOAT_EQ(part.xy(1, 0), 0.5625f);
}

TEST(KernelDistances, Traps) {
  const Matrix<float> x = normals(5, 2, 0), one = normals(1, 2, 9);
  Matrix<float> bad = x;
  bad(2, 1) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(energy_distance(squared_distances(bad, x)))) << "NaN is not averaged away";
  EXPECT_TRUE(std::isnan(squared_mmd(squared_distances(x, bad), 1.0)));
  EXPECT_TRUE(std::isnan(median_distance(squared_distances(x, bad))));
  EXPECT_TRUE(std::isnan(energy_distance(squared_distances(one, x))));
  EXPECT_TRUE(std::isnan(squared_mmd(squared_distances(x, one), 1.0)));
  EXPECT_TRUE(std::isnan(median_distance(squared_distances(x, one))));
  Matrix<float> constant(6, 2), other(4, 2);
  std::fill_n(other.data(), 8, 3.0f);
  EXPECT_EQ(energy_distance(squared_distances(constant, constant)), 0.0);
  EXPECT_NEAR(energy_distance(squared_distances(constant, other)), 2.0 * std::sqrt(18.0), 1e-6);
  EXPECT_NEAR(squared_mmd(squared_distances(constant, other), 1e-3), 2.0, 1e-12);
  EXPECT_THROW(squared_mmd(squared_distances(x, x), 0.0), Error);
  EXPECT_THROW(squared_distances(x, normals(5, 3, 0)), Error);
}

}  // namespace
}  // namespace tarn
