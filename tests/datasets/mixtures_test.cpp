// Densities and scores of mixtures: closed forms, quadrature, finite differences, references by mpmath with 30 digits.
#include <gmock/gmock.h>

#include <boost/math/quadrature/exp_sinh.hpp>
#include <cmath>
#include <limits>
#include <numbers>

#include "message_of.hpp"
#include "target_checks.hpp"
#include "tarn/data/synthetic.hpp"

namespace tarn {
namespace {

using test::message_of;
using ::testing::HasSubstr;

GaussianMixture double_peak() {
  return GaussianMixture({MixtureComponent::isotropic(1.0, {-1.0}, 0.5), MixtureComponent::isotropic(1.0, {1.0}, 0.5)});
}

const std::vector<MixtureComponent> tilted = {{0.3, {0.5, -1.0}, {1.0, 0.6, 0.6, 0.8}},
                                              {0.9, {-1.5, 0.7}, {0.3, -0.1, -0.1, 0.5}}};

LaplaceMixture laplace_cross() {
  return LaplaceMixture({{0.5, {0.0, 0.0}, {1.0, 0.9, 0.9, 1.0}}, {0.5, {0.0, 0.0}, {1.0, -0.9, -0.9, 1.0}}});
}

TEST(GaussianMixture, OneDimensionClosedForm) {
  const auto target = double_peak();
  for (const double sigma : {0.0, 0.1, 1.0}) {
    const double v = 0.25 + sigma * sigma;
    for (const double x : {-3.0, -1.0, -0.2, 0.0, 0.9, 2.5}) {
      const double a = std::exp(-0.5 * (x + 1) * (x + 1) / v), b = std::exp(-0.5 * (x - 1) * (x - 1) / v);
      const double density = 0.5 * (a + b) / std::sqrt(2 * std::numbers::pi * v);
      EXPECT_NEAR(target.log_density(&x, sigma), std::log(density), 1e-13);
      double score = 0.0;
      target.score(&x, sigma, &score);
      EXPECT_NEAR(score, (-(x + 1) * a - (x - 1) * b) / (a + b) / v, 1e-12);
    }
  }
  EXPECT_THAT(target.mean(), ::testing::ElementsAre(0.0));
  EXPECT_DOUBLE_EQ(target.total_variance(), 1.25);
}

TEST(GaussianMixture, FullCovarianceClosedForm) {
  // log N(x; m, C) with C^-1 and |C| of a 2 x 2 matrix written out.
  const GaussianMixture target(tilted);
  const double x[2] = {0.1, -0.4}, sigma = 0.3;
  double density = 0.0;
  for (const auto& c : tilted) {
    const double a = c.covariance[0] + sigma * sigma, b = c.covariance[1], d = c.covariance[3] + sigma * sigma;
    const double det = a * d - b * b, u = x[0] - c.mean[0], v = x[1] - c.mean[1];
    density += c.weight / 1.2 * std::exp(-0.5 * (d * u * u - 2 * b * u * v + a * v * v) / det) /
               (2 * std::numbers::pi * std::sqrt(det));
  }
  EXPECT_NEAR(target.log_density(x, sigma), std::log(density), 1e-13);
}

TEST(GaussianMixture, MassMomentsAndStein) {
  const GaussianMixture target(tilted);
  const double sigma = 0.2;
  const auto density = [&](const double* x) { return std::exp(target.log_density(x, sigma)); };
  EXPECT_NEAR(test::integrate_plane(density, 9.0, 160), 1.0, 1e-10);
  const auto mean = target.mean();
  for (int k = 0; k < 2; ++k) {
    EXPECT_NEAR(test::integrate_plane([&](const double* x) { return x[k] * density(x); }, 9.0, 160), mean[k], 1e-10);
  }
  const auto square = [&](const double* x) {
    return (std::pow(x[0] - mean[0], 2) + std::pow(x[1] - mean[1], 2)) * density(x);
  };
  EXPECT_NEAR(test::integrate_plane(square, 9.0, 160), target.total_variance() + 2 * sigma * sigma, 1e-9);
  const auto stein = [&](const double* x) {
    double score[2];
    target.score(x, sigma, score);
    return (x[0] * score[0] + x[1] * score[1]) * density(x);
  };
  EXPECT_NEAR(test::integrate_plane(stein, 9.0, 160), -2.0, 1e-9);
}

TEST(GaussianMixture, ScoreIsGradientInFiveDimensions) {
  std::vector<MixtureComponent> parts;
  for (int k = 0; k < 3; ++k) {
    MixtureComponent part{0.2 + k, std::vector<double>(5), std::vector<double>(25)};
    for (int i = 0; i < 5; ++i) {
      part.mean[i] = std::sin(3 * k + i);
      for (int j = 0; j < 5; ++j)
        part.covariance[i * 5 + j] = (i == j ? 1.0 : 0.0) + 0.3 * std::cos(i + k) * std::cos(j + k);
    }
    parts.push_back(part);
  }
  const GaussianMixture target(parts);
  test::expect_score_is_gradient(target, {0.3, -0.7, 1.1, 0.0, -2.0}, 0.0, 1e-3, 1e-10);
  test::expect_score_is_gradient(target, {4.0, -3.0, 1.1, 7.0, -2.0}, 0.5, 1e-3, 1e-10);
}

TEST(GaussianMixture, FarTailsAndNan) {
  const auto target = double_peak();
  double x = 1e4, score = 0.0;
  target.score(&x, 0.0, &score);
  EXPECT_NEAR(score, -(x - 1) / 0.25, 1e-9 * x);
  EXPECT_NEAR(target.log_density(&x, 0.0), -0.5 * (x - 1) * (x - 1) / 0.25 - std::log(std::sqrt(2 * std::numbers::pi)),
              1e-3);
  x = std::numeric_limits<double>::quiet_NaN();
  target.score(&x, 0.0, &score);
  EXPECT_TRUE(std::isnan(score));
  EXPECT_TRUE(std::isnan(target.log_density(&x, 0.0)));
}

TEST(GaussianMixture, ConditionalAndMarginal) {
  // p(x | u) = p(x, u) / p(u), in three dimensions with two given values.
  const GaussianMixture joint({{0.4, {0.5, -1.0, 0.2}, {1.0, 0.3, 0.2, 0.3, 0.8, -0.1, 0.2, -0.1, 0.5}},
                               {0.6, {-0.5, 0.4, 0.9}, {0.6, -0.2, 0.1, -0.2, 0.7, 0.3, 0.1, 0.3, 0.9}}});
  const std::vector<double> u = {0.3, -0.4};
  const auto conditional = joint.conditional(u);
  ASSERT_EQ(conditional.dimension(), 1);
  // p(u) by quadrature over x.
  double p_u = 0.0;
  for (int i = -2000; i <= 2000; ++i) {
    const double point[3] = {i * 0.005, u[0], u[1]};
    p_u += 0.005 * std::exp(joint.log_density(point, 0.0));
  }
  for (const double x : {-2.0, 0.0, 0.7, 1.5}) {
    const double point[3] = {x, u[0], u[1]};
    EXPECT_NEAR(conditional.log_density(&x, 0.0), joint.log_density(point, 0.0) - std::log(p_u), 1e-10);
  }
  const auto marginal = joint.marginal(2);
  const double at[2] = {0.1, 0.2};
  double expected = 0.0;
  for (int i = -2000; i <= 2000; ++i) {
    const double point[3] = {at[0], at[1], i * 0.005};
    expected += 0.005 * std::exp(joint.log_density(point, 0.0));
  }
  EXPECT_NEAR(marginal.log_density(at, 0.0), std::log(expected), 1e-10);
  EXPECT_THROW(joint.conditional({}), UsageError);
  EXPECT_THROW(joint.conditional({1, 2, 3}), UsageError);
  EXPECT_THROW(joint.marginal(4), UsageError);
}

TEST(LaplaceMixture, OneDimensionClosedForm) {
  // variance 1/4: density exp(-|x| sqrt(2) / 0.5) / (sqrt(2) 0.5)
  const LaplaceMixture target({{1.0, {0.3}, {0.25}}});
  const double rate = std::numbers::sqrt2 / 0.5;
  for (const double x : {-40.0, -1.0, 0.2999, 0.3, 0.31, 2.0, 400.0, 4000.0}) {
    EXPECT_NEAR(target.log_density(&x, 0.0), -std::abs(x - 0.3) * rate + std::log(rate / 2), 1e-9 * (1 + std::abs(x)));
    double score = 0.0;
    target.score(&x, 0.0, &score);
    const double expected = x == 0.3 ? 0.0 : (x > 0.3 ? -rate : rate);
    EXPECT_NEAR(score, expected, 1e-8);
  }
}

TEST(LaplaceMixture, AgreesWithMultiplePrecision) {
  // mpmath, 30 digits: the integral over w; in one dimension the closed form with erfc.
  struct Case {
    std::vector<double> x, variance_or_covariance;
    double sigma, log_density;
  };
  const std::vector<double> C = {1.0, 0.9, 0.9, 1.0};
  const std::vector<Case> cases = {
      {{0.3, -0.2}, C, 0.1, -1.77216109425937},  {{0.3, -0.2}, C, 1.0, -2.34268635421989},
      {{0.3, -0.2}, C, 0.01, -1.96211270081427}, {{2, 1.5}, C, 0.1, -3.65136291848563},
      {{2, 1.5}, C, 1.0, -3.75028735126653},     {{2, 1.5}, C, 0.01, -3.66393011834117},
      {{5, -4}, C, 0.1, -30.1337226484364},      {{5, -4}, C, 1.0, -19.6877268079447},
      {{5, -4}, C, 0.01, -30.2360207429496},     {{0, 0}, C, 0.1, 0.0469680244964177},
      {{0, 0}, C, 1.0, -2.2828603825298},        {{0, 0}, C, 0.01, 0.981435043688062},
      {{0.3}, {0.25}, 0.05, -0.491954547246222}, {{0.3}, {0.25}, 1.0, -1.05598610658678},
      {{4.0}, {0.25}, 0.05, -10.9571349087048},  {{4.0}, {0.25}, 1.0, -7.06349767611998},
      {{30.0}, {0.25}, 0.05, -84.4962401521057}, {{30.0}, {0.25}, 1.0, -80.5062401521057},
  };
  for (const auto& c : cases) {
    const LaplaceMixture target({{1.0, std::vector<double>(c.x.size()), c.variance_or_covariance}});
    EXPECT_NEAR(target.log_density(c.x.data(), c.sigma), c.log_density, 1e-9)
        << ::testing::PrintToString(c.x) << " sigma " << c.sigma;
  }
  std::vector<double> diagonal(25);
  const double variances[5] = {1, 0.5, 2, 0.1, 3};
  for (int i = 0; i < 5; ++i) diagonal[i * 6] = variances[i];
  const LaplaceMixture five({{1.0, std::vector<double>(5), diagonal}});
  const double x[5] = {0.5, -1, 2, 0.1, 0.7};
  EXPECT_NEAR(five.log_density(x, 0.0), -6.9513588215239, 1e-9);
  EXPECT_NEAR(five.log_density(x, 0.3), -7.09303312917383, 1e-9);
}

TEST(LaplaceMixture, BesselAndIntegralAgreeInTheLimit) {
  // Smoothing by 1e-6 changes log density at distance 1 by about 1e-12.
  const auto cross = laplace_cross();
  for (const auto& x : {std::vector<double>{1.0, 0.2}, {-0.5, 2.0}, {40.0, 39.0}}) {
    EXPECT_NEAR(cross.log_density(x.data(), 0.0), cross.log_density(x.data(), 1e-6), 1e-9);
    double exact[2], smoothed[2];
    cross.score(x.data(), 0.0, exact);
    cross.score(x.data(), 1e-6, smoothed);
    for (int k = 0; k < 2; ++k) EXPECT_NEAR(exact[k], smoothed[k], 1e-7);
  }
}

TEST(LaplaceMixture, MassInTheRadialForm) {
  for (const int D : {2, 3, 7}) {
    std::vector<double> covariance(D * D);
    for (int i = 0; i < D; ++i) covariance[i * (D + 1)] = 1.0;
    const LaplaceMixture target({{1.0, std::vector<double>(D), covariance}});
    const double area = 2 * std::pow(std::numbers::pi, 0.5 * D) / std::tgamma(0.5 * D);
    boost::math::quadrature::exp_sinh<double> quadrature;
    for (const double sigma : {0.0, 0.25}) {
      const auto shell = [&](double r) {
        std::vector<double> x(D);
        x[0] = r;
        const double value = area * std::exp(target.log_density(x.data(), sigma) + (D - 1) * std::log(r));
        return std::isfinite(value) ? value : 0.0;
      };
      EXPECT_NEAR(quadrature.integrate(shell, 1e-10), 1.0, 1e-8) << "D " << D << ", sigma " << sigma;
    }
  }
}

TEST(LaplaceMixture, ScoreIsGradient) {
  const auto cross = laplace_cross();
  for (const double sigma : {0.0, 0.05, 0.5}) {
    test::expect_score_is_gradient(cross, {0.8, -0.3}, sigma, 1e-3, 1e-7);
    test::expect_score_is_gradient(cross, {-3.0, 2.5}, sigma, 1e-3, 1e-7);
    test::expect_score_is_gradient(cross, {200.0, 60.0}, sigma, 1e-2, 1e-7);
  }
  std::vector<double> covariance(49);
  for (int i = 0; i < 49; ++i) covariance[i] = (i % 8 == 0 ? 1.0 : 0.0) + 0.1;
  const LaplaceMixture seven({{1.0, std::vector<double>(7, 0.2), covariance}});
  test::expect_score_is_gradient(seven, {1.0, 0.5, -0.5, 0.7, 2.0, -1.0, 0.1}, 0.0, 1e-3, 1e-7);
  test::expect_score_is_gradient(seven, {1.0, 0.5, -0.5, 0.7, 2.0, -1.0, 0.1}, 0.2, 1e-3, 1e-7);
}

TEST(LaplaceMixture, AtTheMeanAndInHighDimensions) {
  const auto cross = laplace_cross();
  const double origin[2] = {0.0, 0.0};
  double score[2];
  EXPECT_EQ(cross.log_density(origin, 0.0), std::numeric_limits<double>::infinity());
  cross.score(origin, 0.0, score);
  EXPECT_EQ(score[0], 0.0);
  EXPECT_EQ(score[1], 0.0);
  cross.score(origin, 0.1, score);
  EXPECT_NEAR(score[0], 0.0, 1e-12);

  // D = 100: K_49 overflows near the mean and the integral takes over; both sides of the switch must meet.
  constexpr int D = 100;
  std::vector<double> covariance(D * D);
  for (int i = 0; i < D; ++i) covariance[i * (D + 1)] = 1.0;
  const LaplaceMixture high({{1.0, std::vector<double>(D), covariance}});
  std::vector<double> x(D), gradient(D);
  for (const double r : {1e-8, 1e-4, 1e-2, 1.0, 10.0, 500.0}) {
    x[0] = r;
    high.score(x.data(), 0.0, gradient.data());
    const double here = high.log_density(x.data(), 0.0), h = 1e-4 * r;
    EXPECT_TRUE(std::isfinite(here)) << r;
    x[0] = r + h;
    const double above = high.log_density(x.data(), 0.0);
    x[0] = r - h;
    const double below = high.log_density(x.data(), 0.0);
    EXPECT_NEAR(gradient[0] * r, (above - below) / (2 * h) * r, 1e-4 * (1 + std::abs(gradient[0] * r))) << r;
  }
}

TEST(Mixtures, MomentsOfLaplaceEqualThoseOfGaussian) {
  EXPECT_EQ(LaplaceMixture(tilted).mean(), GaussianMixture(tilted).mean());
  EXPECT_EQ(LaplaceMixture(tilted).total_variance(), GaussianMixture(tilted).total_variance());
}

TEST(Mixtures, BadParameters) {
  const auto build = [](std::vector<MixtureComponent> parts) {
    return message_of<UsageError>([&] { GaussianMixture target(std::move(parts)); });
  };
  EXPECT_THAT(build({}), HasSubstr("no components"));
  EXPECT_THAT(build({{1.0, {}, {}}}), HasSubstr("dimensions"));
  EXPECT_THAT(build({{1.0, {0.0}, {1.0}}, {1.0, {0.0, 1.0}, {1.0, 0.0, 0.0, 1.0}}}), HasSubstr("mean 1 has 2"));
  EXPECT_THAT(build({{-0.5, {0.0}, {1.0}}}), HasSubstr("weight 0 is -0.5"));
  EXPECT_THAT(build({{1.0, {std::nan("")}, {1.0}}}), HasSubstr("not finite"));
  EXPECT_THAT(build({{1.0, {0.0}, {1.0, 2.0}}}), HasSubstr("2 entries"));
  EXPECT_THAT(build({{1.0, {0.0, 0.0}, {1.0, 0.5, 0.4, 1.0}}}), HasSubstr("not symmetric"));
  EXPECT_THAT(build({{1.0, {0.0, 0.0}, {1.0, 2.0, 2.0, 1.0}}}), HasSubstr("not positive definite"));
  EXPECT_THAT(build({{1.0, {0.0, 0.0}, {1.0, 1.0, 1.0, 1.0}}}), HasSubstr("not positive definite"));
  EXPECT_THAT(build({MixtureComponent::isotropic(1.0, {0.0}, 0.0)}), HasSubstr("not positive definite"));
  EXPECT_THAT(build({{1.0, {0.0}, {std::nan("")}}}), HasSubstr("not positive definite"));
  const double x = 0.0;
  EXPECT_THROW(double_peak().log_density(&x, -0.1), Error);
}

}  // namespace
}  // namespace tarn
