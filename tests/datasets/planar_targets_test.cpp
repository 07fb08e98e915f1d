// Ring, two moons and checkerboard: densities against mpmath, quadrature and finite differences.
#include <cmath>
#include <limits>
#include <numbers>

#include "target_checks.hpp"
#include "tarn/data/synthetic.hpp"

namespace tarn {
namespace {

TEST(Ring, AgreesWithMultiplePrecision) {
  // mpmath, 30 digits: integral over the radius; R = 2, s = 0.2
  const RingTarget target(2.0, 0.2);
  const double cases[][3] = {{0.0, 0.1, -38.0374258366383}, {0.0, 0.7, -4.93734789191301},
                             {0.5, 0.1, -23.2927636347069}, {0.5, 0.7, -4.43401185216142},
                             {1.9, 0.1, -2.00487737867112}, {1.9, 0.7, -3.09315506060014},
                             {3.0, 0.1, -12.3225327511755}, {3.0, 0.7, -4.2834869603623}};
  for (const auto& c : cases) {
    const double x[2] = {c[0] * std::cos(1.0), c[0] * std::sin(1.0)};
    EXPECT_NEAR(target.log_density(x, c[1]), c[2], 1e-9) << c[0] << " " << c[1];
  }
}

TEST(TwoMoons, AgreesWithMultiplePrecision) {
  // mpmath, 40 digits: integral over the arcs on 2000 panels; third column: noise^2 + sigma^2
  const double cases[][4] = {
      {0.2, 0.3, 1e-4, -151.843963398706}, {0.2, 0.3, 0.02, -1.53081824109041},  {0.2, 0.3, 1.5, -2.56478242744379},
      {1, 1, 1e-4, -856.189299638668},     {1, 1, 0.02, -5.26163231817032},      {1, 1, 1.5, -2.78248539382467},
      {-1, -0.5, 1e-4, -1252.98300651318}, {-1, -0.5, 0.02, -9.29975290431238},  {-1, -0.5, 1.5, -3.24811661745052},
      {0.5, 0.25, 1e-4, -969.49774441846}, {0.5, 0.25, 0.02, -4.68179801605329}, {0.5, 0.25, 1.5, -2.54680492496539},
      {3, -2, 1e-4, -24233.1122737714},    {3, -2, 0.02, -122.553734263613},     {3, -2, 1.5, -5.10800542139507}};
  for (const auto& c : cases) {
    EXPECT_NEAR(TwoMoonsTarget(0.0).log_density(c, std::sqrt(c[2])), c[3], 1e-9 * (1 + std::abs(c[3])))
        << c[0] << " " << c[1] << " " << c[2];
    EXPECT_NEAR(TwoMoonsTarget(std::sqrt(c[2])).log_density(c, 0.0), c[3], 1e-9 * (1 + std::abs(c[3])));
  }
}

TEST(Checkerboard, AgreesWithMultiplePrecision) {
  // mpmath, 900 digits: sums of differences of erfc; 4 cells, half width 2
  const double cases[][4] = {
      {0.3, 0.4, 0.01, -2.07944154167984},  {0.3, 0.4, 0.3, -2.35919114348645},  {0.3, 0.4, 2, -3.5571498686},
      {-1.5, 1.5, 0.01, -1256.21765550054}, {-1.5, 1.5, 0.3, -4.52769374116795}, {-1.5, 1.5, 2, -3.95681822124102},
      {0.5, -0.5, 0.01, -1255.52450831998}, {0.5, -0.5, 0.3, -3.834546560608},   {0.5, -0.5, 2, -3.58250254743366},
      {3, 0.1, 0.3, -10.8258020254331},     {3, 0.1, 2, -4.34881613740738}};
  const CheckerboardTarget target(4, 2.0);
  for (const auto& c : cases) {
    EXPECT_NEAR(target.log_density(c, c[2]), c[3], 1e-9 * (1 + std::abs(c[3]))) << c[0] << " " << c[1] << " " << c[2];
  }
}

struct Case {
  const Target* target;
  double sigma, half_width;
};

class Planar : public ::testing::Test {
 protected:
  const RingTarget ring{1.5, 0.3}, thin_ring{1.5, 0.0};
  const TwoMoonsTarget moons{0.2};
  const CheckerboardTarget board{4, 2.0}, odd_board{3, 1.0}, one_cell{1, 0.7};
  const std::vector<Case> cases = {{&ring, 0.2, 7.0},  {&thin_ring, 0.3, 6.0}, {&moons, 0.1, 6.0},   {&moons, 0.0, 6.0},
                                   {&board, 0.4, 8.0}, {&odd_board, 0.3, 5.0}, {&one_cell, 0.5, 7.0}};
};

TEST_F(Planar, MassMomentsAndStein) {
  constexpr int n = 80;  // the step is below the width of the narrowest feature: rounding is all that is left
  for (const auto& [target, sigma, half_width] : cases) {
    double mass = 0.0, first[2] = {}, square = 0.0, stein = 0.0;
    const auto mean = target->mean();
    test::integrate_plane(
        [&, sigma = sigma, target = target](const double* x) {
          const double p = std::exp(target->log_density(x, sigma));
          double score[2];
          target->score(x, sigma, score);
          mass += p;
          first[0] += p * x[0];
          first[1] += p * x[1];
          square += p * (std::pow(x[0] - mean[0], 2) + std::pow(x[1] - mean[1], 2));
          stein += p > 0.0 ? p * (x[0] * score[0] + x[1] * score[1]) : 0.0;
          return p;
        },
        half_width, n);
    const double area = std::pow(2 * half_width / n, 2);
    EXPECT_NEAR(mass * area, 1.0, 1e-8) << target->name() << sigma;
    EXPECT_NEAR(first[0] * area, mean[0], 1e-8) << target->name();
    EXPECT_NEAR(first[1] * area, mean[1], 1e-8) << target->name();
    EXPECT_NEAR(square * area, target->total_variance() + 2 * sigma * sigma, 1e-7) << target->name();
    EXPECT_NEAR(stein * area, -2.0, 1e-7) << target->name();
  }
}

TEST_F(Planar, ScoreIsGradient) {
  for (const auto& [target, sigma, half_width] : cases) {
    for (const auto& x : {std::vector<double>{0.3, 0.7}, {-1.2, 0.4}, {0.9, -2.0}, {1e-3, 0.0}, {4.0, 5.0}}) {
      test::expect_score_is_gradient(*target, x, sigma, 1e-3, 1e-7);
    }
  }
  // In a hole far below the smallest double, and close to the arcs.
  test::expect_score_is_gradient(board, {0.5, -0.5}, 0.01, 1e-5, 1e-6);
  test::expect_score_is_gradient(board, {0.5, -0.7}, 0.01, 1e-5, 1e-6);
  test::expect_score_is_gradient(TwoMoonsTarget(0.0), {0.6, 0.79}, 0.01, 1e-5, 1e-6);
  test::expect_score_is_gradient(TwoMoonsTarget(0.0), {-1.0, -0.5}, 0.01, 1e-5, 1e-6);
  test::expect_score_is_gradient(RingTarget(2.0, 0.1), {0.5, 1.7}, 1e-3, 1e-5, 1e-6);
}

TEST_F(Planar, RingWithoutSmoothing) {
  // In polar coordinates the density is that of the radius alone.
  for (const double r : {0.4, 1.0, 1.5, 2.2}) {
    const double x[2] = {-r, 0.0};
    const auto normal = [](double u) { return std::exp(-0.5 * u * u) / std::sqrt(2 * std::numbers::pi); };
    const double expected = (normal((r - 1.5) / 0.3) + normal((r + 1.5) / 0.3)) / 0.3 / (2 * std::numbers::pi * r);
    EXPECT_NEAR(ring.log_density(x, 0.0), std::log(expected), 1e-12);
    EXPECT_NEAR(ring.log_density(x, 0.0), ring.log_density(x, 1e-5), 1e-7);
    test::expect_score_is_gradient(ring, {0.6 * r, 0.8 * r}, 0.0, 1e-4, 1e-8);
  }
  const double origin[2] = {0.0, 0.0};
  double score[2] = {1.0, 1.0};
  ring.score(origin, 0.3, score);
  EXPECT_EQ(score[0], 0.0);
  EXPECT_EQ(score[1], 0.0);
}

TEST_F(Planar, WhereNoDensityExists) {
  const double x[2] = {0.1, 0.2};
  for (const Target* target : {static_cast<const Target*>(&thin_ring), static_cast<const Target*>(&board)}) {
    EXPECT_FALSE(target->has_density(0.0));
    EXPECT_TRUE(target->has_density(0.1));
    EXPECT_THROW(target->log_density(x, 0.0), Error);
  }
  EXPECT_FALSE(TwoMoonsTarget(0.0).has_density(0.0));
  EXPECT_THROW(TwoMoonsTarget(0.0).log_density(x, 0.0), Error);
  EXPECT_THROW(RingTarget(0.0, 0.1), UsageError);
  EXPECT_THROW(RingTarget(1.0, -0.1), UsageError);
  EXPECT_THROW(TwoMoonsTarget(std::nan("")), UsageError);
  EXPECT_THROW(CheckerboardTarget(0, 1.0), UsageError);
  EXPECT_THROW(CheckerboardTarget(4, std::numeric_limits<double>::infinity()), UsageError);
}

TEST_F(Planar, NanShows) {
  const double x[2] = {std::nan(""), 0.2};
  for (const auto& [target, sigma, half_width] : cases) {
    EXPECT_TRUE(std::isnan(target->log_density(x, sigma))) << target->name();
    double score[2];
    target->score(x, sigma, score);
    EXPECT_TRUE(std::isnan(score[0])) << target->name();
  }
}

}  // namespace
}  // namespace tarn
