// The fused kernel of output mode, in every precision, by both kinds of matrix instructions: against exact sums of integers, against double
// with rounded operands, and against itself, however chains and steps are cut.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <utility>

#include "compute/rounded_reference.hpp"
#include "cuda/large_harness.hpp"
#include "message_of.hpp"

namespace tarn::test {
namespace {

using cuda::Engine;
using cuda::FusedPlan;
using cuda::LargeDeviceNetwork;

// Which kernel: a precision and an engine.
struct Kind {
  Precision precision;
  Engine engine;
};

class FusedLangevinOnDevice : public OnDevice {
 protected:
  // What this device can run: the instructions of four warps together are those of one compute capability.
  std::vector<Kind> kinds() {
    std::vector<Kind> all{{Precision::bf16, Engine::warp}, {Precision::tf32, Engine::warp}};
    if (emulated || cuda::engine_of(context_->info) == Engine::warpgroup) {
      all.push_back({Precision::bf16, Engine::warpgroup});
      all.push_back({Precision::tf32, Engine::warpgroup});
    }
    return all;
  }
  // Throws where no instance holds the network or the device is too small for it.
  LargeDeviceNetwork network(const LargeCase& net, Kind kind) {
    const FusedPlan plan = cuda::fused_plan(kind.precision, net.D + net.U, net.N);
    require(plan.precision == kind.precision, "no instance for D + U = {}", net.D + net.U);
    return LargeDeviceNetwork(net.view(), stream().handle(), kind.precision, plan, kind.engine);
  }
  OnNetwork on(Kind kind) {
    return [this, kind](const LargeCase& net) -> Advance {
      const auto prepared = std::make_shared<const LargeDeviceNetwork>(network(net, kind));
      return [this, prepared](const LangevinSteps& steps, HostChains& chains) { advance(*prepared, steps, chains); };
    };
  }
  bool fits(Kind kind, std::int64_t n_columns) {
    const FusedPlan plan = cuda::fused_plan(kind.precision, n_columns, 1);
    return plan.precision == kind.precision && plan.shared_bytes <= context_->info.shared_bytes_a_block;
  }
};

std::string name_of(Kind kind) {
  return std::string(tarn::name_of(kind.precision)) + (kind.engine == Engine::warp ? " warp" : " warpgroup");
}

// Small whole numbers, a function of the place.
Matrix<float> whole_numbers(std::int64_t rows, std::int64_t cols, std::uint64_t which, int most) {
  Matrix<float> m = normal_matrix(rows, cols, which, 1.5);
  for (std::int64_t i = 0; i < m.size(); ++i)
    m.data()[i] = std::clamp(std::nearbyint(m.data()[i]), static_cast<float>(-most), static_cast<float>(most));
  return m;
}

// Sums of whole numbers are exact in any order as long as operands fit their format: whatever is read from a wrong place shows.
TEST_F(FusedLangevinOnDevice, EveryOperandIsInItsPlace) {
  for (const Kind kind : kinds()) {
    for (const std::int64_t K : {17, 31, 33, 64, 100, 160, 161, 257, 300, 301, 320, 321, 420, 640}) {
      if (!fits(kind, K)) continue;
      const std::int64_t U = K % 3, N = K == 33 ? 200 : 33 + K % 64, B = K == 100 ? 129 : (K == 300 ? 64 : 3);
      LargeCase net(Nonlinearity::relu, K - U, U, N);
      net.W_in = whole_numbers(N, K, 1, 1);
      for (std::int64_t i = 0; i < net.W_in.size(); ++i) {
        if (i % 5 < 3) net.W_in.data()[i] = 0.0f;  // so that sums stay small
      }
      net.b = whole_numbers(1, N, 2, 3);
      net.W_out = whole_numbers(net.D, N, 3, 2);
      const Matrix<float> points = whole_numbers(B, K, 4, 1);
      const Matrix<float> found = drift(network(net, kind), points);
      for (std::int64_t i = 0; i < B; ++i) {
        const auto expected = reference_drift(net, points.row(i), points.row(i) + net.D);
        for (std::int64_t d = 0; d < net.D; ++d) {
          ASSERT_EQ(found(i, d), expected[static_cast<std::size_t>(d)].value)
              << name_of(kind) << ", D " << net.D << ", U " << U << ", N " << N << ", chain " << i << ", component "
              << d;
        }
      }
    }
  }
}

void expect_rounded_drift(const LargeCase& net, Precision precision, bool quick, const Matrix<float>& points,
                          const Matrix<float>& found, const std::string& what) {
  for (std::int64_t i = 0; i < points.rows(); ++i) {
    const auto f = rounded_drift(net, precision, points.row(i), points.row(i) + net.D, quick);
    for (std::int64_t d = 0; d < net.D; ++d) {
      const Bounded& expected = f[static_cast<std::size_t>(d)];
      ASSERT_NEAR(found(i, d), expected.value, expected.error)
          << what << " " << name_of(net.phi) << ", D " << net.D << ", U " << net.U << ", N " << net.N << ", chain " << i
          << ", component " << d;
    }
  }
}

TEST_F(FusedLangevinOnDevice, DriftMatchesDoubleWithRoundedOperands) {
  for (const Kind kind : kinds()) {
    for (const Nonlinearity phi : all_nonlinearities) {
      for (const auto& [D, U, N] :
           {std::tuple(17, 2, 1), std::tuple(33, 0, 257), std::tuple(100, 0, 65), std::tuple(300, 1, 64)}) {
        if (!fits(kind, D + U)) continue;
        LargeCase net(phi, D, U, N);
        if (N == 65) net.add_shift();
        if (N == 257) net.add_map();
        const Matrix<float> points = normal_matrix(N == 257 ? 2 : 5, D + U, 12);
        expect_rounded_drift(net, kind.precision, true, points, drift(network(net, kind), points), name_of(kind));
      }
    }
  }
}

// One step, noise, clamp and inputs included, against double.
TEST_F(FusedLangevinOnDevice, StepMatchesDouble) {
  for (const Kind kind : kinds()) {
    for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews}) {
      for (const std::int64_t D : {17, 33, 257}) {
        for (const bool mapped : {false, true}) {
          LargeCase net(Nonlinearity::relu, D, 2, 70);
          net.add_shift();
          if (mapped) net.add_map();
          HostChains chains(net, D == 33 ? 130 : 3);
          chains.hold_every(3);
          const HostChains before = chains;
          const LangevinSteps steps = some_steps(1, integrator);
          advance(network(net, kind), steps, chains);
          for (std::int64_t i = 0; i < before.x.rows(); i += D == 33 ? 43 : 1) {
            const auto f = rounded_drift(net, kind.precision, before.x.row(i), before.u.row(i), true);
            const auto noise =
                reference_noise(steps, steps.first_chain + static_cast<std::uint64_t>(i), steps.first_step, D);
            for (std::int64_t d = 0; d < D; ++d) {
              const Bounded& drift = f[static_cast<std::size_t>(d)];
              const double xi = noise[static_cast<std::size_t>(d)], dt = steps.dt;
              double expected = before.x(i, d) + dt * drift.value + xi;
              double bound = dt * (drift.error + 4 * half_ulp * std::fabs(drift.value)) +
                             half_ulp * (4 * std::fabs(before.x(i, d)) + 6 * std::fabs(xi));
              if (!std::isnan(before.clamp(i, d))) {
                expected = before.clamp(i, d);
                bound = 0.0;
              }
              ASSERT_NEAR(chains.x(i, d), expected, bound)
                  << name_of(kind) << ", D " << D << ", chain " << i << ", component " << d;
            }
          }
        }
      }
    }
  }
}

