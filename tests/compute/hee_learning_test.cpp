// The local rule: its direction against finite differences of the log-likelihood, its steps against plain restatements, and what it
// finds in the linear-Gaussian case (test 2 of docs/hee.md).
#include "compute/hee_learning_checks.hpp"

namespace tarn {
namespace {

std::unique_ptr<HeeSession> on_cpu(const HeeParameters& p, const HeeOptimizer& o) {
  return make_cpu_backend(2)->make_hee_session(p, o);
}

// The mean of the collected sums over the posterior is the gradient of the mean log-likelihood. Leimkuhler-Matthews has no bias on
// Gaussians, so what remains is Monte Carlo: bounded by 5.5 standard errors of independent chains (the window can only help).
TEST(HeeLearning, SumsAreTheGradientOfTheLogLikelihood) {
  HeeParameters truth = test::linear_gaussian();
  const Matrix<float> x0 = test::draws(truth, 64);
  HeeParameters p = truth;
  p.W[0](0, 0) += 0.3f;  // away from the optimum, so that the gradient is not zero
  p.W[0](2, 1) -= 0.5f;
  p.b[0](0, 1) += 0.4f;
  p.b[1](0, 0) -= 0.6f;
  HeeDynamics d;
  d.integrator = Integrator::leimkuhler_matthews;
  d.dt = 0.1f;
  constexpr std::int64_t chains = 2048;
  const auto session = test::relaxed(on_cpu, p, d, x0, chains, 14.0);
  session->infer(d, {.seed = 11, .first_step = 140, .n_steps = 100, .statistics = true});
  const HeeParameters gradient = session->gradient();

  const auto n = static_cast<double>(x0.rows() * chains);
  const auto check = [&](Matrix<float>& values, const Matrix<float>& found, double spread, const char* what) {
    for (std::int64_t i = 0; i < values.size(); ++i) {
      constexpr float h = 1e-2f;
      const float at = values.data()[i];
      values.data()[i] = at + h;
      const double above = gaussian_log_likelihood(p, x0);
      values.data()[i] = at - h;
      const double below = gaussian_log_likelihood(p, x0);
      values.data()[i] = at;
      const double expected = (above - below) / (2.0 * static_cast<double>(h));
      EXPECT_NEAR(static_cast<double>(found.data()[i]), expected, test::sigmas * spread / std::sqrt(n) + 1e-3)
          << what << " " << i;
    }
  };
  // Given the data, an error has a standard deviation of 1 about a mean of up to 3, a latent one of 0.55 about a mean of up to 2.
  check(p.W[0], gradient.W[0], 2.6, "W");
  check(p.b[0], gradient.b[0], 1.2, "b of layer 0");
  check(p.b[1], gradient.b[1], 0.5, "b of layer 1");
}

// Steps of the rule from the sums that the session itself reports.
TEST(HeeLearning, PlainStepsAreScaledAndColumnsNormalised) {
  const HeeParameters p = test::some_hee({{9, 21, 5}, {Family::gaussian, Family::quartic, Family::gaussian}});
  HeeOptimizer optimizer;
  optimizer.normalise_columns = {true, false};
  const auto session = on_cpu(p, optimizer);
  test::start(*session, {.n_data = 40});
  session->infer({}, {.seed = 1, .n_steps = 4, .statistics = true});
  const HeeParameters gradient = session->gradient();
  const HeeStatistics s = session->statistics();
  session->learn(std::vector<double>{0.3, 0.05});
  for (std::size_t l = 1; l <= 2; ++l) {
    // s = 0.8 for the Gaussian layer 0; layer 1 is quartic
    const double scale = l == 1 ? 0.64 : 1.0 / s.error[1];
    const double rate = l == 1 ? 0.3 : 0.05;
    const double variance = s.activity_2[l - 1] - s.activity[l - 1] * s.activity[l - 1];
    for (std::int64_t j = 0; j < p.W[l - 1].cols(); ++j) {
      double norm = 0.0;
      std::vector<double> column;
      for (std::int64_t i = 0; i < p.W[l - 1].rows(); ++i) {
        column.push_back(static_cast<double>(p.W[l - 1](i, j)) +
                         rate * scale / (variance + 1e-6) * static_cast<double>(gradient.W[l - 1](i, j)));
        norm += column.back() * column.back();
      }
      norm = l == 1 ? std::sqrt(norm) : 1.0;
      for (std::size_t i = 0; i < column.size(); ++i)
        ASSERT_NEAR(static_cast<double>(session->parameters().W[l - 1](static_cast<std::int64_t>(i), j)),
                    column[i] / norm, 2e-6);
    }
    for (std::int64_t i = 0; i < p.layers[l - 1].size; ++i)
      ASSERT_NEAR(static_cast<double>(session->parameters().b[l - 1](0, i)),
                  static_cast<double>(p.b[l - 1](0, i)) + rate * scale * static_cast<double>(gradient.b[l - 1](0, i)),
                  2e-6);
  }
  EXPECT_THROW(session->learn(std::vector<double>{0.3, 0.05}), Error);  // its statistics are spent
}

// Adam's first step has the size of the rate, in the direction of the gradient; a rate of 0 leaves a layer alone.
TEST(HeeLearning, AdamClimbs) {
  const HeeParameters p = test::some_hee({{9, 21, 5}, {Family::gaussian, Family::quartic, Family::gaussian}});
  HeeOptimizer optimizer;
  optimizer.rule = HeeRule::adam;
  const auto session = on_cpu(p, optimizer);
  test::start(*session, {.n_data = 40});
  session->infer({}, {.seed = 1, .n_steps = 4, .statistics = true});
  const HeeParameters gradient = session->gradient();
  session->learn(std::vector<double>{1e-2, 0.0});
  for (std::int64_t i = 0; i < p.W[0].size(); ++i) {
    const float g = gradient.W[0].data()[i], step = session->parameters().W[0].data()[i] - p.W[0].data()[i];
    if (std::abs(g) > 1e-3f) {
      ASSERT_NEAR(step, std::copysign(1e-2f, g), 2e-5f);
    }
  }
  EXPECT_EQ(session->parameters().W[1], p.W[1]);
  EXPECT_EQ(session->parameters().b[1], p.b[1]);
  EXPECT_NE(session->parameters().b[0], p.b[0]);
}

// With interneurons that are not infinitely fast, learning settles elsewhere: for one unit above another of unit widths and data of variance v,
// 1 + w^2 = v (1 + rho)/(1 - rho) (docs/hee.md, section 3). Here that is 1.44 where maximum likelihood has 1.
TEST(HeeLearning, SampledInterneuronsBiasTheWeightsAsTheoryHasIt) {
  HeeParameters p;
  p.layers = {{.size = 1}, {.size = 1}};
  p.W = {Matrix<float>(1, 1)};
  p.W[0](0, 0) = 0.8f;
  p.b = {Matrix<float>(1, 1), Matrix<float>(1, 1)};
  Matrix<float> x0(4096, 1);
  fill_normals(31, Stream::synthetic_data, 0, 0, 1, x0);
  double square = 0.0;
  for (std::int64_t i = 0; i < x0.size(); ++i) square += std::pow(static_cast<double>(x0.data()[i]), 2);
  const auto scale = static_cast<float>(std::sqrt(2.0 * static_cast<double>(x0.size()) / square));
  for (std::int64_t i = 0; i < x0.size(); ++i) x0.data()[i] *= scale;  // variance 2, whatever was drawn
  HeeOptimizer optimizer;
  optimizer.learn_biases = false;
  const auto session = on_cpu(p, optimizer);
  session->set_rows({.n_data = x0.rows()});
  session->set_observations(x0);
  HeeDynamics d;
  d.integrator = Integrator::leimkuhler_matthews;
  d.dt = 0.005f;
  d.interneurons = Interneurons::sampled;
  d.tau_ratio = 0.1f;
  session->reset(d, 5, 0, 1.0f);
  double mean = 0.0;
  constexpr int n_rounds = 150, n_last = 75;
  for (int round = 0; round < n_rounds; ++round) {
    session->infer(
        d, {.seed = 5, .first_step = static_cast<std::uint64_t>(round) * 20, .n_steps = 20, .statistics = true});
    session->learn(std::vector<double>{0.3});
    const auto w = static_cast<double>(session->parameters().W[0](0, 0));
    if (round >= n_rounds - n_last) mean += w * w / n_last;
  }
  // Chains: 4096 data over some 10 independent times, about 0.02. The step, a twentieth of tau_e, makes interneurons quicker by as much.
  EXPECT_NEAR(mean, 2.0 * 1.1 / 0.9 - 1.0, 0.1);
}

// Test 2 of docs/hee.md.
TEST(HeeLearning, FindsThePrincipalSubspace) { test::expect_principal_subspace(on_cpu, 1024, 300); }

}  // namespace
}  // namespace tarn
