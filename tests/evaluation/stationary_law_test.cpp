#include "tarn/evaluation/stationary_law.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "evaluation/test_targets.hpp"
#include "tarn/evaluation/one_dimensional.hpp"

namespace tarn {
namespace {

BatchFunction1d pointwise(double (*s)(double)) {
  return [s](std::span<const double> x, std::span<double> values) {
    for (std::size_t i = 0; i < x.size(); ++i) values[i] = s(x[i]);
  };
}

TEST(StationaryLaw, ExactScoreGivesTheTarget) {
  const auto peaks = test::double_peak();
  for (const double sigma : {0.0, test::published_sigma, 1.0}) {
    const StationaryLaw learned = stationary_law(score_of(peaks, sigma));
    ASSERT_TRUE(learned) << learned.problem;
    EXPECT_TRUE(learned.resolved);
    EXPECT_EQ(learned.problem, "");
    const LawDistance d = distance(learned, Law1d::from_target(peaks, sigma));
    EXPECT_NEAR(d.kl, 0.0, 1e-9);
    EXPECT_NEAR(d.w1, 0.0, 1e-7);
  }
}

TEST(StationaryLaw, LinearDriftIsAGaussian) {
  const StationaryLaw learned = stationary_law(pointwise([](double x) { return -4.0 * (x - 7.0); }), 0.0, 1.0);
  ASSERT_TRUE(learned);
  EXPECT_NEAR(learned.law->mean(), 7.0, 1e-8);
  EXPECT_NEAR(learned.law->variance(), 0.25, 1e-8);
}

TEST(StationaryLaw, FarAndWideLawsAreFound) {
  const StationaryLaw far = stationary_law(pointwise([](double x) { return -1e-4 * (x - 300.0); }));
  ASSERT_TRUE(far);
  EXPECT_NEAR(far.law->mean(), 300.0, 1e-3);
  EXPECT_NEAR(std::sqrt(far.law->variance()), 100.0, 1e-3);
  const StationaryLaw narrow = stationary_law(pointwise([](double x) { return -1e6 * (x - 0.3); }));
  ASSERT_TRUE(narrow);
  EXPECT_NEAR(narrow.law->mean(), 0.3, 1e-7);
  EXPECT_NEAR(std::sqrt(narrow.law->variance()), 1e-3, 1e-9);
}

TEST(StationaryLaw, KinksOfAFloat32Network) {
  // s = -2 x + relu(x - 0.5) in float32: two half Gaussians joined, p = exp(-x^2 + relu(x - 0.5)^2 / 2)
  const BatchFunction1d score = from_float([](MatrixView<const float> x, MatrixView<float> s) {
    for (std::int64_t i = 0; i < x.rows; ++i) s(i, 0) = -2.0f * x(i, 0) + std::max(0.0f, x(i, 0) - 0.5f);
  });
  const auto exact = Law1d::from_log_density(
      [](double x) { return -x * x + (x > 0.5 ? (x - 0.5) * (x - 0.5) / 2.0 : 0.0); }, 0.0, 1.0);
  const StationaryLaw learned = stationary_law(score);
  ASSERT_TRUE(learned);
  EXPECT_TRUE(learned.resolved);
  EXPECT_LT(std::abs(distance(learned, exact).kl), 1e-7);
  EXPECT_LT(distance(learned, exact).w1, 1e-6);
}

TEST(StationaryLaw, DriftThatPointsOutwardHasNone) {
  const StationaryLaw right = stationary_law(pointwise([](double x) { return x > 3.0 ? 0.1 * (x - 3.0) : -0.1 * x; }));
  EXPECT_FALSE(right);
  EXPECT_TRUE(right.right_open);
  EXPECT_FALSE(right.left_open);
  EXPECT_NE(right.problem.find("does not confine on the right"), std::string::npos) << right.problem;
  EXPECT_EQ(right.problem.find("left"), std::string::npos) << right.problem;
  const LawDistance d = distance(right, Law1d::from_target(test::double_peak(), 0.1));
  EXPECT_EQ(d.kl, std::numeric_limits<double>::infinity());
  EXPECT_EQ(d.w1, std::numeric_limits<double>::infinity());

  // fallen by more than 40, but on the way up again where the first look ends, at x = 4
  const StationaryLaw rising =
      stationary_law(pointwise([](double x) { return x > 3.0 ? 5.0 * (x - 3.0) : -30.0 * x; }));
  EXPECT_FALSE(rising);
  EXPECT_TRUE(rising.right_open);

  const StationaryLaw both = stationary_law(pointwise([](double) { return 0.0; }));
  EXPECT_FALSE(both);
  EXPECT_TRUE(both.left_open && both.right_open);
}

TEST(StationaryLaw, ALeakBehindABarrierIsNamed) {
  const StationaryLaw leaky = stationary_law(pointwise([](double x) { return std::abs(x) < 50.0 ? -x : 2.0 * x; }));
  ASSERT_TRUE(leaky);
  EXPECT_NEAR(leaky.law->variance(), 1.0, 1e-8);
  EXPECT_TRUE(leaky.left_open && leaky.right_open);
  EXPECT_NE(leaky.problem.find("outward"), std::string::npos);
}

TEST(StationaryLaw, NotFiniteScoresAreNamed) {
  const StationaryLaw bad = stationary_law(pointwise([](double x) { return x > 2.0 ? std::nan("") : -x; }));
  EXPECT_FALSE(bad);
  EXPECT_NE(bad.problem.find("not finite at x = "), std::string::npos) << bad.problem;
  EXPECT_THROW(stationary_law(pointwise([](double x) { return -x; }), 0.0, -1.0), Error);
}

}  // namespace
}  // namespace tarn
