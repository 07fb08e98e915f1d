// Annealed importance sampling against closed forms and quadrature. Tolerances are 5 standard errors as the estimate states them (a false
// alarm has probability below 1e-6 for each of some 150 comparisons) and the bias of the log, half a squared error.
#include "tarn/models/hee_likelihood.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "message_of.hpp"
#include "models/annealing.hpp"
#include "normals.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/models/exponential_family.hpp"
#include "tarn/models/hee_model.hpp"
#include "tarn/models/linear_gaussian.hpp"

namespace tarn::test {
namespace {

HeeParameters model(const std::vector<HeeLayer>& layers, std::uint64_t seed, float weight_scale = 0.7f) {
  HeeParameters p;
  p.layers = layers;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    p.b.push_back(normals(1, layers[l].size, seed + l));
    for (std::int64_t i = 0; i < p.b.back().size(); ++i) p.b.back().data()[i] *= 0.3f;
    if (l == 0) continue;
    p.W.push_back(normals(layers[l - 1].size, layers[l].size, seed + 100 + l));
    for (std::int64_t i = 0; i < p.W.back().size(); ++i) p.W.back().data()[i] *= weight_scale;
  }
  return p;
}
HeeParameters linear_gaussian() {
  return model({{8, Family::gaussian, {0.5}, {}}, {4, Family::gaussian, {1.3}, {}}}, 3, 1.0f);
}
Matrix<float> draws_of(const HeeParameters& p, std::int64_t n) { return draw_ancestral(p, 21, 0, 0, n)[0]; }

TEST(HeeLikelihood, IsTheClosedFormOfALinearGaussianModel) {
  const HeeParameters p = linear_gaussian();
  const Matrix<float> x_0 = draws_of(p, 24);
  const LikelihoodEstimate found = annealed_log_likelihood(p, x_0, annealing(400, 48), 5);
  double sum = 0.0;
  for (std::int64_t i = 0; i < x_0.rows(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    const double expected = gaussian_log_likelihood(p, x_0.view().slice(i, i + 1)), error = found.standard_error[k];
    EXPECT_NEAR(found.log_likelihood[k], expected, 5.0 * error + error * error) << "datum " << i;
    EXPECT_GT(error, 0.0);
    EXPECT_LT(error, 0.2) << "an interval as wide as this says nothing";
    EXPECT_GT(found.effective_chains[k], 16.0);
    sum += found.log_likelihood[k];
  }
  EXPECT_DOUBLE_EQ(found.mean, sum / 24.0);
  EXPECT_NEAR(found.mean, gaussian_log_likelihood(p, x_0), 5.0 * found.mean_error + 0.01);
  EXPECT_LT(found.mean_error, 0.04);
  EXPECT_NEAR(found.acceptance, 0.8, 0.07);
}

// Of 200 intervals of 95 %, 190 should cover; 178 or fewer has probability 3e-4 for exact normal errors.
TEST(HeeLikelihood, IntervalsCoverTheClosedForm) {
  const HeeParameters p = linear_gaussian();
  const Matrix<float> x_0 = draws_of(p, 200);
  const LikelihoodEstimate found = annealed_log_likelihood(p, x_0, annealing(60, 64), 6);
  int covered = 0;
  for (std::int64_t i = 0; i < x_0.rows(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    const double expected = gaussian_log_likelihood(p, x_0.view().slice(i, i + 1));
    covered += std::abs(found.log_likelihood[k] - expected) < 1.96 * found.standard_error[k] ? 1 : 0;
  }
  EXPECT_GE(covered, 178);
  EXPECT_LT(covered, 200) << "errors that are stated far too large";
}

double log_density(const HeeParameters& p, int l, std::int64_t unit, double x, double drive) {
  const HeeLayer& layer = p.layers[static_cast<std::size_t>(l)];
  const ExponentialFamily family(layer.family, layer.parameters);
  double a = p.b[static_cast<std::size_t>(l)](0, unit);
  if (l < p.n_latent_layers()) a += p.W[static_cast<std::size_t>(l)](unit, 0) * drive;
  return family.log_density(x, family.link(a));
}
double activity(const HeeParameters& p, int l, double x) {
  const auto& f = p.layers[static_cast<std::size_t>(l)].nonlinearity;
  if (!f) return x;
  return dispatch(*f, [&](auto phi) { return static_cast<double>(activate<phi()>(static_cast<float>(x))); });
}

// Sum over a grid of one latent unit a layer.
double by_quadrature(const HeeParameters& p, const float* x_0) {
  constexpr int n = 1200;
  constexpr double reach = 14.0;
  const double width = 2.0 * reach / n;
  const auto state = [&](int i) { return -reach + (i + 0.5) * width; };
  const auto fit = [&](double x_1) {
    double sum = 0.0;
    for (std::int64_t k = 0; k < p.layers[0].size; ++k) sum += log_density(p, 0, k, x_0[k], activity(p, 1, x_1));
    return sum;
  };
  double total = 0.0;
  if (p.n_latent_layers() == 1) {
    for (int i = 0; i < n; ++i) total += width * std::exp(log_density(p, 1, 0, state(i), 0.0) + fit(state(i)));
    return std::log(total);
  }
  std::vector<double> top(n);
  for (int j = 0; j < n; ++j) top[static_cast<std::size_t>(j)] = log_density(p, 2, 0, state(j), 0.0);
  for (int i = 0; i < n; i += 2) {  // the outer sum may be coarser
    double prior = 0.0;
    for (int j = 0; j < n; j += 2) {
      if (!(top[static_cast<std::size_t>(j)] > -40.0)) continue;
      prior += 2.0 * width *
               std::exp(top[static_cast<std::size_t>(j)] + log_density(p, 1, 0, state(i), activity(p, 2, state(j))));
    }
    total += 2.0 * width * prior * std::exp(fit(state(i)));
  }
  return std::log(total);
}

class HeeLikelihoods : public testing::TestWithParam<Family> {};

void expect_quadrature(const HeeParameters& p) {
  const Matrix<float> x_0 = draws_of(p, 4);
  // A of a quartic layer below another takes a quadrature for every unit and step.
  const bool slow =
      p.layers[0].family == Family::quartic || (p.layers.size() > 2 && p.layers[1].family == Family::quartic);
  const LikelihoodEstimate found = annealed_log_likelihood(p, x_0, slow ? annealing(24, 32) : annealing(100, 64), 8);
  for (std::int64_t i = 0; i < x_0.rows(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    const double error = found.standard_error[k];
    EXPECT_NEAR(found.log_likelihood[k], by_quadrature(p, x_0.row(i)), 5.0 * error + error * error + 0.002);
    EXPECT_LT(error, 0.2);
  }
}

TEST_P(HeeLikelihoods, MatchQuadratureWithThisFamilyOfLatents) {
  expect_quadrature(model({{3, Family::gaussian, {0.6}, {}}, {1, GetParam(), {}, {}}}, 31));
}
TEST_P(HeeLikelihoods, MatchQuadratureWithThisFamilyOfObservations) {
  expect_quadrature(model({{3, GetParam(), {}, {}}, {1, Family::gaussian, {}, Nonlinearity::tanh}}, 32));
}
TEST_P(HeeLikelihoods, MatchQuadratureWithThisFamilyBetweenTwoLayers) {
  expect_quadrature(model(
      {{2, Family::gaussian, {0.6}, {}}, {1, GetParam(), {}, {}}, {1, Family::gaussian, {}, Nonlinearity::tanh}}, 33));
}
INSTANTIATE_TEST_SUITE_P(Families, HeeLikelihoods,
                         testing::Values(Family::gaussian, Family::laplace, Family::gaussian_scale,
                                         Family::laplace_scale, Family::quartic, Family::rectified),
                         [](const auto& of) { return std::string(name_of(of.param)); });

TEST(HeeLikelihood, DoesNotDependOnThreadsNorOnWhatElseIsAsked) {
  const HeeParameters p = linear_gaussian();
  const Matrix<float> x_0 = draws_of(p, 5);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const LikelihoodEstimate one = annealed_log_likelihood(p, x_0, annealing(20, 48), 5);
  omp_set_num_threads(3);
  const LikelihoodEstimate three = annealed_log_likelihood(p, x_0, annealing(20, 48), 5);
  omp_set_num_threads(before);
  EXPECT_EQ(one.log_likelihood, three.log_likelihood);
  EXPECT_EQ(one.acceptance, three.acceptance);
}

TEST(HeeLikelihood, ADatumThatTheModelCannotMakeHasNone) {
  const HeeParameters p = model({{2, Family::rectified, {}, {}}, {1, Family::gaussian, {}, {}}}, 34);
  Matrix<float> x_0(2, 2);
  x_0(0, 0) = x_0(0, 1) = x_0(1, 0) = 0.5f;
  x_0(1, 1) = -0.5f;
  const LikelihoodEstimate found = annealed_log_likelihood(p, x_0, annealing(20, 16), 5);
  EXPECT_TRUE(std::isfinite(found.log_likelihood[0]));
  EXPECT_EQ(found.log_likelihood[1], -INFINITY);
  EXPECT_EQ(found.mean, -INFINITY);
}

TEST(HeeLikelihood, BadRequestsAreRefusedInOneLine) {
  const HeeParameters p = linear_gaussian();
  Matrix<float> x_0 = draws_of(p, 2);
  const auto refusal = [&](const Annealing& a) { return message_of([&] { annealed_log_likelihood(p, x_0, a, 1); }); };
  EXPECT_THAT(refusal(annealing(1, 8)), testing::HasSubstr("2 temperatures or more, found 1"));
  EXPECT_THAT(refusal(annealing(8, 1)), testing::HasSubstr("2 chains a datum or more, found 1"));
  Annealing a;
  a.leapfrog_steps = 0;
  EXPECT_THAT(refusal(a), testing::HasSubstr("1 leapfrog step or more"));
  a = {};
  a.wanted_acceptance = 1.0;
  EXPECT_THAT(refusal(a), testing::HasSubstr("below 1"));
  x_0(1, 3) = NAN;
  EXPECT_THAT(refusal({}), testing::HasSubstr("datum 1 holds nan"));
  x_0 = normals(2, 7);
  EXPECT_THAT(refusal({}), testing::HasSubstr("2 x 7 for a model of 8"));
}

}  // namespace
}  // namespace tarn::test