// A chain does not feel how many there are, nor where in a block it is.
TEST_F(FusedLangevinOnDevice, ChainsDoNotDependOnTheirNumber) {
  const LargeCase net(Nonlinearity::tanh, 33, 1, 70);
  for (const Kind kind : kinds()) {
    const LargeDeviceNetwork prepared = network(net, kind);
    const LangevinSteps steps = some_steps(3);
    HostChains all(net, 257);
    all.hold_every(7);
    const HostChains start = all;
    advance(prepared, steps, all);
    for (const auto& [begin, end] : {std::pair(0, 1), std::pair(1, 65), std::pair(190, 257)}) {
      HostChains some(net, end - begin);
      some.clamp = some.x;
      for (std::int64_t i = 0; i < end - begin; ++i) {
        std::copy_n(start.x.row(begin + i), net.D, some.x.row(i));
        std::copy_n(start.u.row(begin + i), net.U, some.u.row(i));
        std::copy_n(start.clamp.row(begin + i), net.D, some.clamp.row(i));
      }
      LangevinSteps there = steps;
      there.first_chain += static_cast<std::uint64_t>(begin);
      advance(prepared, there, some);
      for (std::int64_t i = 0; i < end - begin; ++i) {
        for (std::int64_t d = 0; d < net.D; ++d) {
          ASSERT_EQ(some.x(i, d), all.x(begin + i, d))
              << name_of(kind) << ", chain " << begin + i << " of " << begin << " to " << end;
        }
      }
    }
  }
}

