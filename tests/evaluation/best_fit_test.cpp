#include "tarn/evaluation/best_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "evaluation/test_targets.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/evaluation/one_dimensional.hpp"

namespace tarn {
namespace {

FitProblem double_peak_problem() {
  static const auto peaks = test::double_peak();
  return fit_problem(Law1d::from_target(peaks, test::published_sigma), score_of(peaks, test::published_sigma));
}

TEST(SynapticFit, DoublePeakRelu) {
  const SynapticFit fit = fit_sampler_only_sc(Nonlinearity::relu, double_peak_problem());
  // E s x / E x^2 = -1 / (1 + v), v = 0.25 + sigma^2: by parts, and by symmetry nothing else
  EXPECT_NEAR(fit.coefficients(2, 0), -1.0 / (1.25 + test::published_sigma * test::published_sigma), 1e-5);
  EXPECT_NEAR(fit.coefficients(0, 0), 0.0, 1e-4);
  EXPECT_NEAR(fit.coefficients(1, 0), 0.0, 1e-4);
  EXPECT_NEAR(fit.error, 2.09, 0.005);
  EXPECT_NE(fit.text().find("relu(x)"), std::string::npos) << fit.text();
  EXPECT_NE(fit.text().find("- 0.80 x"), std::string::npos) << fit.text();
}

TEST(SynapticFit, AScoreOfTheClassIsFoundExactly) {
  FitProblem p = double_peak_problem();
  for (std::int64_t i = 0; i < p.x.rows(); ++i) p.score(i, 0) = 3.0 * std::tanh(p.x(i, 0)) - 0.5 - 2.0 * p.x(i, 0);
  const SynapticFit fit = fit_sampler_only_sc(Nonlinearity::tanh, p);
  EXPECT_NEAR(fit.coefficients(0, 0), 3.0, 1e-9);
  EXPECT_NEAR(fit.coefficients(1, 0), -0.5, 1e-9);
  EXPECT_NEAR(fit.coefficients(2, 0), -2.0, 1e-9);
  EXPECT_NEAR(fit.error, 0.0, 1e-18);
}

TEST(RateFit, DoublePeakReluIsTheGlobalOptimum) {
  const FitProblem p = double_peak_problem();
  const RateFit fit = fit_sampler_only_fr(Nonlinearity::relu, p, 1);
  EXPECT_NEAR(fit.error, 1.73, 0.005) << fit.text();
  EXPECT_GE(fit.n_near_best, 1);
  EXPECT_EQ(fit.n_restarts, 24);

  // brute force: for every gain and bias the scale in closed form
  double best = 1e9;
  for (double w = -8.0; w <= 8.0; w += 0.2) {
    for (double b = -8.0; b <= 8.0; b += 0.2) {
      double vv = 0.0, vs = 0.0, ss = 0.0;
      for (std::int64_t i = 0; i < p.x.rows(); i += 5) {
        const double x = p.x(i, 0), v = std::max(0.0, w * x + b) - x, s = p.score(i, 0),
                     c = p.weights[static_cast<std::size_t>(i)] * 5.0;
        vv += c * v * v;
        vs += c * v * s;
        ss += c * s * s;
      }
      best = std::min(best, ss - vs * vs / vv);
    }
  }
  EXPECT_LE(fit.error, best + 0.003);
}

TEST(RateFit, TanhRepresentsTheDoublePeak) {
  // the control of the comparison: s = (tanh(x / v) - x) / v
  const RateFit fit = fit_sampler_only_fr(Nonlinearity::tanh, double_peak_problem(), 1, 8);
  const double v = 0.25 + test::published_sigma * test::published_sigma;
  EXPECT_LT(fit.error, 1e-8);
  EXPECT_NEAR(fit.W(0, 0), 1.0 / v, 1e-3);
  EXPECT_NEAR(fit.M(0, 0), 1.0 / v, 1e-3);
  EXPECT_NEAR(fit.b[0], 0.0, 1e-3);
}

TEST(RateFit, ThreePeaksAreBeyondTanh) {
  const test::Peaks peaks({-2.0, 0.0, 2.5}, 0.4);
  const FitProblem p = fit_problem(Law1d::from_target(peaks, 0.03), score_of(peaks, 0.03));
  EXPECT_GT(fit_sampler_only_fr(Nonlinearity::tanh, p, 1, 8).error, 0.3);
}

TEST(RateFit, TwoDimensionalMemberOfTheClass) {
  FitProblem p{Matrix<double>(225, 2), std::vector<double>(225, 1.0 / 225.0), Matrix<double>(225, 2)};
  RateFit truth{Nonlinearity::softplus, Matrix<double>(2, 2), {0.3, -0.4}, Matrix<double>(2, 2), 0.0, 0, 0};
  const double W[] = {1.5, -0.7, 0.4, 2.0}, M[] = {1.2, 0.3, -0.2, 0.8};
  std::copy(W, W + 4, truth.W.data());
  std::copy(M, M + 4, truth.M.data());
  for (int i = 0; i < 225; ++i) {
    p.x(i, 0) = -2.0 + 4.0 * (i / 15) / 14.0;
    p.x(i, 1) = -2.0 + 4.0 * (i % 15) / 14.0;
  }
  p.score = truth.drift(p.x.view());
  const RateFit fit = fit_sampler_only_fr(Nonlinearity::softplus, p, 5, 8);
  EXPECT_LT(fit.error, 1e-6);
}

TEST(RateFit, TenDimensionsFromAStartNearby) {
  // A member of the class in ten dimensions, 210 parameters: from a start beside it the search comes home; from one random start it need
  // not, but it never ends above a start that it was given.
  constexpr std::int64_t D = 10, n = 1003;  // no multiple of a block
  Matrix<float> noise(n, D), weights(1, 2 * D * D + D);
  fill_normals(21, Stream::evaluation, 0, 0, 1, noise.view());
  fill_normals(22, Stream::evaluation, 0, 0, 1, weights.view());
  RateFit truth{Nonlinearity::softplus, Matrix<double>(D, D), std::vector<double>(D), Matrix<double>(D, D), 0.0, 0, 0};
  for (std::int64_t i = 0; i < D * D; ++i) {
    truth.W.data()[i] = weights(0, i);
    truth.M.data()[i] = weights(0, D * D + D + i) + (i % (D + 1) == 0 ? 4.0 : 0.0);
  }
  for (std::int64_t k = 0; k < D; ++k) truth.b[static_cast<std::size_t>(k)] = weights(0, D * D + k);
  FitProblem p{Matrix<double>(n, D), std::vector<double>(n, 1.0 / n), {}};
  std::copy_n(noise.data(), n * D, p.x.data());
  p.score = truth.drift(p.x.view());
  RateFit start = truth;
  for (std::int64_t i = 0; i < D * D; ++i) start.W.data()[i] *= 1.0 + 0.1 * (i % 3 == 0 ? 1.0 : -1.0);
  const RateFit fit = fit_sampler_only_fr(Nonlinearity::softplus, p, 5, 1, std::vector<RateFit>{start});
  EXPECT_EQ(fit.n_restarts, 2);
  EXPECT_LT(fit.error, 1e-8);
  for (std::int64_t i = 0; i < D * D; ++i) EXPECT_NEAR(fit.W.data()[i], truth.W.data()[i], 1e-3) << i;
}

TEST(RateFit, TheSameSeedGivesTheSameFit) {
  const FitProblem p = double_peak_problem();
  const RateFit a = fit_sampler_only_fr(Nonlinearity::relu, p, 3, 4),
                b = fit_sampler_only_fr(Nonlinearity::relu, p, 3, 4);
  EXPECT_EQ(a.error, b.error);
  EXPECT_EQ(a.W, b.W);
}

TEST(Fits, DrawsInPlaceOfQuadrature) {
  const auto peaks = test::double_peak();
  const FitProblem p = fit_problem(peaks, test::published_sigma, 40000, 9);
  const SynapticFit fit = fit_sampler_only_sc(Nonlinearity::relu, p);
  // the error's standard deviation over draws is about 0.02: five of them
  EXPECT_NEAR(fit.error, 2.09, 0.1);
  EXPECT_NEAR(fit.coefficients(2, 0), -0.80, 0.1);
}

TEST(Fits, MismatchedShapesAreRefused) {
  FitProblem p = double_peak_problem();
  p.weights.pop_back();
  EXPECT_THROW(fit_sampler_only_sc(Nonlinearity::relu, p), Error);
  FitProblem wide{Matrix<double>(20, 17), std::vector<double>(20, 0.05), Matrix<double>(20, 17)};
  EXPECT_THROW(fit_sampler_only_fr(Nonlinearity::relu, wide, 1), Error);
}

}  // namespace
}  // namespace tarn
