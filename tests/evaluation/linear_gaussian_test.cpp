// Closed forms of the linear-Gaussian model, against densities written out and against draws of the model itself.
#include "tarn/evaluation/linear_gaussian.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

// Two outputs, one latent: C = s^2 I + s_1^2 w w^T can be inverted by hand.
const LinearGaussian& small() {
  static const LinearGaussian model = [] {
    Matrix<double> W(2, 1);
    W(0, 0) = 2.0;
    W(1, 0) = -1.0;
    return LinearGaussian(std::move(W), {0.5, 1.0}, {0.3}, 0.7, 1.5);
  }();
  return model;
}

TEST(LinearGaussian, LogLikelihoodIsThatOfTheMarginalDensity) {
  Matrix<float> x(3, 2);
  const float values[] = {0.0f, 0.0f, 2.0f, -1.0f, -3.0f, 4.0f};
  std::copy_n(values, 6, x.data());
  const double a = 0.49 + 2.25 * 4.0, b = -2.25 * 2.0, d = 0.49 + 2.25;  // the covariance
  const double det = a * d - b * b;
  double sum = 0.0;
  for (std::int64_t i = 0; i < 3; ++i) {
    const double u = x(i, 0) - (0.5 + 2.0 * 0.3), v = x(i, 1) - (1.0 - 0.3);
    sum += -0.5 * ((d * u * u - 2.0 * b * u * v + a * v * v) / det + std::log(det)) - std::log(2.0 * std::numbers::pi);
  }
  EXPECT_NEAR(small().log_likelihood(x), sum / 3.0, 1e-12);
}

TEST(LinearGaussian, PosteriorIsTheProductOfPriorAndLikelihood) {
  Matrix<float> x(1, 2);
  x(0, 0) = 1.5f;
  x(0, 1) = -0.25f;
  const double precision = 5.0 / 0.49 + 1.0 / 2.25;
  EXPECT_NEAR(small().posterior_covariance()(0, 0), 1.0 / precision, 1e-12);
  const double pull = (2.0 * (1.5 - 0.5) - (-0.25 - 1.0)) / 0.49 + 0.3 / 2.25;
  EXPECT_NEAR(small().posterior_means(x)(0, 0), pull / precision, 1e-12);
}

TEST(LinearGaussian, BestLikelihoodIsReachedByThePrincipalSubspace) {
  // eigenvalues 3, 1.5, 0.25, 0.25 along the axes; s^2 = 0.25
  Matrix<double> W(4, 2);
  W(0, 0) = std::sqrt(2.75);
  W(1, 1) = std::sqrt(1.25);
  const LinearGaussian best(W, {0, 0, 0, 0}, {0, 0}, 0.5, 1.0);
  // rows with exactly this covariance: +-sqrt(4 lambda) along each axis
  const double eigenvalues[] = {3.0, 1.5, 0.25, 0.25};
  Matrix<float> x(8, 4);
  for (std::int64_t d = 0; d < 4; ++d) {
    x(2 * d, d) = static_cast<float>(std::sqrt(4.0 * eigenvalues[d]));
    x(2 * d + 1, d) = -x(2 * d, d);
  }
  const double limit = best_log_likelihood({3.0, 1.5, 0.25, 0.25}, 5.0, 4, 2, 0.5);
  EXPECT_NEAR(best.log_likelihood(x), limit, 1e-6);
  W(0, 0) *= 1.05;
  EXPECT_LT(LinearGaussian(W, {0, 0, 0, 0}, {0, 0}, 0.5, 1.0).log_likelihood(x), limit - 1e-4);
  // a latent that has nothing above the noise to explain does not help
  EXPECT_NEAR(best_log_likelihood({3.0, 1.5, 0.25, 0.25}, 5.0, 4, 3, 0.5), limit, 1e-12);
  EXPECT_LT(best_log_likelihood({3.0, 1.5, 0.25, 0.25}, 5.0, 4, 1, 0.5), limit);
}

TEST(LinearGaussian, DistanceIsTheSineOfTheLargestAngle) {
  const double angle = 0.2;
  Matrix<double> W(3, 2);
  W(0, 0) = 5.0;
  W(1, 1) = std::cos(angle);
  W(2, 1) = std::sin(angle);
  W(0, 1) = 3.0;  // a column is no direction of its own
  Matrix<float> directions(3, 2);
  directions(0, 0) = directions(1, 1) = 1.0f;
  const LinearGaussian model(W, {0, 0, 0}, {0, 0}, 1.0, 1.0);
  EXPECT_NEAR(model.distance_to(directions.view()), std::sin(angle), 1e-9);
}

}  // namespace
}  // namespace tarn
