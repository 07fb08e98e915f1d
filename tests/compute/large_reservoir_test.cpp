// Reservoir mode against double, against output mode with the same noise, and against the golden vectors.
#include <gtest/gtest.h>

#include <cmath>

#include "compute/large_reference.hpp"
#include "large_langevin.hpp"

namespace tarn::cpu {
namespace {

using test::half_ulp;
using test::LargeCase;
using test::normal_matrix;

// P = W_out^T (W_out W_out^T)^-1 by Gauss-Jordan in double.
Matrix<float> right_inverse(const LargeCase& net) {
  const std::int64_t D = net.D, N = net.N;
  Matrix<double> a(D, 2 * D);
  for (std::int64_t i = 0; i < D; ++i) {
    a(i, D + i) = 1.0;
    for (std::int64_t k = 0; k < D; ++k) {
      for (std::int64_t j = 0; j < N; ++j) a(i, k) += static_cast<double>(net.W_out(i, j)) * net.W_out(k, j);
    }
  }
  for (std::int64_t p = 0; p < D; ++p) {  // positive definite: no pivoting needed
    const double pivot = a(p, p);
    for (std::int64_t k = 0; k < 2 * D; ++k) a(p, k) /= pivot;
    for (std::int64_t i = 0; i < D; ++i) {
      const double factor = i == p ? 0.0 : a(i, p);
      for (std::int64_t k = 0; k < 2 * D; ++k) a(i, k) -= factor * a(p, k);
    }
  }
  Matrix<float> P(N, D);
  for (std::int64_t j = 0; j < N; ++j) {
    for (std::int64_t d = 0; d < D; ++d) {
      double sum = 0.0;
      for (std::int64_t i = 0; i < D; ++i) sum += net.W_out(i, j) * a(i, D + d);
      P(j, d) = static_cast<float>(sum);
    }
  }
  return P;
}

struct Reservoir {
  Matrix<float> r, x, u, clamp, P;
  std::vector<std::int64_t> bad;

  Reservoir(const LargeCase& net, std::int64_t n)
      : r(normal_matrix(n, net.N, 20)),
        x(n, net.D),
        u(normal_matrix(n, net.U, 21)),
        P(right_inverse(net)),
        bad(static_cast<std::size_t>(n), -1) {}
  ReservoirBlock block() {
    ReservoirBlock b;
    b.chains.x = x;
    b.chains.u = u;
    if (!clamp.empty()) b.chains.clamp = clamp;
    b.chains.first_bad_step = bad.data();
    b.r = r;
    b.P = P;
    return b;
  }
};

LangevinSteps some_steps(std::int64_t n, Integrator integrator = Integrator::euler_maruyama) {
  LangevinSteps s;
  s.integrator = integrator;
  s.dt = 0.01f;
  s.seed = 5;
  s.first_chain = 3;
  s.first_step = 11;
  s.n_steps = n;
  return s;
}

std::vector<double> outputs(const LargeCase& net, const float* r) {
  std::vector<double> x(static_cast<std::size_t>(net.D));
  for (std::int64_t d = 0; d < net.D; ++d) {
    for (std::int64_t j = 0; j < net.N; ++j)
      x[static_cast<std::size_t>(d)] += static_cast<double>(net.W_out(d, j)) * r[j];
  }
  return x;
}

// One step of all of r against double: r' = r + dt (-r + phi) + (noise + dt (f - g)) P^T, g = -x + phi W_out^T.
void expect_one_step(const LargeCase& net, std::int64_t n, const LangevinSteps& steps) {
  Reservoir state(net, n);
  const Matrix<float> before = state.r;
  advance_reservoir_large(LargeNetwork(net.view()), steps, state.block(), 2);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::vector<double> x = outputs(net, before.row(i));
    std::vector<float> rounded(x.begin(), x.end());
    const auto f = test::reference_drift(net, rounded.data(), state.u.row(i)),
               g = test::reference_drift(net, rounded.data(), state.u.row(i), false);
    const auto noise =
        test::reference_noise(steps, steps.first_chain + static_cast<std::uint64_t>(i), steps.first_step, net.D);
    for (std::int64_t j = 0; j < net.N; ++j) {
      double u = net.b.data()[j], size = 0.0, kick = 0.0, kick_size = 0.0;
      for (std::int64_t k = 0; k < net.D + net.U; ++k) {
        const double w = net.W_in(j, k);
        u += w * (k < net.D ? x[static_cast<std::size_t>(k)] : state.u(i, k - net.D));
        // x itself is a sum of N terms of about W_out r
        size += std::fabs(w) * static_cast<double>(net.N);
      }
      for (std::int64_t d = 0; d < net.D; ++d) {
        const auto at = static_cast<std::size_t>(d);
        const double y = noise[at] + static_cast<double>(steps.dt) * (f[at].value - g[at].value);
        kick += y * state.P(j, d);
        kick_size += std::fabs(state.P(j, d)) * (std::fabs(y) * static_cast<double>(net.D + 4) +
                                                 steps.dt * (f[at].error + g[at].error) / half_ulp);
      }
      const double expected =
          before(i, j) + static_cast<double>(steps.dt) * (-before(i, j) + test::reference_phi(net.phi, u)) + kick;
      const double bound =
          half_ulp * (4 * std::fabs(before(i, j)) + steps.dt * (size + 8 * std::fabs(u) + 8) + kick_size);
      ASSERT_NEAR(state.r(i, j), expected, bound) << "chain " << i << ", neuron " << j;
    }
    const std::vector<double> after = outputs(net, state.r.row(i));
    for (std::int64_t d = 0; d < net.D; ++d) ASSERT_NEAR(state.x(i, d), after[static_cast<std::size_t>(d)], 1e-5);
  }
}

TEST(LargeReservoir, StepMatchesDouble) {
  for (const Nonlinearity phi : test::all_nonlinearities) {
    for (const std::int64_t n : {1, 33}) {
      expect_one_step(LargeCase(phi, 17, 3, 257), n, some_steps(1));
      expect_one_step(LargeCase(phi, 2, 0, 33), n, some_steps(1, Integrator::leimkuhler_matthews));
    }
  }
}

TEST(LargeReservoir, IrreversibleDriftAndShiftMatchDouble) {
  LargeCase net(Nonlinearity::tanh, 17, 1, 100);
  net.add_map();
  net.add_shift();
  expect_one_step(net, 33, some_steps(1));
}

// The output of the reservoir follows the output dynamics: with the same noise, both agree to rounding, which a drift
// that contracts (as -x does here) keeps from growing.
TEST(LargeReservoir, AgreesWithOutputModeOverManySteps) {
  for (const bool irreversible : {false, true}) {
    LargeCase net(Nonlinearity::relu, 18, 0, 150);
    if (irreversible) net.add_map();
    for (std::int64_t i = 0; i < net.W_out.size(); ++i) net.W_out.data()[i] *= 0.3f;
    const LargeNetwork prepared(net.view());
    for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews}) {
      Reservoir state(net, 40);
      advance_reservoir_large(prepared, some_steps(0), state.block(), 2);
      Matrix<float> x = state.x;
      std::vector<std::int64_t> bad(40, -1);
      ChainBlock chains;
      chains.x = x;
      chains.first_bad_step = bad.data();
      advance_large(prepared, some_steps(1000, integrator), chains, 2);
      advance_reservoir_large(prepared, some_steps(1000, integrator), state.block(), 2);
      double worst = 0.0, largest = 0.0;
      for (std::int64_t i = 0; i < x.size(); ++i) {
        worst = std::max(worst, std::fabs(static_cast<double>(x.data()[i]) - state.x.data()[i]));
        largest = std::max(largest, std::fabs(static_cast<double>(x.data()[i])));
      }
      // 1000 steps of rounding errors of about N half ulp of r W_out, damped at rate 1: a few times 150 * 2^-24 * 10
      EXPECT_LT(worst, 1e-4);
      EXPECT_GT(largest, 1.0);  // it did move
    }
  }
}

