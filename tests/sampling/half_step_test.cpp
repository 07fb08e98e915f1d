// Steps of half the length on a well whose law is known for any step (docs/models.md, section 1).
#include "tarn/sampling/half_step.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "linear_network.hpp"
#include "sampling/networks.hpp"
#include "tarn/core/error.hpp"

namespace tarn::test {
namespace {

constexpr double k[] = {1.0, 4.0};  // stiffness of the well along each output

// f = -k x.
SamplingNetwork well() {
  Matrix<double> map(2, 2);
  for (int d = 0; d < 2; ++d) map(d, d) = 1.0 - k[d];
  return linear_network(map);
}

struct Setting {
  Integrator integrator = Integrator::euler_maruyama;
  double dt = 0.1, friction = 0.0;
  std::int64_t n_chains = 400, n_steps = 600;
};

HalfStepCheck check(const SamplingNetwork& network, const Setting& s, const HalfStepPlan& more = {}) {
  const auto backend = make_cpu_backend(1);
  const Prepared prepared(*backend, network);
  HalfStepPlan plan = more;
  plan.network = prepared.network.get();
  plan.integrator = s.integrator;
  plan.dt = s.dt;
  plan.friction = s.friction;
  plan.n_steps = s.n_steps;
  plan.seed = 11;
  Matrix<float> start = normals(s.n_chains, network.n_outputs, 7, 0.5);
  if (plan.start.rows == 0) plan.start = start.view();
  return check_half_step(*backend, plan);
}

// 1 / (k (1 - k dt / 2)), exactly.
double euler_variance(int d, double dt) { return 1.0 / (k[d] * (1.0 - 0.5 * k[d] * dt)); }

// v <- c v + sqrt(1 - c^2) xi with c = exp(-gamma dt/2), twice, is the step of length dt: c^2 and sqrt(1 - c^4).
TEST(HalfStep, NormalsOfHalvesComeToThatOfTheStep) {
  for (const double decay : {0.01, 0.5, 6.0}) {
    const HalfNormals w = half_normals(Integrator::baoab, 0.3, decay / 0.3);
    const double c = std::exp(-0.5 * decay), of_half = std::sqrt(1.0 - c * c), of_step = std::sqrt(1.0 - c * c * c * c);
    EXPECT_NEAR(of_step * w.first, c * of_half, 1e-12);
    EXPECT_NEAR(of_step * w.second, of_half, 1e-12);
  }
  for (const Integrator plain : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews}) {
    EXPECT_NEAR(half_normals(plain, 0.3, 0.0).first, std::sqrt(0.5), 1e-12);
    EXPECT_NEAR(half_normals(plain, 0.3, 0.0).second, std::sqrt(0.5), 1e-12);
  }
}

// Ten figures at five standard errors: false alarm below 6e-6. A wrong variance of the coarse noise moves them by hundreds.
TEST(HalfStep, EulersBiasOfTheVarianceIsSeenAndIsOfFirstOrder) {
  for (const double dt : {0.02, 0.1}) {
    SCOPED_TRACE(dt);
    const HalfStepCheck c = check(well(), {.dt = dt, .n_steps = dt < 0.05 ? 3000 : 800});
    EXPECT_EQ(c.n_lost, 0);
    double change = 0.0, spread = 0.0;
    for (int d = 0; d < 2; ++d) {
      const double expected = euler_variance(d, dt) - euler_variance(d, 0.5 * dt);
      change += expected;
      spread += euler_variance(d, 0.5 * dt);
      const auto at = static_cast<std::size_t>(d);
      EXPECT_NEAR(c.mean_square[at].value, expected, 5.0 * c.mean_square[at].error) << d;
      EXPECT_NEAR(c.mean[at].value, 0.0, 5.0 * c.mean[at].error) << d;
      EXPECT_LT(c.mean_square[at].error, 0.2 * expected) << "the bias stands out of the noise";
      // independent chains of variance v and of correlation time 1/k would leave sqrt(2) sqrt(2 v^2 / (n T k / 2)) or more
      const double independent = 2.0 / k[d] / std::sqrt(0.5 * 400.0 * 0.5 * c.time * k[d]);
      EXPECT_LT(c.mean_square[at].error, 0.35 * independent) << "the two share their noise";
    }
    EXPECT_NEAR(c.total.value, change / spread, 5.0 * c.total.error);
  }
  // and what dt/2 itself is off by is made up for, to first order
  const double dt = 0.02, seen = euler_variance(0, dt) / euler_variance(0, 0.5 * dt) - 1.0;
  EXPECT_NEAR(extrapolated(seen, 1), euler_variance(0, dt) * k[0] - 1.0, 0.02 * dt);
}

// No error in the variance of a well: none is seen. Eight figures at five standard errors.
TEST(HalfStep, NothingIsSeenWhereThereIsNoBias) {
  const Setting settings[] = {{.integrator = Integrator::leimkuhler_matthews, .dt = 0.1, .n_steps = 800},
                              {.integrator = Integrator::baoab, .dt = 0.3, .friction = 1.5, .n_steps = 400}};
  for (const Setting& s : settings) {
    const HalfStepCheck c = check(well(), s);
    for (std::size_t d = 0; d < 2; ++d) {
      EXPECT_NEAR(c.mean_square[d].value, 0.0, 5.0 * c.mean_square[d].error) << d;
      EXPECT_NEAR(c.spread[d], 1.0 / k[d], 0.05 / k[d]) << d;
      EXPECT_LT(c.mean_square[d].error, 0.05 / k[d]) << d;
    }
    EXPECT_LT(c.path, 0.3) << "of one path";
  }
}

// Where paths come together the strong error falls with the step: of first order, noise being additive.
TEST(HalfStep, PathsComeTogetherWithTheStep) {
  for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews, Integrator::baoab}) {
    const double friction = integrator == Integrator::baoab ? 1.5 : 0.0;
    const double coarse = check(well(), {.integrator = integrator, .dt = 0.08, .friction = friction}).path;
    const double fine = check(well(), {.integrator = integrator, .dt = 0.02, .friction = friction}).path;
    EXPECT_LT(coarse, 0.3);
    EXPECT_LT(fine, 0.55 * coarse) << "half order at the least, whatever the integrator";
  }
}

