// Reservoir mode on the device: against double, against output mode with the same noise, and against the CPU backend.
#include "compute/reservoir_checks.hpp"
#include "cuda/large_harness.hpp"

namespace tarn::test {
namespace {

using cuda::LargeDeviceNetwork;

using ReservoirOnDevice = OnDevice;

TEST_F(ReservoirOnDevice, StepMatchesDouble) {
  for (const Nonlinearity phi : all_nonlinearities) {
    for (const std::int64_t n : {1, 33}) {
      const LargeCase wide(phi, 17, 2, 257), narrow(phi, 2, 0, 33), single(phi, 1, 0, 31);
      expect_one_reservoir_step(on_device(), wide, reservoir(wide, n), some_steps(1));
      expect_one_reservoir_step(on_device(), narrow, reservoir(narrow, n),
                                some_steps(1, Integrator::leimkuhler_matthews));
      expect_one_reservoir_step(on_device(), single, reservoir(single, n), some_steps(1));
    }
  }
  const LargeCase tiny(Nonlinearity::relu, 1, 2, 1), large(Nonlinearity::tanh, 33, 0, 100);
  expect_one_reservoir_step(on_device(), tiny, reservoir(tiny, 31), some_steps(1));
  expect_one_reservoir_step(on_device(), large, reservoir(large, 129), some_steps(1));
}

TEST_F(ReservoirOnDevice, PrivateNoiseMatchesDouble) {
  for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews}) {
    for (const std::int64_t N : {2, 31, 33, 257}) {
      const LargeCase net(Nonlinearity::relu, 2, 2, N);
      expect_one_reservoir_step(on_device(), net, reservoir(net, 33, true), some_steps(1, integrator));
    }
    LargeCase mapped(Nonlinearity::sigmoid, 17, 0, 101);
    mapped.add_map();
    expect_one_reservoir_step(on_device(), mapped, reservoir(mapped, 7, true), some_steps(1, integrator));
  }
}

TEST_F(ReservoirOnDevice, IrreversibleDriftShiftAndSilenceMatchDouble) {
  LargeCase net(Nonlinearity::tanh, 17, 1, 100);
  net.add_shift();
  expect_one_reservoir_step(on_device(), net, reservoir(net, 33), some_steps(1));
  net.add_map();
  expect_one_reservoir_step(on_device(), net, reservoir(net, 33), some_steps(1));
  LangevinSteps silent = some_steps(1);
  silent.noise_scale = 0.0f;
  expect_one_reservoir_step(on_device(), net, reservoir(net, 5), silent);
  const LargeCase plain(Nonlinearity::tanh, 17, 1, 100);
  expect_one_reservoir_step(on_device(), plain, reservoir(plain, 5), silent);
}

TEST_F(ReservoirOnDevice, AgreesWithOutputModeOverManySteps) {
  expect_agreement_with_output_mode(on_device(), 20, 200);
}

TEST_F(ReservoirOnDevice, FollowsTheCpuOverManySteps) {
  const auto cpu = make_cpu_backend(2);
  for (const std::int64_t D : {1, 2, 5, 18}) {
    for (const int variant : {0, 1, 2, 3}) {
      LargeCase net(D == 5 ? Nonlinearity::softplus : Nonlinearity::relu, D, 2, 101);
      for (std::int64_t i = 0; i < net.W_out.size(); ++i) net.W_out.data()[i] *= 0.3f;
      if (variant == 1) net.add_map();
      HostChains here = reservoir(net, 33, variant == 2);
      if (variant >= 1) here.hold_every(3);
      HostChains there = here;
      const LangevinSteps steps =
          some_steps(50, variant == 0 ? Integrator::euler_maruyama : Integrator::leimkuhler_matthews);
      cpu->advance_reservoir(*cpu->prepare(net.view()), steps, here.reservoir_block());
      advance(LargeDeviceNetwork(net.view(), stream().handle()), steps, there);
      // 50 steps of errors of some 101 * 2^-24 of r, in directions that the drift contracts
      expect_close(there.r, here.r, 5e-5, "neurons");
      expect_close(there.x, here.x, 5e-5, "outputs");
      EXPECT_EQ(there.bad, here.bad);
    }
  }
}

