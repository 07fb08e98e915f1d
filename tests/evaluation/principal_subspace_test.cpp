// Probabilistic PCA: the best likelihood of a linear-Gaussian model, and angles between subspaces.
#include "tarn/evaluation/principal_subspace.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace tarn {
namespace {

// Mean log density of N(0, diag(model)) on data of covariance diag(data).
double log_density(const std::vector<double>& model, const std::vector<double>& data) {
  double sum = 0.0;
  for (std::size_t d = 0; d < model.size(); ++d)
    sum -= 0.5 * (std::log(2.0 * std::numbers::pi * model[d]) + data[d] / model[d]);
  return sum;
}

TEST(PrincipalSubspace, BestLikelihoodIsThatOfTheBestDiagonalModel) {
  const std::vector<double> data{3.0, 1.5, 0.4, 0.1};  // s^2 = 0.25
  const double best = best_log_likelihood(data, 5.0, 4, 2, 0.5);
  EXPECT_NEAR(best, log_density({3.0, 1.5, 0.25, 0.25}, data), 1e-12);
  // near it nothing is better, and another choice of directions is not either
  EXPECT_GT(best, log_density({3.1, 1.5, 0.25, 0.25}, data));
  EXPECT_GT(best, log_density({3.0, 1.4, 0.25, 0.25}, data));
  EXPECT_GT(best, log_density({3.0, 0.25, 0.4, 0.25}, data));
  // a latent more explains 0.4; a further one has nothing above the noise to explain
  EXPECT_NEAR(best_log_likelihood(data, 5.0, 4, 3, 0.5), log_density({3.0, 1.5, 0.4, 0.25}, data), 1e-12);
  EXPECT_NEAR(best_log_likelihood(data, 5.0, 4, 4, 0.5), best_log_likelihood(data, 5.0, 4, 3, 0.5), 1e-12);
  // only the first eigenvalues need be known
  EXPECT_NEAR(best_log_likelihood({3.0, 1.5}, 5.0, 4, 2, 0.5), best, 1e-12);
}

TEST(PrincipalSubspace, DistanceIsTheSineOfTheLargestAngle) {
  const double angle = 0.2;
  Matrix<float> W(3, 3);
  W(0, 0) = 5.0f;
  W(1, 1) = static_cast<float>(std::cos(angle));
  W(2, 1) = static_cast<float>(std::sin(angle));
  W(0, 1) = 3.0f;                                                           // a column is no direction of its own
  for (std::int64_t d = 0; d < 3; ++d) W(d, 2) = 2.0f * W(d, 0) - W(d, 1);  // nor does this one add any
  Matrix<float> directions(3, 2);
  directions(0, 0) = directions(1, 1) = 1.0f;
  EXPECT_NEAR(subspace_distance(W, directions), std::sin(angle), 1e-6);
  Matrix<float> within(3, 1);
  within(0, 0) = 1.0f;
  EXPECT_NEAR(subspace_distance(W, within), 0.0, 1e-6);
}

}  // namespace
}  // namespace tarn
