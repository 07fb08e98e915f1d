#include "tarn/evaluation/one_dimensional.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "evaluation/test_targets.hpp"

namespace tarn {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

const Law1d& standard_normal() {
  static const Law1d law = Law1d::from_log_density([](double x) { return -0.5 * x * x; }, 0.0, 1.0);
  return law;
}

TEST(Histogram, EveryDrawIsCountedOnce) {
  const std::vector<float> draws{-3.0f, 3.0f, 0.0f, 2.95f, 3.0001f, -100.0f, nan, infinity, -infinity};
  const Histogram h = histogram(draws);
  EXPECT_EQ(h.n_draws, 9);
  EXPECT_EQ(h.n_inside, 4);
  EXPECT_EQ(h.n_outside, 2);
  EXPECT_EQ(h.n_not_finite, 3);
  EXPECT_EQ(h.counts.front(), 1);
  EXPECT_EQ(h.counts.back(), 2);
  EXPECT_EQ(h.counts[30], 1);
  // densities are shares of the finite draws
  EXPECT_DOUBLE_EQ(h.densities()[30], 1.0 / 6.0 / 0.1);
  EXPECT_THROW(histogram(draws, {0, -1.0, 1.0}), Error);
  EXPECT_THROW(histogram(draws, {10, 1.0, 1.0}), Error);
}

TEST(HistogramKl, ClosedFormOfTwoBins) {
  // a law uniform on [0, 1]; 3 of 4 draws in the left half
  const auto uniform = [](double x) { return std::clamp(x, 0.0, 1.0); };
  const std::vector<float> draws{0.1f, 0.2f, 0.3f, 0.8f};
  const HistogramKl kl = histogram_kl(histogram(draws, {2, 0.0, 1.0}), uniform);
  const double exact = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  EXPECT_NEAR(kl.raw, exact, 1e-14);
  EXPECT_NEAR(kl.corrected, exact - 1.0 / 8.0, 1e-14);
  EXPECT_EQ(kl.n_possible, 2);
  EXPECT_EQ(kl.outside_share, 0.0);
  EXPECT_EQ(kl.outside_law, 0.0);
}

TEST(HistogramKl, DrawsWhereTheLawHasNoneAreInfinitelyWrong) {
  const auto uniform = [](double x) { return std::clamp(x, 0.0, 1.0); };
  const HistogramKl kl = histogram_kl(histogram(std::vector<float>{0.5f, 1.5f}, {2, 0.0, 2.0}), uniform);
  EXPECT_EQ(kl.raw, std::numeric_limits<double>::infinity());
  EXPECT_EQ(kl.n_possible, 1);
}

TEST(HistogramKl, NotFiniteDrawsAreReportedAndDoNotMoveTheValue) {
  std::vector<float> draws;
  for (int i = 0; i < 1000; ++i) draws.push_back(static_cast<float>(standard_normal().quantile((i + 0.5) / 1000.0)));
  const HistogramKl clean = histogram_kl(histogram(draws), standard_normal());
  draws.insert(draws.end(), {nan, nan, infinity});
  const HistogramKl spoiled = histogram_kl(histogram(draws), standard_normal());
  EXPECT_EQ(spoiled.raw, clean.raw);
  EXPECT_EQ(spoiled.corrected, clean.corrected);
  EXPECT_EQ(spoiled.n_not_finite, 3);
  EXPECT_EQ(clean.n_not_finite, 0);
  EXPECT_NEAR(clean.outside_law, 2.0 * test::normal_cdf(-3.0), 1e-9);
  EXPECT_NEAR(clean.outside_share, 0.0027, 0.0013);

  const HistogramKl none = histogram_kl(histogram(std::vector<float>{nan}), standard_normal());
  EXPECT_TRUE(std::isnan(none.raw));
  EXPECT_EQ(none.n_not_finite, 1);
}

TEST(Wasserstein, OneDrawAgainstALaw) {
  // E|x - a| of a standard normal is a (2 Phi(a) - 1) + 2 phi(a)
  for (const double a : {0.0, 0.7, -1.9, 30.0}) {
    const std::vector<float> draw{static_cast<float>(a)};
    const double x = draw[0];
    const double exact = x * (2.0 * test::normal_cdf(x) - 1.0) + 2.0 * std::exp(-x * x / 2.0) / std::sqrt(2.0 * M_PI);
    EXPECT_NEAR(wasserstein_1(draw, standard_normal()).value, exact, 1e-9) << a;
  }
}

TEST(Wasserstein, QuantilesOfAShiftedLaw) {
  std::vector<float> draws;
  for (int i = 0; i < 4000; ++i)
    draws.push_back(static_cast<float>(standard_normal().quantile((i + 0.5) / 4000.0) + 0.25));
  draws.push_back(nan);
  const SampleDistance d = wasserstein_1(draws, standard_normal());
  EXPECT_NEAR(d.value, 0.25, 2e-3);
  EXPECT_EQ(d.n_not_finite, 1);
  EXPECT_TRUE(std::isnan(wasserstein_1(std::vector<float>{nan}, standard_normal()).value));
}

TEST(Wasserstein, TwoSamples) {
  const std::vector<float> a{0.0f, 1.0f, 3.0f}, b{5.0f, 6.0f, 8.0f, infinity};
  EXPECT_NEAR(wasserstein_1(a, b).value, 5.0, 1e-12);
  EXPECT_EQ(wasserstein_1(a, b).n_not_finite, 1);
  const std::vector<float> one{1.0f}, two{0.0f, 4.0f};
  EXPECT_NEAR(wasserstein_1(one, two).value, 2.0, 1e-12);  // (1 + 3) / 2
  EXPECT_EQ(wasserstein_1(two, two).value, 0.0);
}

TEST(Wasserstein, ManyDrawsAgreeWithTwoSampleForm) {
  const Law1d law = Law1d::from_target(test::double_peak(), 0.0);
  Matrix<float> draws(500, 1);
  test::double_peak().draw(11, 0, draws.view());
  std::vector<float> dense;
  for (int i = 0; i < 200000; ++i) dense.push_back(static_cast<float>(law.quantile((i + 0.5) / 200000.0)));
  const std::span<const float> values(draws.data(), 500);
  EXPECT_NEAR(wasserstein_1(values, law).value, wasserstein_1(values, dense).value, 2e-5);
}

TEST(ScoreError, ShiftedScore) {
  const auto peaks = test::double_peak();
  const Law1d law = Law1d::from_target(peaks, 0.1);
  const BatchFunction1d truth = score_of(peaks, 0.1);
  const BatchFunction1d shifted = [&](std::span<const double> x, std::span<double> s) {
    truth(x, s);
    for (double& v : s) v += 0.3;
  };
  EXPECT_NEAR(score_error(shifted, truth, law), 0.09, 1e-10);
  EXPECT_NEAR(score_error_on_grid(shifted, truth, law), 0.09, 1e-12);
  EXPECT_EQ(score_error(truth, truth, law), 0.0);
  EXPECT_EQ(ScoreGrid{}.points().size(), 101u);
  EXPECT_NEAR(ScoreGrid{}.points().back(), 2.5, 1e-12);
}

TEST(ScoreError, LinearScoreOfAGaussian) {
  // s = -a x against s* = -x: (1 - a)^2 E x^2
  const Law1d& law = standard_normal();
  const BatchFunction1d truth = [](std::span<const double> x, std::span<double> s) {
    for (std::size_t i = 0; i < x.size(); ++i) s[i] = -x[i];
  };
  const BatchFunction1d half = from_float([](MatrixView<const float> x, MatrixView<float> s) {
    for (std::int64_t i = 0; i < x.rows; ++i) s(i, 0) = -0.5f * x(i, 0);
  });
  EXPECT_NEAR(score_error(half, truth, law), 0.25, 1e-6);
}

// Floors of the published double peak. Standard deviations of a replicate, from 400 and 100 of them: KL 0.0010 and
// 0.0001, W1 0.0074 and 0.0024. Allowed: four standard errors (false alarm 6e-5 a comparison) and the rounding of the
// published figures.
TEST(SamplingFloors, DoublePeakAtTwoCounts) {
  const auto peaks = test::double_peak();
  const SamplingFloors small = sampling_floors(peaks, test::published_sigma, 5000, {}, 7, 60);
  EXPECT_NEAR(small.kl_raw.mean, 0.0058, 0.0006);
  EXPECT_NEAR(small.w1.mean, 0.0175, 0.0045);
  EXPECT_NEAR(small.kl_corrected.mean, 0.0, 0.0006);
  EXPECT_GT(small.w1.deviation, 0.0);
  EXPECT_GE(small.w1.largest, small.w1.mean);
  const SamplingFloors large = sampling_floors(peaks, test::published_sigma, 50000, {}, 7, 20);
  EXPECT_NEAR(large.kl_raw.mean, 0.00061, 0.00012);
  EXPECT_NEAR(large.w1.mean, 0.006, 0.0025);
}

TEST(SamplingFloors, BothWaysOfDrawingAgree) {
  const auto peaks = test::double_peak();
  const Law1d law = Law1d::from_target(peaks, 0.2);
  const SamplingFloors a = sampling_floors(peaks, 0.2, 2000, {}, 3, 60), b = sampling_floors(law, 2000, {}, 3, 60);
  const auto near = [](const Floor& x, const Floor& y) {
    // 4.5 standard errors of the difference
    EXPECT_NEAR(x.mean, y.mean, 4.5 * std::hypot(x.deviation, y.deviation) / std::sqrt(60.0));
  };
  near(a.kl_raw, b.kl_raw);
  near(a.w1, b.w1);
  // against the law without smoothing the same draws are farther away
  const SamplingFloors other = sampling_floors(peaks, 0.8, 20000, {}, 3, 5, 0.0);
  EXPECT_GT(other.w1.mean, 0.1);
}

TEST(SamplingFloors, TheSameSeedGivesTheSameFloor) {
  const auto peaks = test::double_peak();
  EXPECT_EQ(sampling_floors(peaks, 0.1, 300, {}, 5, 3).w1.mean, sampling_floors(peaks, 0.1, 300, {}, 5, 3).w1.mean);
  EXPECT_NE(sampling_floors(peaks, 0.1, 300, {}, 5, 3).w1.mean, sampling_floors(peaks, 0.1, 300, {}, 6, 3).w1.mean);
  EXPECT_THROW(sampling_floors(peaks, 0.1, 0, {}, 5, 3), Error);
}

}  // namespace
}  // namespace tarn
