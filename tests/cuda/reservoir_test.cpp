// Reservoir mode on the device: against double, against output mode with the same noise, and against the CPU backend.
#include "cuda/large_harness.hpp"

namespace tarn::test {
namespace {

using cuda::LargeDeviceNetwork;

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

HostChains reservoir(const LargeCase& net, std::int64_t n, bool private_noise = false) {
  HostChains chains(net, n);
  chains.r = normal_matrix(n, net.N, 20);
  chains.x = Matrix<float>(n, net.D);
  chains.P = right_inverse(net);
  if (private_noise) {
    chains.private_noise = normal_matrix(1, net.N, 23);
    for (std::int64_t j = 0; j < net.N; ++j) chains.private_noise(0, j) = 0.5f + std::fabs(chains.private_noise(0, j));
  }
  return chains;
}

std::vector<double> outputs(const LargeCase& net, const float* r) {
  std::vector<double> x(static_cast<std::size_t>(net.D));
  for (std::int64_t d = 0; d < net.D; ++d) {
    for (std::int64_t j = 0; j < net.N; ++j)
      x[static_cast<std::size_t>(d)] += static_cast<double>(net.W_out(d, j)) * r[j];
  }
  return x;
}

class ReservoirOnDevice : public OnDevice {
 protected:
  // One step of all of r against double: r' = r + dt (-r + phi) + (noise + dt (f - g)) P^T, g = -x + phi W_out^T, and
  // with private noise its own in place of the noise in the bracket.
  void expect_one_step(const LargeCase& net, HostChains state, const LangevinSteps& steps) {
    const Matrix<float> before = state.r;
    const bool own = !state.private_noise.empty();
    advance(LargeDeviceNetwork(net.view(), stream().handle()), steps, state);
    for (std::int64_t i = 0; i < before.rows(); ++i) {
      const std::vector<double> x = outputs(net, before.row(i));
      std::vector<float> rounded(x.begin(), x.end());
      const auto f = reference_drift(net, rounded.data(), state.u.row(i)),
                 g = reference_drift(net, rounded.data(), state.u.row(i), false);
      const std::uint64_t chain = steps.first_chain + static_cast<std::uint64_t>(i);
      const auto noise = reference_noise(steps, chain, steps.first_step, own ? net.N : net.D);
      for (std::int64_t j = 0; j < net.N; ++j) {
        double u = net.b.data()[j], size = 0.0, kick = 0.0, kick_size = 0.0;
        for (std::int64_t k = 0; k < net.D + net.U; ++k) {
          const double w = net.W_in(j, k);
          u += w * (k < net.D ? x[static_cast<std::size_t>(k)] : state.u(i, k - net.D));
          size += std::fabs(w) * static_cast<double>(net.N);  // x itself is a sum of N terms of about W_out r
        }
        for (std::int64_t d = 0; d < net.D; ++d) {
          const auto at = static_cast<std::size_t>(d);
          const double y = (own ? 0.0 : noise[at]) + static_cast<double>(steps.dt) * (f[at].value - g[at].value);
          kick += y * state.P(j, d);
          kick_size += std::fabs(state.P(j, d)) * (std::fabs(y) * static_cast<double>(net.D + 4) +
                                                   steps.dt * (f[at].error + g[at].error) / half_ulp);
        }
        if (own) {
          const double xi = noise[static_cast<std::size_t>(j)] * state.private_noise(0, j);
          kick += xi;
          kick_size += 6 * std::fabs(xi);
        }
        const double expected =
            before(i, j) + static_cast<double>(steps.dt) * (-before(i, j) + reference_phi(net.phi, u)) + kick;
        const double bound =
            half_ulp * (4 * std::fabs(before(i, j)) + steps.dt * (size + 8 * std::fabs(u) + 8) + kick_size);
        ASSERT_NEAR(state.r(i, j), expected, bound)
            << "D " << net.D << ", N " << net.N << ", chain " << i << ", neuron " << j;
      }
      const std::vector<double> after = outputs(net, state.r.row(i));
      for (std::int64_t d = 0; d < net.D; ++d) {
        ASSERT_NEAR(state.x(i, d), after[static_cast<std::size_t>(d)],
                    1e-5 * (1.0 + std::fabs(after[static_cast<std::size_t>(d)])));
      }
    }
  }
};

TEST_F(ReservoirOnDevice, StepMatchesDouble) {
  for (const Nonlinearity phi : all_nonlinearities) {
    for (const std::int64_t n : {1, 33}) {
      const LargeCase wide(phi, 17, 2, 257), narrow(phi, 2, 0, 33), single(phi, 1, 0, 31);
      expect_one_step(wide, reservoir(wide, n), some_steps(1));
      expect_one_step(narrow, reservoir(narrow, n), some_steps(1, Integrator::leimkuhler_matthews));
      expect_one_step(single, reservoir(single, n), some_steps(1));
    }
  }
  const LargeCase tiny(Nonlinearity::relu, 1, 2, 1), large(Nonlinearity::tanh, 33, 0, 100);
  expect_one_step(tiny, reservoir(tiny, 31), some_steps(1));
  expect_one_step(large, reservoir(large, 129), some_steps(1));
}

TEST_F(ReservoirOnDevice, PrivateNoiseMatchesDouble) {
  for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews}) {
    for (const std::int64_t N : {2, 31, 33, 257}) {
      const LargeCase net(Nonlinearity::relu, 2, 2, N);
      expect_one_step(net, reservoir(net, 33, true), some_steps(1, integrator));
    }
    LargeCase mapped(Nonlinearity::sigmoid, 17, 0, 101);
    mapped.add_map();
    expect_one_step(mapped, reservoir(mapped, 7, true), some_steps(1, integrator));
  }
}