TEST(LargeReservoir, SameBitsOnAnyNumberOfThreadsAndInAnyNumberOfCalls) {
  const LargeCase net(Nonlinearity::softplus, 20, 2, 300);
  const LargeNetwork prepared(net.view());
  Reservoir one(net, 200), three = one;
  advance_reservoir_large(prepared, some_steps(4), one.block(), 1);
  advance_reservoir_large(prepared, some_steps(1), three.block(), 3);
  LangevinSteps rest = some_steps(3);
  rest.first_step += 1;
  advance_reservoir_large(prepared, rest, three.block(), 2);
  EXPECT_EQ(one.r, three.r);
  EXPECT_EQ(one.x, three.x);
}

TEST(LargeReservoir, QuarantineSparesTheOthers) {
  const LargeCase net(Nonlinearity::relu, 18, 0, 60);
  const LargeNetwork prepared(net.view());
  LangevinSteps steps = some_steps(3);
  steps.bound = 1000.0f;
  Reservoir well(net, 40), some_bad = well;
  advance_reservoir_large(prepared, steps, well.block(), 2);
  some_bad.r(7, 59) = NAN;
  some_bad.r(39, 0) = 1e6f;
  advance_reservoir_large(prepared, steps, some_bad.block(), 2);
  for (std::int64_t i = 0; i < 40; ++i) {
    const bool bad = i == 7 || i == 39;
    EXPECT_EQ(some_bad.bad[static_cast<std::size_t>(i)], bad ? 11 : -1);
    for (std::int64_t j = 0; j < net.N; ++j) {
      if (bad) {
        ASSERT_TRUE(std::isnan(some_bad.r(i, j)));
      } else {
        ASSERT_EQ(some_bad.r(i, j), well.r(i, j));
      }
    }
    for (std::int64_t d = 0; d < net.D; ++d) ASSERT_EQ(std::isnan(some_bad.x(i, d)), bad);
  }
}

TEST(LargeReservoir, ClampedOutputsAreHeldByTheNeurons) {
  const LargeCase net(Nonlinearity::relu, 18, 0, 90);
  Reservoir state(net, 35);
  state.clamp = normal_matrix(35, 18, 22);
  for (std::int64_t i = 0; i < state.clamp.size(); ++i) {
    if (i % 2 != 0) state.clamp.data()[i] = NAN;
  }
  advance_reservoir_large(LargeNetwork(net.view()), some_steps(20), state.block(), 2);
  for (std::int64_t i = 0; i < 35; ++i) {
    const std::vector<double> x = outputs(net, state.r.row(i));
    for (std::int64_t d = 0; d < 18; ++d) {
      if (std::isnan(state.clamp(i, d))) continue;
      EXPECT_EQ(state.x(i, d), state.clamp(i, d));
      EXPECT_NEAR(x[static_cast<std::size_t>(d)], state.clamp(i, d), 2e-5);  // W_out P = I to rounding
    }
  }
}

}  // namespace
}  // namespace tarn::cpu