TEST_F(FusedLangevinOnDevice, StepsOfOneLaunchEqualStepsOneByOne) {
  for (const Kind kind : kinds()) {
    for (const bool mapped : {false, true}) {
      for (const std::int64_t D : {20, 210}) {  // another share of the work, with an odd number of tiles
        LargeCase net(Nonlinearity::softplus, D, 1, 70);
        if (mapped) net.add_map();
        const LargeDeviceNetwork prepared = network(net, kind);
        HostChains together(net, 40), singly(net, 40);
        LangevinSteps steps = some_steps(3, Integrator::leimkuhler_matthews);
        advance(prepared, steps, together);
        steps.n_steps = 1;
        for (int t = 0; t < 3; ++t, ++steps.first_step) advance(prepared, steps, singly);
        expect_same(together.x, singly.x, name_of(kind).c_str());
      }
    }
  }
}

TEST_F(FusedLangevinOnDevice, QuarantineSparesTheOthers) {
  const LargeCase net(Nonlinearity::relu, 21, 0, 64);
  for (const Kind kind : kinds()) {
    expect_quarantine_spares_the_others(on(kind), net, 4);
    expect_first_bad_step(on(kind), 20, 1000.0f, 14);
  }
}

// More blocks of chains than multiprocessors: launches go round, and nobody can tell.
TEST_F(FusedLangevinOnDevice, RoundsChangeNothing) {
  const LargeCase net(Nonlinearity::relu, 18, 1, 40);
  const Kind kind{Precision::bf16, Engine::warp};
  const LargeDeviceNetwork prepared = network(net, kind);
  const int n_multiprocessors = context_->info.n_multiprocessors;
  HostChains whole(net, 5 * 128 - 1), in_rounds = whole;
  advance(prepared, some_steps(5), whole);
  for (const int at_once : {2, 3, 4}) {
    context_->info.n_multiprocessors = at_once;
    HostChains chains = in_rounds;
    advance(prepared, some_steps(5), chains);
    expect_same(chains.x, whole.x, "rounds");
  }
  context_->info.n_multiprocessors = n_multiprocessors;
}

TEST(FusedRounds, KeepMultiprocessorsBusy) {
  EXPECT_EQ(cuda::fused_rounds(128, 100, 132).n_rounds, 1);
  EXPECT_EQ(cuda::fused_rounds(264, 100, 132).n_rounds, 1);
  for (const std::int64_t n_blocks : {133, 157, 200, 300, 512}) {
    for (const std::int64_t n_steps : {1, 2, 7, 100, 1000}) {
      const cuda::FusedRounds rounds = cuda::fused_rounds(n_blocks, n_steps, 132);
      EXPECT_GE(rounds.n_rounds * rounds.steps, n_steps);
      EXPECT_LT((rounds.n_rounds - 1) * rounds.steps, n_steps);
      const double launches = std::ceil(static_cast<double>(rounds.n_rounds * n_blocks) / 132.0);
      const double used =
          static_cast<double>(n_blocks * n_steps) / (132.0 * launches * static_cast<double>(rounds.steps));
      EXPECT_GT(used, n_steps >= 100 ? 0.95 : 0.5) << n_blocks << " blocks, " << n_steps << " steps";
    }
  }
}

// Groups of neurons, by blocks of their own or one after another: the same bits, and the sums of all.
TEST_F(FusedLangevinOnDevice, SplittingChangesNothing) {
  for (const std::int64_t D : {35, 330}) {
    LargeCase net(Nonlinearity::tanh, D, 1, 300);
    net.add_shift();
    for (const Kind kind : kinds()) {
      FusedPlan plan = cuda::fused_plan(kind.precision, D + 1, net.N);
      if (!fits(kind, D + 1) || plan.share == cuda::Share::neurons) continue;
      plan.n_groups = 3;  // as a larger network has them
      const LargeDeviceNetwork prepared(net.view(), stream().handle(), kind.precision, plan, kind.engine);
      const Matrix<float> points = normal_matrix(3, D + 1, 12);
      expect_rounded_drift(net, kind.precision, true, points, drift(prepared, points), name_of(kind));
      const int n_multiprocessors = context_->info.n_multiprocessors;
      HostChains together(net, 3);
      together.hold_every(9);
      HostChains split = together;
      context_->info.n_multiprocessors = 1;
      EXPECT_FALSE(cuda::fused_splits(plan, 3, 1));
      advance(prepared, some_steps(2), together);
      context_->info.n_multiprocessors = 100;
      EXPECT_TRUE(cuda::fused_splits(plan, 3, 100));
      advance(prepared, some_steps(2), split);
      context_->info.n_multiprocessors = n_multiprocessors;
      expect_same(split.x, together.x, name_of(kind).c_str());
    }
  }
}