TEST_F(ReservoirOnDevice, IrreversibleDriftShiftAndSilenceMatchDouble) {
  LargeCase net(Nonlinearity::tanh, 17, 1, 100);
  net.add_shift();
  expect_one_step(net, reservoir(net, 33), some_steps(1));
  net.add_map();
  expect_one_step(net, reservoir(net, 33), some_steps(1));
  LangevinSteps silent = some_steps(1);
  silent.noise_scale = 0.0f;
  expect_one_step(net, reservoir(net, 5), silent);
  const LargeCase plain(Nonlinearity::tanh, 17, 1, 100);
  expect_one_step(plain, reservoir(plain, 5), silent);
}

// The output of the reservoir follows the output dynamics: with the same noise, both agree to rounding, which a drift
// that contracts (as -x does here) keeps from growing.
TEST_F(ReservoirOnDevice, AgreesWithOutputModeOverManySteps) {
  for (const bool irreversible : {false, true}) {
    LargeCase net(Nonlinearity::relu, 18, 0, 150);
    if (irreversible) net.add_map();
    for (std::int64_t i = 0; i < net.W_out.size(); ++i) net.W_out.data()[i] *= 0.3f;
    const LargeDeviceNetwork network(net.view(), stream().handle());
    for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews}) {
      HostChains state = reservoir(net, 20);
      advance(network, some_steps(0), state);
      HostChains out(net, 20);
      out.x = state.x;
      advance(network, some_steps(200, integrator), out);
      advance(network, some_steps(200, integrator), state);
      // 200 steps of rounding errors of about N half ulp of r W_out, damped at rate 1: a few times 150 * 2^-24 * 10
      expect_close(state.x, out.x, 1e-4, "outputs");
    }
  }
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
  const LargeCase net(Nonlinearity::relu, 18, 0, 60);
  const LargeDeviceNetwork network(net.view(), stream().handle());
  for (const std::int64_t n_steps : {1, 18}) {
    LangevinSteps steps = some_steps(n_steps);
    steps.bound = 1000.0f;
    HostChains well = reservoir(net, 40), some_bad = well;
    advance(network, steps, well);
    some_bad.r(7, 59) = NAN;
    some_bad.r(39, 0) = 1e6f;
    advance(network, steps, some_bad);
    for (std::int64_t i = 0; i < 40; ++i) {
      const bool bad = i == 7 || i == 39;
      EXPECT_EQ(some_bad.bad[static_cast<std::size_t>(i)], bad ? 5 : -1);
      for (std::int64_t j = 0; j < net.N; ++j) {
        if (bad) {
          ASSERT_TRUE(std::isnan(some_bad.r(i, j))) << "chain " << i << ", neuron " << j;
        } else {
          ASSERT_EQ(some_bad.r(i, j), well.r(i, j));
        }
      }
      for (std::int64_t d = 0; d < net.D; ++d) ASSERT_EQ(std::isnan(some_bad.x(i, d)), bad);
    }
  }
}

TEST_F(ReservoirOnDevice, ClampedOutputsAreHeldByTheNeurons) {
  const LargeCase net(Nonlinearity::relu, 18, 0, 90);
  HostChains state = reservoir(net, 35);
  state.hold_every(2);
  advance(LargeDeviceNetwork(net.view(), stream().handle()), some_steps(20), state);
  for (std::int64_t i = 0; i < 35; ++i) {
    const std::vector<double> x = outputs(net, state.r.row(i));
    for (std::int64_t d = 0; d < 18; ++d) {
      if (std::isnan(state.clamp(i, d))) continue;
      EXPECT_EQ(state.x(i, d), state.clamp(i, d));
      EXPECT_NEAR(x[static_cast<std::size_t>(d)], state.clamp(i, d), 2e-5);  // W_out P = I to rounding
    }
  }
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
