// Chains of large-D networks against double, one step at a time, and against themselves: alone or among others, in one
// call or many, on one thread or several.
#include <gtest/gtest.h>

#include <algorithm>

#include "compute/large_on_threads.hpp"
#include "tarn/core/isa.hpp"

namespace tarn::cpu {
namespace {

using test::expect_one_step;
using test::HostChains;
using test::LargeCase;
using test::normal_matrix;
using test::some_steps;

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
          test::expect_drift(net, points, out);
        }
      }
    }
  }
}

TEST(LargeLangevin, StepMatchesDoubleForEveryNumberOfChains) {
  for (const std::int64_t B : {1, 31, 33, 257}) {
    for (const Integrator integrator : test::all_integrators) {
      const LargeCase net(Nonlinearity::relu, 33, 3, 257);
      expect_one_step(on_threads(2), net, HostChains(net, B), some_steps(1, integrator));
    }
  }
}

TEST(LargeLangevin, SmallDimensionsUseTheSameNoiseLayout) {
  test::expect_noise_layout_of_small_dimensions(on_threads(1));
}

TEST(LargeLangevin, ShiftMapAndClampMatchDouble) { test::expect_shift_map_and_clamp(on_threads(2)); }

TEST(LargeLangevin, MomentumIsBaoab) {
  for (const std::int64_t D : {1, 2, 5, 19}) test::expect_momentum(on_threads(2), D);
}

TEST(LargeLangevin, NoiseScaleZeroGivesTheDriftAlone) { test::expect_drift_alone_without_noise(on_threads(1)); }

// x_{n+1} = x_n + dt f(x_n) + sqrt(dt/2) (xi_n + xi_{n+1}): a call of many steps is the same as many calls of one, so
// that the normal shared by two steps is the same in both.
TEST(LargeLangevin, ManyStepsEqualStepsOneByOne) {
  const LargeCase net(Nonlinearity::relu, 35, 1, 300);
  const LargeNetwork prepared(net.view());
  for (const Integrator integrator : test::all_integrators) {
    HostChains together(net, 70), singly(net, 70);
    advance_large(prepared, some_steps(7, integrator), together.block(), 2);
    for (int t = 0; t < 7; ++t) {
      LangevinSteps one = some_steps(1, integrator);
      one.first_step += static_cast<std::uint64_t>(t);
      expect_one_step(on_threads(1), net, singly, one);
      advance_large(prepared, one, singly.block(), 1);
    }
    EXPECT_EQ(together.x, singly.x);
    EXPECT_EQ(together.v, singly.v);
  }
}

TEST(LargeLangevin, ChainsDoNotDependOnThreadsTilesOrCompany) {
  const LargeCase net(Nonlinearity::tanh, 50, 2, 500);
  const LargeNetwork prepared(net.view());
  HostChains all(net, 300);
  const HostChains start = all;
  advance_large(prepared, some_steps(5), all.block(), 1);
  for (const int n_threads : {2, 3, 7}) {
    HostChains again = start;
    advance_large(prepared, some_steps(5), again.block(), n_threads);
    EXPECT_EQ(again.x, all.x) << n_threads << " threads";
  }
  for (const std::int64_t i : {0, 17, 128, 299}) {
    LangevinSteps steps = some_steps(5);
    steps.first_chain += static_cast<std::uint64_t>(i);
    HostChains alone(net, 1);
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
  HostChains first(net, 40), second(net, 40);
  use_isa(std::string(name_of(isas[0])));
  advance_large(LargeNetwork(net.view()), some_steps(5), first.block(), 2);
  use_isa(std::string(name_of(isas[1])));
  advance_large(LargeNetwork(net.view()), some_steps(5), second.block(), 2);
  use_isa(before);
  EXPECT_EQ(first.x, second.x);
}

TEST(LargeLangevin, QuarantineSparesTheOthers) {
  const LargeCase net(Nonlinearity::relu, 20, 0, 64);
  test::expect_quarantine_spares_the_others(on_threads(2), net, 4);
  test::expect_quarantine_spares_the_others(on_threads(2), net, 4, Integrator::baoab);
}

// 2, 4, 8, 16: out at the fourth step, number 8.
TEST(LargeLangevin, FirstBadStepIsTheStepThatLeavesTheBound) {
  test::expect_first_bad_step(on_threads(1), 10, 10.0f, 8);
}

}  // namespace
}  // namespace tarn::cpu