// The hidden layer takes no memory.
TEST_F(FusedLangevinOnDevice, TheHiddenLayerIsNeverInMemory) {
  const LargeCase net(Nonlinearity::relu, 20, 0, 100);
  HostChains chains(net, 5);
  advance(network(net, {Precision::bf16, Engine::warp}), some_steps(2), chains);
  EXPECT_TRUE(workspace_.hidden.empty());
}

TEST(FusedPlans, TheNarrowestInstanceIsTaken) {
  EXPECT_EQ(cuda::fused_plan(Precision::bf16, 17, 100).width, 32);
  EXPECT_EQ(cuda::fused_plan(Precision::bf16, 100, 100).width, 112);
  const FusedPlan mnist = cuda::fused_plan(Precision::bf16, 300, 20000);
  EXPECT_EQ(mnist.width, 304);
  EXPECT_EQ(mnist.chains, 128);
  EXPECT_EQ(mnist.n_tiles, 250);
  EXPECT_EQ(mnist.n_groups, 4);
  EXPECT_EQ(cuda::fused_plan(Precision::bf16, 640, 100).chains, 64);
  EXPECT_EQ(cuda::fused_plan(Precision::bf16, 641, 100).precision, Precision::fp32);
  EXPECT_EQ(cuda::fused_plan(Precision::tf32, 321, 100).precision, Precision::fp32);
  EXPECT_EQ(cuda::fused_plan(Precision::fp32, 100, 100).precision, Precision::fp32);
}

TEST(FusedBackend, SaysWhichPathRunsAndRunsIt) {
  TARN_NEEDS_DEVICE();
  for (const Precision precision : {Precision::bf16, Precision::tf32}) {
    const auto cuda = make_backend("cuda", 0, precision);
    EXPECT_EQ(cuda->precision(), precision);
    EXPECT_THAT(cuda->description(), testing::HasSubstr(std::string(name_of(precision)) + " products"));
    for (const std::int64_t D : {40, 700}) {
      const LargeCase net(Nonlinearity::sigmoid, D, 2, 40);
      const bool is_fused = D == 40;
      EXPECT_THAT(cuda->path(net.view(), false),
                  testing::HasSubstr(is_fused ? "fused kernel, " + std::string(name_of(precision)) : "D + U = 702"));
      EXPECT_THAT(cuda->path(net.view(), true), testing::HasSubstr("fp32"));
      const auto prepared = cuda->prepare(net.view());
      const Matrix<float> points = normal_matrix(3, D + 2, 12);
      Matrix<float> found(3, D);
      cuda->drift(*prepared, points, found);
      expect_rounded_drift(net, precision, is_fused, points, found, cuda->path(net.view(), false));
      HostChains here(net, 3), there(net, 3);  // held, and through the host
      const auto chains = cuda->hold(net.view(), {here.block(), {}, {}, {}});
      chains->advance(*prepared, some_steps(4));
      ReservoirBlock out{here.block(), {}, {}, {}};
      chains->store(out);
      cuda->advance(*prepared, some_steps(4), there.block());
      expect_same(here.x, there.x, "held");
      EXPECT_LE(cuda->chain_memory(net.view(), 1000, false).needed, cuda->chain_memory(net.view(), 1000, true).needed);
    }
  }
  const LargeCase small(Nonlinearity::relu, 3, 0, 40);
  EXPECT_THAT(make_backend("cuda", 0, Precision::bf16)->path(small.view(), false), testing::HasSubstr("fp32"));
}

TEST(FusedBackend, TheCpuRefusesOtherPrecisions) {
  EXPECT_THAT(message_of([] { make_backend("cpu", 1, Precision::bf16); }),
              testing::HasSubstr("precision \"bf16\" is computed on a GPU only"));
  EXPECT_EQ(make_backend("cpu", 1, Precision::fp32)->precision(), Precision::fp32);
}

}  // namespace
}  // namespace tarn::test
