// What inference samples on the CPU, against closed forms: tests 1 and 4 of docs/hee.md.
#include "compute/hee_law_checks.hpp"
#include "sanitized.hpp"

namespace tarn {
namespace {

std::unique_ptr<HeeSession> on_cpu(const HeeParameters& p, const HeeOptimizer& o) {
  return make_cpu_backend(2)->make_hee_session(p, o);
}

constexpr std::int64_t n_chains = 65536;

HeeDynamics dynamics_of(Integrator integrator, float dt) {
  HeeDynamics d;
  d.integrator = integrator;
  d.dt = dt;
  return d;
}

TEST(HeeLaw, ExactInterneuronsGiveThePosterior) {
  test::expect_posterior(on_cpu, dynamics_of(Integrator::euler_maruyama, 0.05f), false, n_chains);
}

// Both have the exact law of a Gaussian at any stable step.
TEST(HeeLaw, LeimkuhlerMatthewsGivesThePosteriorItself) {
  test::expect_posterior(on_cpu, dynamics_of(Integrator::leimkuhler_matthews, 0.1f), true, n_chains);
}

TEST(HeeLaw, MomentumKeepsThePosterior) {
  HeeDynamics d = dynamics_of(Integrator::baoab, 0.3f);
  d.friction = 1.0f;
  test::expect_posterior(on_cpu, d, true, n_chains);
}

TEST(HeeLaw, SampledInterneuronsGiveTheLyapunovCovariance) {
  HeeDynamics d = dynamics_of(Integrator::euler_maruyama, 0.04f);
  d.interneurons = Interneurons::sampled;
  d.tau_ratio = 0.2f;
  test::expect_posterior(on_cpu, d, false, n_chains / 4);
  d.per_unit = 3;
  d.substeps = 2;
  test::expect_posterior(on_cpu, d, false, n_chains / 4);
}

// Half of the heating is the interneurons' noise, which more of them average out, and half their lag.
TEST(HeeLaw, HeatingShrinksWithTheRatioAsTheoryHasIt) {
  constexpr std::int64_t n = 16384;
  const double error = test::sigmas * std::sqrt(2.0 / static_cast<double>(n));
  for (const float ratio : {0.2f, 0.05f}) {
    for (const int per_unit : {1, 10}) {
      const double expected = interneuron_heating(1.0, 1.0, 1.0, static_cast<double>(ratio), per_unit);
      // Discretisation adds dt/2 times the posterior's rate, 2, on top: 0.02; the bound has room for it.
      EXPECT_NEAR(test::heating(on_cpu, ratio, per_unit, n), expected, expected * error + 0.03)
          << "ratio " << ratio << ", " << per_unit << " a unit";
    }
  }
}

// For every family below a Gaussian unit: exact interneurons give the exact posterior; the excess variance of sampled ones falls with the
// ratio of the time constants. The step of the interneurons is the same, so that only the separation differs.
TEST(HeeLaw, BiasOfSampledInterneuronsFallsForEveryFamily) {
  constexpr std::int64_t n = 16384;
  for (const Family family : {Family::gaussian, Family::laplace, Family::gaussian_scale, Family::laplace_scale,
                              Family::quartic, Family::rectified}) {
    if (test::sanitized && family != Family::laplace && family != Family::rectified) continue;
    SCOPED_TRACE(name_of(family));
    const HeeParameters p = test::one_above(family);
    Matrix<float> x0(1, 3);
    x0(0, 0) = 1.3f;
    x0(0, 1) = 0.4f;
    x0(0, 2) = 0.7f;
    const test::Posterior1d posterior = test::posterior_1d(p, x0);
    const auto moments = [&](HeeDynamics d) {
      return test::moments_of(test::read(*test::relaxed(on_cpu, p, d, x0, n, 6.0), 1, n));
    };
    HeeDynamics d = dynamics_of(Integrator::leimkuhler_matthews, 0.02f);
    const test::Moments exact = moments(d);
    const double scale = std::sqrt(posterior.variance / static_cast<double>(n));
    EXPECT_NEAR(exact.mean[0], posterior.mean, test::sigmas * scale + 0.005);
    EXPECT_NEAR(exact.covariance(0, 0), posterior.variance,
                posterior.variance * (test::sigmas * std::sqrt(2.0 / n) + 0.005));
    d.interneurons = Interneurons::sampled;
    const auto excess = [&](float ratio, int substeps) {
      d.tau_ratio = ratio;
      d.substeps = substeps;
      return moments(d).covariance(0, 0) / exact.covariance(0, 0) - 1.0;
    };
    const double much = excess(0.4f, 1), little = excess(0.1f, 4);
    EXPECT_GT(much, 0.04);
    EXPECT_LT(std::abs(little), 0.5 * much);
  }
}

// dx = (-x - v) dt + sqrt(2) dB, tau_v dv = (m x - v) dt: the variance of x is (1 + m + 1/tau_v) / (1 + m + 1/tau_v + m/tau_v), not 1.
TEST(HeeLaw, ActivityDrivenAdaptationAltersTheLaw) {
  HeeParameters p = test::linear_gaussian();
  p.layers[1].parameters.s = 1.0;
  std::fill_n(p.W[0].data(), 6, 0.0f);
  HeeDynamics d = dynamics_of(Integrator::euler_maruyama, 0.02f);
  d.adaptation_strength = 2.0f;
  d.adaptation_tau = 1.0f;
  Matrix<float> x0(1, 3);
  const test::Moments found =
      test::moments_of(test::read(*test::relaxed(on_cpu, p, d, x0, n_chains, 12.0), 1, n_chains));
  const double expected = (1.0 + 2.0 + 1.0) / (1.0 + 2.0 + 1.0 + 2.0);
  EXPECT_NEAR(found.covariance(1, 1), expected, expected * (test::sigmas * std::sqrt(2.0 / n_chains) + 0.02));
}

}  // namespace
}  // namespace tarn
