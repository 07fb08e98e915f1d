// The local rule: its direction against finite differences of the log-likelihood, its steps against plain restatements, and what it
// finds in the linear-Gaussian case (test 2 of docs/hee.md).
#include "compute/hee_law_checks.hpp"

namespace tarn {
namespace {

std::unique_ptr<HeeSession> on_cpu(const HeeParameters& p, const HeeOptimizer& o) {
  return make_cpu_backend(2)->make_hee_session(p, o);
}

// Draws of x_0 from the linear-Gaussian model with these parameters.
Matrix<float> draws(const HeeParameters& p, std::int64_t n) {
  const std::int64_t n0 = p.layers[0].size, n1 = p.layers[1].size;
  Matrix<float> x(n, n0), xi(n, n0 + n1);
  fill_normals(21, Stream::synthetic_data, 0, 0, 1, xi);
  for (std::int64_t r = 0; r < n; ++r) {
    for (std::int64_t i = 0; i < n0; ++i) {
      x(r, i) = p.b[0](0, i) + static_cast<float>(p.layers[0].parameters.s) * xi(r, i);
      for (std::int64_t j = 0; j < n1; ++j)
        x(r, i) += p.W[0](i, j) * (p.b[1](0, j) + static_cast<float>(p.layers[1].parameters.s) * xi(r, n0 + j));
    }
  }
  return x;
}

// The mean of the collected sums over the posterior is the gradient of the mean log-likelihood. Leimkuhler-Matthews has no bias on
// Gaussians, so what remains is Monte Carlo: bounded by 5.5 standard errors of independent chains (the window can only help).
TEST(HeeLearning, SumsAreTheGradientOfTheLogLikelihood) {
  HeeParameters truth = test::linear_gaussian();
  const Matrix<float> x0 = draws(truth, 64);
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

// Orthonormal basis `[n_0, n]` of the principal subspace of rows, by orthogonal iteration.
Matrix<double> principal_subspace(MatrixView<const float> x, std::int64_t n) {
  const Matrix<double> S = test::moments_of(x).covariance;
  Matrix<double> basis(S.rows(), n);
  for (std::int64_t k = 0; k < n; ++k) basis(k, k) = 1.0;
  for (int round = 0; round < 500; ++round) {
    Matrix<double> next(S.rows(), n);
    for (std::int64_t k = 0; k < n; ++k) {
      for (std::int64_t i = 0; i < S.rows(); ++i) {
        for (std::int64_t j = 0; j < S.rows(); ++j) next(i, k) += S(i, j) * basis(j, k);
      }
      for (std::int64_t m = 0; m < k; ++m) {
        double along = 0.0;
        for (std::int64_t i = 0; i < S.rows(); ++i) along += next(i, k) * next(i, m);
        for (std::int64_t i = 0; i < S.rows(); ++i) next(i, k) -= along * next(i, m);
      }
      double square = 0.0;
      for (std::int64_t i = 0; i < S.rows(); ++i) square += next(i, k) * next(i, k);
      for (std::int64_t i = 0; i < S.rows(); ++i) next(i, k) /= std::sqrt(square);
    }
    basis = next;
  }
  return basis;
}

// Probabilistic PCA (Tipping and Bishop 1999) with the noise given: persistent latents, plain rule, from small random weights.
TEST(HeeLearning, FindsThePrincipalSubspace) {
  HeeParameters truth;
  truth.layers = {{.size = 6, .parameters = {.s = 0.5}}, {.size = 2}};
  truth.W = {Matrix<float>(6, 2)};
  truth.b = {Matrix<float>(1, 6), Matrix<float>(1, 2)};
  const float w[] = {1.2f, 0.0f, -0.8f, 0.5f, 0.3f, 0.9f, 0.6f, -0.7f, 0.0f, 0.4f, -0.5f, 0.2f};
  std::copy_n(w, 12, truth.W[0].data());
  truth.b[0](0, 2) = 1.0f;
  const Matrix<float> x0 = draws(truth, 1024);

  HeeParameters p = truth;
  fill_normals(4, Stream::weight_init, 0, 0, 1, p.W[0]);
  for (std::int64_t i = 0; i < p.W[0].size(); ++i) p.W[0].data()[i] *= 0.1f;
  p.b[0](0, 2) = 0.0f;
  const auto session = on_cpu(p, {});
  session->set_rows({.n_data = 1024});
  session->set_observations(x0);
  HeeDynamics d;
  d.integrator = Integrator::leimkuhler_matthews;
  d.dt = 0.1f;
  session->reset(d, 5, 0, 1.0f);
  std::uint64_t step = 0;
  // The rate falls, so that the noise of the chains averages out at the end.
  for (int round = 0; round < 300; ++round, step += 5) {
    session->infer(d, {.seed = 5, .first_step = step, .n_steps = 5, .statistics = true});
    session->learn(std::vector<double>{round < 150 ? 0.2 : 0.2 * 30.0 / (round - 120)});
  }
  HeeParameters found = session->parameters();
  for (std::int64_t j = 0; j < 2; ++j)
    EXPECT_NEAR(found.b[1](0, j), 0.0f, 0.5f);  // along which the likelihood is flat, with b[0]

  // The maximum of the likelihood, given s: where the gradient vanishes. At 1024 data the truth itself is 12/2/1024 = 0.006 nats below it.
  const double best = gaussian_log_likelihood(truth, x0), reached = gaussian_log_likelihood(found, x0);
  EXPECT_GT(reached, best - 0.002) << "the truth has " << best;
  const Matrix<double> basis = principal_subspace(x0, 2);
  for (std::int64_t j = 0; j < 2; ++j) {
    double square = 0.0, inside = 0.0;
    for (std::int64_t i = 0; i < 6; ++i) square += std::pow(static_cast<double>(found.W[0](i, j)), 2);
    for (std::int64_t k = 0; k < 2; ++k) {
      double along = 0.0;
      for (std::int64_t i = 0; i < 6; ++i) along += basis(i, k) * static_cast<double>(found.W[0](i, j));
      inside += along * along;
    }
    EXPECT_GT(inside / square, 0.99) << "column " << j;
  }
}

}  // namespace
}  // namespace tarn
