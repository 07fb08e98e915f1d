// Chains of large-D networks against double, one step at a time, and against themselves: alone or among others, in one
// call or many, on one thread or several.
#include "large_langevin.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compute/large_reference.hpp"
#include "tarn/core/isa.hpp"

namespace tarn::cpu {
namespace {

using test::Bounded;
using test::half_ulp;
using test::LargeCase;
using test::normal_matrix;

struct Chains {
  Matrix<float> x, u, clamp;
  std::vector<std::int64_t> bad;

  Chains(const LargeCase& net, std::int64_t n)
      : x(normal_matrix(n, net.D, 10)), u(normal_matrix(n, net.U, 11)), bad(static_cast<std::size_t>(n), -1) {}
  ChainBlock block() {
    ChainBlock b;
    b.x = x;
    b.u = u;
    if (!clamp.empty()) b.clamp = clamp;
    b.first_bad_step = bad.data();
    return b;
  }
};

LangevinSteps some_steps(std::int64_t n, Integrator integrator = Integrator::euler_maruyama) {
  LangevinSteps s;
  s.integrator = integrator;
  s.dt = 0.01f;
  s.seed = 77;
  s.first_chain = 1000;
  s.first_step = 5;
  s.n_steps = n;
  return s;
}

// One step of all chains against double.
void expect_one_step(const LargeCase& net, Chains chains, const LangevinSteps& steps, int n_threads) {
  const Matrix<float> before = chains.x;
  advance_large(LargeNetwork(net.view()), steps, chains.block(), n_threads);
  for (std::int64_t i = 0; i < before.rows(); ++i) {
    const auto f = test::reference_drift(net, before.row(i), chains.u.row(i));
    const auto noise =
        test::reference_noise(steps, steps.first_chain + static_cast<std::uint64_t>(i), steps.first_step, net.D);
    for (std::int64_t d = 0; d < net.D; ++d) {
      const Bounded& drift = f[static_cast<std::size_t>(d)];
      const double xi = noise[static_cast<std::size_t>(d)];
      double expected = before(i, d) + static_cast<double>(steps.dt) * drift.value + xi;
      if (!chains.clamp.empty() && std::isfinite(chains.clamp(i, d))) expected = chains.clamp(i, d);
      const double bound = steps.dt * (drift.error + 4 * half_ulp * std::fabs(drift.value)) +
                           half_ulp * (4 * std::fabs(before(i, d)) + 6 * std::fabs(xi));
      ASSERT_NEAR(chains.x(i, d), expected, bound) << "chain " << i << ", component " << d;
    }
    ASSERT_EQ(chains.bad[static_cast<std::size_t>(i)], -1);
  }
}

TEST(LargeLangevin, DriftMatchesDouble) {
  for (const Nonlinearity phi : test::all_nonlinearities) {
    for (const std::int64_t D : {17, 33, 100}) {
      for (const std::int64_t U : {0, 3}) {
        for (const std::int64_t N : {1, 31, 33, 257}) {
          LargeCase net(phi, D, U, N);
          if (N == 33) net.add_shift();
          if (N == 257) net.add_map();
          const Matrix<float> points = normal_matrix(N == 31 ? 1 : 37, D + U, 12);
          Matrix<float> out(points.rows(), D);
          drift_large(LargeNetwork(net.view()), points, out, 2);
          for (std::int64_t i = 0; i < points.rows(); ++i) {
            const auto f = test::reference_drift(net, points.row(i), points.row(i) + D);
            for (std::int64_t d = 0; d < D; ++d) {
              ASSERT_NEAR(out(i, d), f[static_cast<std::size_t>(d)].value, f[static_cast<std::size_t>(d)].error)
                  << name_of(phi) << " D " << D << " U " << U << " N " << N << " point " << i << " component " << d;
            }
          }
        }
      }
    }
  }
}

TEST(LargeLangevin, StepMatchesDoubleForEveryNumberOfChains) {
  for (const std::int64_t B : {1, 31, 33, 257}) {
    for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews}) {
      const LargeCase net(Nonlinearity::relu, 33, 3, 257);
      expect_one_step(net, Chains(net, B), some_steps(1, integrator), 2);
    }
  }
}

TEST(LargeLangevin, SmallDimensionsUseTheSameNoiseLayout) {
  for (const std::int64_t D : {1, 2, 3, 5}) {
    const LargeCase net(Nonlinearity::tanh, D, 40, 31);
    for (std::uint64_t first = 0; first < 4; ++first) {
      LangevinSteps steps = some_steps(1, Integrator::leimkuhler_matthews);
      steps.first_step = first;
      expect_one_step(net, Chains(net, 33), steps, 1);
    }
  }
}

TEST(LargeLangevin, ShiftMapAndClampMatchDouble) {
  LargeCase net(Nonlinearity::softplus, 40, 2, 100);
  net.add_shift();
  net.add_map();
  Chains chains(net, 50);
  chains.clamp = normal_matrix(50, 40, 13);
  for (std::int64_t i = 0; i < chains.clamp.size(); ++i) {
    if (i % 3 != 0) chains.clamp.data()[i] = NAN;
  }
  expect_one_step(net, chains, some_steps(1), 2);
}

TEST(LargeLangevin, NoiseScaleZeroGivesTheDriftAlone) {
  const LargeCase net(Nonlinearity::relu, 20, 0, 64);
  LangevinSteps steps = some_steps(1);
  steps.noise_scale = 0.0f;
  steps.dt = 1.0f;
  expect_one_step(net, Chains(net, 20), steps, 1);
}

