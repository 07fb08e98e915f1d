// Large-D chains on the device: against double, one step at a time; against the CPU backend, many steps with the same noise; and
// against themselves, however calls and tiles are cut.
#include <utility>

#include "cuda/large_harness.hpp"

namespace tarn::test {
namespace {

using cuda::LargeDeviceNetwork;

using LargeLangevinOnDevice = OnDevice;

TEST_F(LargeLangevinOnDevice, DriftMatchesDouble) {
  for (const Nonlinearity phi : all_nonlinearities) {
    for (const std::int64_t D : {17, 31, 33, 100, 257}) {
      for (const std::int64_t U : {0, 2}) {
        for (const std::int64_t N : {1, 31, 33, 257}) {
          LargeCase net(phi, D, U, N);
          if (N == 33) net.add_shift();
          if (N == 257) net.add_map();
          if (N == 257 && U == 2) net.add_shift();
          const Matrix<float> points = normal_matrix(N == 31 ? 1 : (N == 257 ? 5 : 33), D + U, 12);
          expect_drift(net, points, drift(LargeDeviceNetwork(net.view(), stream().handle()), points));
        }
      }
    }
  }
}

TEST_F(LargeLangevinOnDevice, StepMatchesDoubleForEveryNumberOfChains) {
  for (const std::int64_t B : {1, 31, 33, 129}) {
    for (const Integrator integrator : all_integrators) {
      const LargeCase net(Nonlinearity::relu, 33, 2, 257);
      expect_one_step(on_device(), net, HostChains(net, B), some_steps(1, integrator));
    }
  }
}

TEST_F(LargeLangevinOnDevice, StepMatchesDoubleForEveryNumberOfComponents) {
  for (const std::int64_t D : {17, 31, 33, 100, 257}) {
    for (const Nonlinearity phi : all_nonlinearities) {
      const LargeCase net(phi, D, 0, 33);
      expect_one_step(on_device(), net, HostChains(net, 5), some_steps(1, Integrator::leimkuhler_matthews));
    }
  }
}

TEST_F(LargeLangevinOnDevice, SmallDimensionsUseTheSameNoiseLayout) {
  expect_noise_layout_of_small_dimensions(on_device());
}

TEST_F(LargeLangevinOnDevice, ShiftMapAndClampMatchDouble) { expect_shift_map_and_clamp(on_device()); }

TEST_F(LargeLangevinOnDevice, MomentumIsBaoab) {
  for (const std::int64_t D : {2, 19, 130}) expect_momentum(on_device(), D);
}

TEST_F(LargeLangevinOnDevice, NoiseScaleZeroGivesTheDriftAlone) { expect_drift_alone_without_noise(on_device()); }

// However a stretch of steps is cut into calls, and whether its steps were recorded or not, the bits are the same.
TEST_F(LargeLangevinOnDevice, RecordedStepsEqualStepsOneByOne) {
  LargeCase net(Nonlinearity::relu, 35, 1, 300);
  for (const bool mapped : {false, true}) {
    if (mapped) net.add_map();
    const LargeDeviceNetwork network(net.view(), stream().handle());
    for (const Integrator integrator : all_integrators) {
      HostChains together(net, 70), singly(net, 70), in_parts(net, 70);
      advance(network, some_steps(41, integrator), together);
      for (int t = 0; t < 41; ++t) {
        LangevinSteps one = some_steps(1, integrator);
        one.first_step += static_cast<std::uint64_t>(t);
        advance(network, one, singly);
      }
      LangevinSteps part = some_steps(16, integrator);
      advance(network, part, in_parts);
      part.first_step += 16;
      part.n_steps = 25;
      advance(network, part, in_parts);
      expect_same(together.x, singly.x, "one by one");
      expect_same(together.x, in_parts.x, "in two calls");
      expect_same(together.v, singly.v, "momentum one by one");
      expect_same(together.v, in_parts.v, "momentum in two calls");
    }
  }
  EXPECT_GE(workspace_.recorded.size(), 1u);
}

// A recording is of one network and one number of rows; what else a call says is read anew.
TEST_F(LargeLangevinOnDevice, RecordingsServeOtherCallsAndNoOtherNetwork) {
  const LargeCase net(Nonlinearity::tanh, 18, 0, 40);
  const LargeDeviceNetwork network(net.view(), stream().handle());
  HostChains first(net, 10);
  advance(network, some_steps(20), first);
  LargeCase other = net;
  other.add_shift();
  const LargeDeviceNetwork second(other.view(), stream().handle());
  LangevinSteps steps = some_steps(33, Integrator::leimkuhler_matthews);
  steps.seed = 4;
  steps.dt = 0.002f;
  steps.first_chain = 3;
  for (const auto& [on, of] : {std::pair(&network, &net), std::pair(&second, static_cast<const LargeCase*>(&other))}) {
    HostChains recorded(*of, 10), plain(*of, 10);
    recorded.hold_every(5);
    plain.hold_every(5);
    advance(*on, steps, recorded);
    for (int t = 0; t < 33; ++t) {
      LangevinSteps one = steps;
      one.first_step += static_cast<std::uint64_t>(t);
      one.n_steps = 1;
      advance(*on, one, plain);
    }
    expect_same(recorded.x, plain.x, "recorded");
  }
}

// Tiles of 128 rows, by a budget that nothing fits in. Products of another shape round differently, hence the tolerance: 20 steps of
// rounding errors of about 1e-6 dt.
TEST_F(LargeLangevinOnDevice, TilesDoNotMatter) {
  const LargeCase net(Nonlinearity::relu, 21, 2, 65);
  const LargeDeviceNetwork network(net.view(), stream().handle());
  LangevinSteps steps = some_steps(20);
  steps.bound = 100.0f;
  HostChains whole(net, 300);
  whole.hold_every(4);
  whole.x(290, 3) = 1e4f;
  HostChains in_tiles = whole;
  advance(network, steps, whole);
  workspace_ = {};
  workspace_.hidden_budget = 1;
  advance(network, steps, in_tiles);
  EXPECT_EQ(workspace_.hidden.size(), 128 * network.neuron_stride);
  expect_close(in_tiles.x, whole.x, 1e-6, "tiles");
  EXPECT_EQ(in_tiles.bad, whole.bad);
  EXPECT_EQ(in_tiles.bad[290], 5);

  const Matrix<float> points = normal_matrix(300, 23, 12);
  const Matrix<float> tiled = drift(network, points);
  workspace_ = {};
  expect_close(tiled, drift(network, points), 1e-5, "drift");
}

// 50 steps with the same noise, under a drift that contracts: what one step rounds differently, some 257 * 2^-24 * dt, is
// not made larger by the next.
TEST_F(LargeLangevinOnDevice, FollowsTheCpuOverManySteps) {
  const auto cpu = make_cpu_backend(2);
  for (const Integrator integrator : all_integrators) {
    for (const Nonlinearity phi : all_nonlinearities) {
      LargeCase net(phi, 33, 2, 257);
      for (std::int64_t i = 0; i < net.W_out.size(); ++i) net.W_out.data()[i] *= 0.3f;
      if (integrator == Integrator::leimkuhler_matthews) net.add_map();
      net.add_shift();
      HostChains here(net, 40), there = here;
      cpu->advance(*cpu->prepare(net.view()), some_steps(50, integrator), here.block());
      advance(LargeDeviceNetwork(net.view(), stream().handle()), some_steps(50, integrator), there);
      expect_close(there.x, here.x, 1e-5, "after 50 steps");
      expect_close(there.v, here.v, 1e-4, "momentum after 50 steps");
      EXPECT_EQ(here.bad, there.bad);
    }
  }
}

TEST_F(LargeLangevinOnDevice, QuarantineSparesTheOthers) {
  LargeCase net(Nonlinearity::relu, 21, 0, 64);
  expect_quarantine_spares_the_others(on_device(), net, 18);
  expect_quarantine_spares_the_others(on_device(), net, 18, Integrator::baoab);
  net.add_map();
  expect_quarantine_spares_the_others(on_device(), net, 18);
}

// 2, 4, 8, ... 1024: out at the tenth step, number 14, in the second recorded stretch.
TEST_F(LargeLangevinOnDevice, FirstBadStepIsTheStepThatLeavesTheBound) {
  expect_first_bad_step(on_device(), 20, 1000.0f, 14);
}

TEST_F(LargeLangevinOnDevice, WorkingMemoryIsKept) {
  const LargeCase net(Nonlinearity::relu, 20, 1, 50);
  const LargeDeviceNetwork network(net.view(), stream().handle());
  HostChains chains(net, 40), fewer(net, 7);
  advance(network, some_steps(16), chains);
  const float* const hidden = workspace_.hidden.data();
  advance(network, some_steps(16), fewer);
  advance(network, some_steps(16), chains);
  EXPECT_EQ(workspace_.hidden.data(), hidden);
  EXPECT_EQ(workspace_.recorded.size(), 2u);
}

TEST(LargeLangevinBackend, MatchesTheCpuThroughTheInterface) {
  TARN_NEEDS_DEVICE();
  const auto cpu = make_cpu_backend(2);
  const auto cuda = cuda_backend();
  LargeCase net(Nonlinearity::sigmoid, 31, 2, 100);
  net.add_shift();
  const auto on_cpu = cpu->prepare(net.view()), on_cuda = cuda->prepare(net.view());
  HostChains here(net, 33);
  here.hold_every(7);
  here.x(5, 5) = NAN;
  HostChains there = here;
  cpu->advance(*on_cpu, some_steps(10), here.block());
  cuda->advance(*on_cuda, some_steps(10), there.block());
  expect_close(there.x, here.x, 1e-5, "chains");
  EXPECT_EQ(there.bad, here.bad);
  const Matrix<float> points = normal_matrix(33, 33, 12);
  Matrix<float> a(33, 31), b(33, 31);
  cpu->drift(*on_cpu, points, a);
  cuda->drift(*on_cuda, points, b);
  expect_close(b, a, 1e-5, "drift");
}

}  // namespace
}  // namespace tarn::test
