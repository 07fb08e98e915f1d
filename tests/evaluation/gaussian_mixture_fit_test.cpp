#include "tarn/evaluation/gaussian_mixture_fit.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/evaluation/image_set.hpp"

namespace tarn {
namespace {

// Two clumps in the plane, one of which has a hole: as Python made them.
Matrix<float> clumps() {
  Matrix<float> x(400, 2);
  for (std::int64_t i = 0; i < 400; ++i) {
    const auto t = static_cast<double>(i);
    x(i, 0) = static_cast<float>((i % 2 == 0 ? -2.0 : 2.0) + std::sin(7.1 * t * 1.3));
    x(i, 1) = static_cast<float>(0.5 * std::sin(3.3 * t + 1.0) +
                                 (i % 2 == 0 ? 1.0 : -1.0) * std::cos(5.7 * t) * std::abs(std::sin(t * 0.37)));
  }
  return x;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

MixtureFitSettings plain(std::int64_t K) {
  MixtureFitSettings settings;
  settings.n_components = settings.n_neighbours = K;
  settings.n_iterations = 2000;
  settings.tolerance = 1e-10;
  return settings;
}

// sklearn.mixture.GaussianMixture (1.7), best of 20 starts, reg_covar the same floor.
TEST(GaussianMixtureFit, AgreesWithScikitLearn) {
  const Matrix<float> x = clumps();
  const MixtureFit two = fit_gaussian_mixture(x, plain(2), 1);
  EXPECT_NEAR(mean(log_density(two, x)), -2.5392027129308947, 1e-5);
  EXPECT_NEAR(two.mean_log_likelihood, -2.5392027129308947, 1e-5);
  const std::int64_t right = two.means(0, 0) > 0.0 ? 0 : 1;
  EXPECT_NEAR(two.weights[0], 0.5, 1e-4);
  EXPECT_NEAR(two.means(right, 0), 2.02326629, 1e-4);
  EXPECT_NEAR(two.means(1 - right, 1), 0.00536885, 1e-4);
  const Matrix<double>& L = two.factors[static_cast<std::size_t>(right)];
  EXPECT_NEAR(L(0, 0) * L(0, 0), 0.50322349, 1e-4);
  EXPECT_NEAR(L(1, 0) * L(0, 0), -0.01685495, 1e-4);
  EXPECT_NEAR(L(1, 0) * L(1, 0) + L(1, 1) * L(1, 1), 0.27491347, 1e-4);
  double best = -1e300;  // three components have several optima
  for (std::uint64_t seed = 0; seed < 10; ++seed)
    best = std::max(best, mean(log_density(fit_gaussian_mixture(x, plain(3), seed), x)));
  EXPECT_NEAR(best, -2.436292350738616, 2e-4);
}

TEST(GaussianMixtureFit, OneComponentIsTheGaussian) {
  const Matrix<float> x = clumps();
  MixtureFitSettings settings = plain(1);
  settings.floor = 1e-12;
  const MixtureFit fit = fit_gaussian_mixture(x, settings, 1);
  GaussianMoments moments(2);
  moments.add(x);
  const Matrix<double> C = moments.covariance();
  const Matrix<double>& L = fit.factors[0];
  EXPECT_NEAR(fit.means(0, 0), moments.mean()[0], 1e-7);
  EXPECT_NEAR(L(0, 0) * L(0, 0), C(0, 0) * 399.0 / 400.0, 1e-7);
  EXPECT_NEAR(L(1, 0) * L(0, 0), C(1, 0) * 399.0 / 400.0, 1e-7);
}

// Twelve well-separated clusters in eight dimensions: with four neighbours the fit is that with all.
TEST(GaussianMixtureFit, FewNeighboursSufficeWhereClustersAreApart) {
  Matrix<float> x(3000, 8), centres(12, 8);
  fill_normals(2, Stream::synthetic_data, 0, 0, 1, x.view());
  fill_normals(2, Stream::synthetic_data, 5000, 0, 1, centres.view());
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    for (std::int64_t j = 0; j < 8; ++j)
      x(i, j) = x(i, j) * (0.3f + 0.1f * static_cast<float>(j)) + 6.0f * centres(i % 12, j);
  }
  MixtureFitSettings few = plain(12);
  few.n_neighbours = 4;
  few.n_iterations = 30;
  const MixtureFit a = fit_gaussian_mixture(x, few, 4), b = fit_gaussian_mixture(x, plain(12), 4);
  EXPECT_NEAR(mean(log_density(a, x)), mean(log_density(b, x)), 5e-3);
  EXPECT_NEAR(a.mean_log_likelihood, mean(log_density(a, x)), 1e-3) << "the bound is tight";

  // and its draws have its law: the mean log density of draws is minus the entropy, here nearly that of separate clusters
  const Matrix<float> draws = mixture_draws(b, 20000, 9);
  double entropy = 0.0;
  for (std::size_t k = 0; k < 12; ++k) {
    double part = -std::log(b.weights[k]) + 4.0 * std::log(2.0 * M_PI) + 4.0;
    for (std::int64_t j = 0; j < 8; ++j) part += std::log(b.factors[k](j, j));
    entropy += b.weights[k] * part;
  }
  EXPECT_NEAR(mean(log_density(b, draws)), -entropy, 0.1) << "standard deviation of a mean over 20000 draws: 0.015";
  GaussianMoments ours(8), theirs(8);
  ours.add(draws);
  theirs.add(x);
  EXPECT_LT(frechet_distance(ours, theirs), 0.2) << "of a total variance of about 290";
  EXPECT_EQ(mixture_draws(b, 5, 9), [&] {
    Matrix<float> head(5, 8);
    std::copy_n(draws.data(), head.size(), head.data());
    return head;
  }()) << "a draw is the same whatever their number";
}

TEST(GaussianMixtureFit, Traps) {
  const Matrix<float> x = clumps(), constant(50, 3);
  EXPECT_THROW(fit_gaussian_mixture(constant, plain(2), 0), Error);
  EXPECT_THROW(fit_gaussian_mixture(x.view().slice(0, 3), plain(3), 0), Error);
  EXPECT_THROW(fit_gaussian_mixture(x, plain(0), 0), Error);
  EXPECT_THROW(log_density(fit_gaussian_mixture(x, plain(2), 0), constant), Error);
  // doubled points: some components get one place only, and the floor keeps their covariances positive
  Matrix<float> places(60, 2);
  for (std::int64_t i = 0; i < 60; ++i) places(i, 0) = static_cast<float>(i % 3);
  const MixtureFit fit = fit_gaussian_mixture(places, plain(8), 0);
  for (const double value : log_density(fit, places)) EXPECT_TRUE(std::isfinite(value));
  EXPECT_NEAR(std::accumulate(fit.weights.begin(), fit.weights.end(), 0.0), 1.0, 1e-12);
}

}  // namespace
}  // namespace tarn
