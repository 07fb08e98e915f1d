// The comparison of inference with and without adaptation, where everything is known.
#include <gtest/gtest.h>

#include <cmath>

#include "adaptation_trials.hpp"
#include "tarn/models/hee_stability.hpp"

namespace tarn {
namespace {

// The exact moments of the law are those of its chains: 200 chains, 800 draws some 12 to an autocorrelation time, so that a mean has a
// standard error of sqrt(12 / 160000) = 0.9 % of a standard deviation, and a variance one of 1.2 %. Five of them.
TEST(Adaptation, TheGaussianHasTheMomentsItSays) {
  const auto backend = make_cpu_backend(1);
  const AdaptationLaw law = gaussian_law(3, 25.0, 200);
  EXPECT_NEAR(law.variance[0] / law.variance[2], 25.0, 1e-4);
  EXPECT_NEAR(largest_curvature(law.parameters), 1.0 / law.variance[2], 1e-3 / law.variance[2]);
  LawChains chains(law, *backend, 3, 0);
  const AdaptationMethod momentum = adaptation_methods()[2];
  chains.use(momentum, 0.6 * momentum.largest_step(1.0 / law.variance[2]), 1.0);
  chains.start_at_zero();
  chains.advance(200);
  const SamplerSpeed speed = measure_speed(chains);
  EXPECT_EQ(speed.n_lost, 0);
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_NEAR(speed.mean(0, static_cast<std::int64_t>(k)), law.mean(0, static_cast<std::int64_t>(k)),
                0.045 * std::sqrt(law.variance[k]));
    EXPECT_NEAR(speed.variance[k] / law.variance[k], 1.0, 0.06);
  }
}

// x' = (1 - k h) x + noise: rho_n = (1 - k h)^n, so Euler-Maruyama's time along the widest direction is 2/(k h) - 1, and its variance is too
// large by 1/(1 - k h / 2) in the narrowest.
TEST(Adaptation, EulerMaruyamaIsAsSlowAndAsWideAsItsRecursionSays) {
  const auto backend = make_cpu_backend(1);
  const AdaptationLaw law = gaussian_law(2, 10.0, 200);
  LawChains chains(law, *backend, 3, 0);
  const double h = 0.3 * law.variance[1];
  chains.use(adaptation_methods()[0], h, 0.0);
  chains.start_at_zero();
  chains.advance(400);
  const SamplerSpeed speed = measure_speed(chains);
  const double expected = 2.0 * law.variance[0] / h - 1.0;
  EXPECT_EQ(speed.x.coordinate, 0);
  EXPECT_NEAR(speed.x.time, expected, 5.0 * speed.x.standard_error);
  EXPECT_NEAR(variance_bias(speed.variance, law.variance), 1.0 / (1.0 - 0.15) - 1.0, 0.06);
}

// Along the wide direction Leimkuhler-Matthews needs some 2 k_max / (2 k_min) = 100 evaluations, its step being bounded by 2 / k_max; with
// momentum it is some 2 / (2 sqrt(k_min / k_max)) = 10.
TEST(Adaptation, MomentumIsFasterAtEachMethodsBestStepAndKeepsTheVariance) {
  const auto backend = make_cpu_backend(1);
  const AdaptationLaw law = gaussian_law(2, 100.0, 60);
  LawChains start(law, *backend, 3, 0);
  const auto methods = adaptation_methods();
  start.use(methods[1], 0.3 * methods[1].largest_step(1.0 / law.variance[1]), 0.0);
  start.start_at_zero();
  start.advance(2000);
  const auto plain = search_best_step(methods[1], law, *backend, start.latents(), 3, std::uint64_t{1} << 32);
  const auto momentum = search_best_step(methods[2], law, *backend, start.latents(), 3, std::uint64_t{2} << 32);
  ASSERT_NE(plain.best(), nullptr);
  ASSERT_NE(momentum.best(), nullptr);
  EXPECT_GT(plain.best()->speed.worst().time, 5.0 * momentum.best()->speed.worst().time);
  EXPECT_LT(plain.best()->speed.worst().time, 150.0);
  for (const AdaptationTrial& trial : momentum.trials) {
    if (trial.speed.n_lost > 0 || !trial.speed.settled) continue;
    EXPECT_LT(std::abs(trial.bias), 0.1) << trial.share;
  }
}

// The activity-driven current is no momentum: with tau_v dv = -v + m x and dx = (-k x - v) dt + noise the variance is
// 1 / (k + w m / (k + m + w)), w = 1 / tau_v, not 1/k. Steps of 0.02 add a relative error of about 1 %; 4 standard errors of 0.7 %.
TEST(Adaptation, TheActivityDrivenCurrentAltersTheLaw) {
  const auto backend = make_cpu_backend(1);
  AdaptationLaw law = gaussian_law(1, 1.0, 20000);
  const auto session = backend->make_hee_session(law.parameters, {});
  HeeRows rows;
  rows.n_data = 1;
  rows.chains_per_datum = 20000;
  session->set_rows(rows);
  session->set_observations(law.observations);
  const double k = 1.0 / law.variance[0];
  for (const double tau : {0.1, 0.2, 1.0}) {
    HeeDynamics dynamics;
    dynamics.integrator = Integrator::leimkuhler_matthews;
    dynamics.dt = 0.02f;
    dynamics.adaptation_strength = 2.0f;
    dynamics.adaptation_tau = static_cast<float>(tau);
    session->reset(dynamics, 3, 0, 0.0f);
    HeeSteps steps;
    steps.seed = 3;
    steps.n_steps = 1000;
    session->infer(dynamics, steps);
    Matrix<float> x(20000, 1);
    session->read(1, x);
    double mean = 0.0, square = 0.0;
    for (std::int64_t i = 0; i < x.rows(); ++i) {
      mean += x(i, 0) / 20000.0;
      square += static_cast<double>(x(i, 0)) * x(i, 0) / 20000.0;
    }
    const double w = 1.0 / tau, m = 2.0, expected = 1.0 / (k + w * m / (k + m + w));
    EXPECT_NEAR((square - mean * mean) / expected, 1.0, 0.05) << "tau_v " << tau;
    if (tau <= 0.2) {
      EXPECT_LT(expected, 0.45);
      EXPECT_GT(expected, 0.37);
    }
  }
}

}  // namespace
}  // namespace tarn