// x_{n+1} = x_n + dt f(x_n) + sqrt(dt/2) (xi_n + xi_{n+1}): a call of many steps is the same as many calls of one, so
// that the normal shared by two steps is the same in both.
TEST(LargeLangevin, ManyStepsEqualStepsOneByOne) {
  const LargeCase net(Nonlinearity::relu, 35, 1, 300);
  const LargeNetwork prepared(net.view());
  for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews}) {
    Chains together(net, 70), singly(net, 70);
    advance_large(prepared, some_steps(7, integrator), together.block(), 2);
    for (int t = 0; t < 7; ++t) {
      LangevinSteps one = some_steps(1, integrator);
      one.first_step += static_cast<std::uint64_t>(t);
      expect_one_step(net, singly, one, 1);
      advance_large(prepared, one, singly.block(), 1);
    }
    EXPECT_EQ(together.x, singly.x);
  }
}

TEST(LargeLangevin, ChainsDoNotDependOnThreadsTilesOrCompany) {
  const LargeCase net(Nonlinearity::tanh, 50, 2, 500);
  const LargeNetwork prepared(net.view());
  Chains all(net, 300);
  const Chains start = all;
  advance_large(prepared, some_steps(5), all.block(), 1);
  for (const int n_threads : {2, 3, 7}) {
    Chains again = start;
    advance_large(prepared, some_steps(5), again.block(), n_threads);
    EXPECT_EQ(again.x, all.x) << n_threads << " threads";
  }
  for (const std::int64_t i : {0, 17, 128, 299}) {
    LangevinSteps steps = some_steps(5);
    steps.first_chain += static_cast<std::uint64_t>(i);
    Chains alone(net, 1);
    std::copy_n(start.x.row(i), net.D, alone.x.row(0));
    std::copy_n(start.u.row(i), net.U, alone.u.row(0));
    advance_large(prepared, steps, alone.block(), 2);
    EXPECT_TRUE(std::equal(alone.x.row(0), alone.x.row(0) + net.D, all.x.row(i))) << "chain " << i;
  }
}

TEST(LargeLangevin, SameBitsOnEveryInstructionSetWithFma) {
  std::vector<Isa> isas = available_isas();
  std::erase(isas, Isa::baseline);
  if (isas.size() < 2) GTEST_SKIP() << "fewer than two such instruction sets here";
  const std::string before(name_of(current_isa()));
  const LargeCase net(Nonlinearity::sigmoid, 50, 2, 500);
  Chains first(net, 40), second(net, 40);
  use_isa(std::string(name_of(isas[0])));
  advance_large(LargeNetwork(net.view()), some_steps(5), first.block(), 2);
  use_isa(std::string(name_of(isas[1])));
  advance_large(LargeNetwork(net.view()), some_steps(5), second.block(), 2);
  use_isa(before);
  EXPECT_EQ(first.x, second.x);
}

// A chain that starts at NaN, one at infinity and one beyond the bound: each reads NaN from its first bad step on, and
// the others are what they are without them.
TEST(LargeLangevin, QuarantineSparesTheOthers) {
  const LargeCase net(Nonlinearity::relu, 20, 0, 64);
  const LargeNetwork prepared(net.view());
  LangevinSteps steps = some_steps(4);
  steps.bound = 50.0f;
  Chains well(net, 70);
  Chains some_bad = well;
  advance_large(prepared, steps, well.block(), 2);
  some_bad.x(3, 2) = NAN;
  some_bad.x(33, 0) = INFINITY;
  some_bad.x(69, 19) = 1000.0f;
  advance_large(prepared, steps, some_bad.block(), 2);
  for (std::int64_t i = 0; i < 70; ++i) {
    const bool bad = i == 3 || i == 33 || i == 69;
    EXPECT_EQ(some_bad.bad[static_cast<std::size_t>(i)], bad ? 5 : -1) << "chain " << i;
    for (std::int64_t d = 0; d < 20; ++d) {
      if (bad) {
        EXPECT_TRUE(std::isnan(some_bad.x(i, d)));
      } else {
        EXPECT_EQ(some_bad.x(i, d), well.x(i, d));
      }
    }
  }
  // the first bad step is set once
  steps.first_step = 9;
  advance_large(prepared, steps, some_bad.block(), 1);
  EXPECT_EQ(some_bad.bad[3], 5);
  EXPECT_TRUE(std::isnan(some_bad.x(3, 0)));
}

TEST(LargeLangevin, FirstBadStepIsTheStepThatLeavesTheBound) {
  LargeCase net(Nonlinearity::relu, 17, 0, 1);
  std::fill_n(net.W_out.data(), net.W_out.size(), 0.0f);  // f = -x: with dt = 3 the state is doubled and turned round
  LangevinSteps steps = some_steps(10);
  steps.dt = 3.0f;
  steps.noise_scale = 0.0f;
  steps.bound = 10.0f;
  Chains chains(net, 2);
  std::fill_n(chains.x.data(), chains.x.size(), 0.0f);
  chains.x(1, 4) = 1.0f;  // 2, 4, 8, 16: out at the fourth step, number 8
  advance_large(LargeNetwork(net.view()), steps, chains.block(), 1);
  EXPECT_EQ(chains.bad[0], -1);
  EXPECT_EQ(chains.bad[1], 8);
  EXPECT_EQ(chains.x(0, 4), 0.0f);
  EXPECT_TRUE(std::isnan(chains.x(1, 0)));
}

}  // namespace
}  // namespace tarn::cpu