TEST_F(ReservoirOnDevice, RecordedStepsEqualStepsOneByOne) {
  const LargeCase net(Nonlinearity::softplus, 20, 2, 75);
  const LargeDeviceNetwork network(net.view(), stream().handle());
  for (const bool own : {false, true}) {
    HostChains together = reservoir(net, 40, own), singly = together;
    advance(network, some_steps(27), together);
    for (int t = 0; t < 27; ++t) {
      LangevinSteps one = some_steps(1);
      one.first_step += static_cast<std::uint64_t>(t);
      advance(network, one, singly);
    }
    expect_same(together.r, singly.r, "neurons");
    expect_same(together.x, singly.x, "outputs");
  }
  // Clamped outputs are exact within a call, and r W_out^T again at the start of the next.
  HostChains together = reservoir(net, 40);
  together.hold_every(2);
  HostChains in_parts = together;
  advance(network, some_steps(37), together);
  LangevinSteps part = some_steps(20);
  advance(network, part, in_parts);
  part.first_step += 20;
  part.n_steps = 17;
  advance(network, part, in_parts);
  expect_close(together.r, in_parts.r, 1e-5, "neurons");
  expect_close(together.x, in_parts.x, 1e-5, "outputs");
}

TEST_F(ReservoirOnDevice, TilesDoNotMatter) {
  const LargeCase net(Nonlinearity::relu, 3, 1, 45);
  const LargeDeviceNetwork network(net.view(), stream().handle());
  HostChains whole = reservoir(net, 300);
  whole.hold_every(4);
  whole.r(280, 7) = NAN;
  HostChains in_tiles = whole;
  advance(network, some_steps(20), whole);
  workspace_ = {};
  workspace_.hidden_budget = 1;
  advance(network, some_steps(20), in_tiles);
  EXPECT_EQ(workspace_.hidden.size(), 128 * network.neuron_stride);
  expect_close(in_tiles.r, whole.r, 1e-5, "neurons");
  expect_close(in_tiles.x, whole.x, 1e-5, "outputs");
  EXPECT_EQ(in_tiles.bad, whole.bad);
  EXPECT_EQ(in_tiles.bad[280], 5);
}

TEST_F(ReservoirOnDevice, QuarantineSparesTheOthers) {
  for (const std::int64_t n_steps : {1, 18}) expect_reservoir_quarantine_spares_the_others(on_device(), n_steps);
}

TEST_F(ReservoirOnDevice, ClampedOutputsAreHeldByTheNeurons) {
  expect_clamped_outputs_held_by_the_neurons(on_device());
}

TEST(ReservoirBackend, MatchesTheCpuThroughTheInterface) {
  TARN_NEEDS_DEVICE();
  const auto cpu = make_cpu_backend(2);
  const auto cuda = cuda_backend();
  for (const std::int64_t D : {2, 18}) {  // one that the fused kernels take, too
    const LargeCase net(Nonlinearity::relu, D, 1, 64);
    HostChains here = reservoir(net, 33, D == 2);
    here.hold_every(7);
    here.r(5, 5) = NAN;
    HostChains there = here;
    cpu->advance_reservoir(*cpu->prepare(net.view()), some_steps(10), here.reservoir_block());
    cuda->advance_reservoir(*cuda->prepare(net.view()), some_steps(10), there.reservoir_block());
    expect_close(there.r, here.r, 2e-5, "neurons");
    expect_close(there.x, here.x, 2e-5, "outputs");
    EXPECT_EQ(there.bad, here.bad);
  }
}

}  // namespace
}  // namespace tarn::test