TEST(HalfStep, LostChainsAreCountedAndLeftOut) {
  const Matrix<float> start = [] {
    Matrix<float> x = normals(100, 2, 7, 0.5);
    x(3, 0) = std::numeric_limits<float>::quiet_NaN();
    x(40, 1) = 1e6f;
    return x;
  }();
  HalfStepPlan plan;
  plan.start = start.view();
  plan.bound = 50.0;
  const HalfStepCheck c = check(well(), {.n_steps = 100}, plan);
  EXPECT_EQ(c.n_lost, 2);
  EXPECT_EQ(c.n_chains, 98);
  EXPECT_TRUE(std::isfinite(c.total.value) && std::isfinite(c.path));
  plan.bound = 1e-6;
  const HalfStepCheck none = check(well(), {.n_steps = 100}, plan);
  EXPECT_EQ(none.n_chains, 0);
  EXPECT_TRUE(std::isnan(none.total.value)) << "nothing is known of chains that were all lost";
}

TEST(HalfStep, HeldOutputsStayAndInputsArrive) {
  SamplingNetwork network = some_network(Nonlinearity::tanh, 2, 1, 16);
  const Matrix<float> inputs = normals(50, 1, 9), start = normals(50, 2, 7);
  Matrix<float> clamp(1, 2);
  clamp(0, 0) = 0.75f;
  clamp(0, 1) = std::numeric_limits<float>::quiet_NaN();
  HalfStepPlan plan;
  plan.start = start.view();
  plan.inputs = inputs.view();
  plan.clamp = clamp.view();
  const HalfStepCheck c = check(network, {.n_chains = 50, .n_steps = 40}, plan);
  EXPECT_EQ(c.mean[0].value, 0.0);
  EXPECT_EQ(c.mean_square[0].value, 0.0);
  EXPECT_NE(c.mean[1].value, 0.0);
  plan.inputs = inputs.view();
  const Matrix<float> others = normals(50, 1, 10);
  plan.inputs = others.view();
  EXPECT_NE(check(network, {.n_chains = 50, .n_steps = 40}, plan).spread[1], c.spread[1]);
}

TEST(HalfStep, RefusesWhatDoesNotFit) {
  const auto refusal = [](const Setting& s, const HalfStepPlan& plan = {}) -> std::string {
    try {
      check(well(), s, plan);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refusal({.dt = 0.0}), testing::HasSubstr("dt must be above 0"));
  EXPECT_THAT(refusal({.n_steps = 1}), testing::HasSubstr("two steps or more, found 1"));
  EXPECT_THAT(refusal({.integrator = Integrator::baoab}), testing::HasSubstr("friction must be above 0"));
  const Matrix<float> wrong(10, 3);
  HalfStepPlan plan;
  plan.start = wrong.view();
  EXPECT_THAT(refusal({}, plan), testing::HasSubstr("start must be [n, 2], found [10, 3]"));
}

}  // namespace
}  // namespace tarn::test
