// The chain engine on the device: draws that travel while the chains go on are the CPU's, a run goes on exactly where it stopped, and
// memory and devices that are not there are explained.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "compute/large_reference.hpp"
#include "cuda/device.hpp"
#include "message_of.hpp"
#include "sampling/chain_resume_checks.hpp"
#include "tarn/models/energy_model.hpp"

namespace tarn {
namespace {

using test::KeepingSink;
using test::message_of;

// `a` and `b` to `tolerance` of 1 + |a|; bit by bit where it is 0. NaN stands for a chain that was lost: at the same places.
void expect_close(const std::vector<float>& a, const std::vector<float>& b, float tolerance) {
  ASSERT_EQ(a.size(), b.size());
  if (tolerance == 0.0f) {
    ASSERT_TRUE(test::same_bits(a, b));
    return;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::isnan(a[i]), std::isnan(b[i]));
    if (std::isnan(a[i])) continue;
    ASSERT_NEAR(a[i], b[i], tolerance * (1.0f + std::fabs(a[i])));
  }
}

class ChainsOnDevice : public testing::TestWithParam<test::Kind> {};

TEST_P(ChainsOnDevice, DrawsAreTheCpus) {
  TARN_NEEDS_DEVICE();
  const test::Kind& k = GetParam();
  const auto cuda = test::cuda_backend(), cpu = make_cpu_backend(2);
  const test::KindOfRun on_device(*cuda, k), on_host(*cpu, k);
  KeepingSink found, expected;
  const SamplingResult a = run_chains(*cuda, on_device.run, &found), b = run_chains(*cpu, on_host.run, &expected);
  // Fused kernels add in the CPU's order. Products do not, and these chains run for 20 steps or so, where rounding grows little;
  // the final denoising step adds a drift to the state as it is.
  const bool fused = k.D <= 16 && !k.reservoir;
  const float tolerance = fused ? 0.0f : 2e-5f;
  ASSERT_EQ(found.draws.size(), expected.draws.size());
  for (const auto& [number, draw] : expected.draws) {
    SCOPED_TRACE(number);
    const KeepingSink::Draw& mine = found.draws.at(number);
    EXPECT_EQ(mine.step, draw.step);
    EXPECT_EQ(mine.time, draw.time);
    for (const auto& [chain, x] : draw.x) expect_close(mine.x.at(chain), x, tolerance);
    for (const auto& [chain, r] : draw.activity) expect_close(mine.activity.at(chain), r, tolerance);
  }
  EXPECT_EQ(a.first_bad_step, b.first_bad_step);
  EXPECT_EQ(a.n_quarantined, b.n_quarantined);
  EXPECT_GT(a.n_quarantined, 0);
  if (fused) {
    EXPECT_EQ(a.live.pack(), b.live.pack());
  }
}

TEST_P(ChainsOnDevice, EveryPauseIsAPlaceToGoOn) {
  TARN_NEEDS_DEVICE();
  test::expect_every_pause_is_a_place_to_go_on(*test::cuda_backend(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Kinds, ChainsOnDevice, testing::ValuesIn(test::kinds_of_run()),
                         [](const auto& tested) { return tested.param.name; });

// The drift of an RBM and of an energy is downhill in their free energy (double, on the host), and steps are those of the CPU: bit by bit
// where kernels are fused (D = 3), up to the rounding of products elsewhere.
TEST(EnergyBasedOnDevice, MoveDownTheirFreeEnergy) {
  TARN_NEEDS_DEVICE();
  const auto cuda = test::cuda_backend(), cpu = make_cpu_backend(1);
  const std::pair<ModelKind, Nonlinearity> kinds[] = {{ModelKind::rbm, Nonlinearity::sigmoid},
                                                      {ModelKind::ebm, Nonlinearity::sigmoid},
                                                      {ModelKind::ebm, Nonlinearity::tanh}};
  for (const auto& [kind, phi] : kinds) {
    for (const std::int64_t D : {3, 24}) {
      SCOPED_TRACE(testing::Message() << name_of(kind) << ' ' << name_of(phi) << ", D = " << D);
      constexpr std::int64_t n = 21, N = 37;
      SamplingNetwork network = initial_energy_network(kind, phi, D, N, 0.4, 7);
      network.b = test::normal_matrix(1, N, 3);
      network.a = test::normal_matrix(1, D, 4);
      if (kind == ModelKind::ebm) network.v = test::normal_matrix(1, N, 5);
      const test::Prepared on_device(*cuda, network), on_host(*cpu, network);

      const Matrix<float> start = test::normal_matrix(n, D, 6);
      Matrix<double> x(n, D), force(n, D);
      std::copy_n(start.data(), start.size(), x.data());
      std::vector<double> energy(n);
      EnergyFunction(network).read(x, energy, force);
      Matrix<float> drift(n, D);
      cuda->drift(*on_device.network, start, drift);
      for (std::int64_t k = 0; k < drift.size(); ++k) {
        const double expected = force.data()[k];
        ASSERT_NEAR(drift.data()[k], expected, 2e-5 * (1.0 + std::fabs(expected))) << k;
      }

      LangevinSteps steps;
      steps.seed = 9;
      steps.dt = 0.02f;
      steps.n_steps = 20;
      Matrix<float> found = start, expected = start;
      std::vector<std::int64_t> bad(n, -1);
      cuda->advance(*on_device.network, steps, {found, {}, {}, bad.data()});
      cpu->advance(*on_host.network, steps, {expected, {}, {}, bad.data()});
      expect_close({found.data(), found.data() + found.size()}, {expected.data(), expected.data() + expected.size()},
                   D == 3 ? 0.0f : 2e-5f);
      EXPECT_THAT(bad, testing::Each(-1));
    }
  }
}

TEST(CudaDevices, OneThatIsNotThereIsExplained) {
  EXPECT_THAT(message_of([] { make_backend("cuda:x"); }), testing::HasSubstr("must be a number"));
  EXPECT_THAT(message_of([] { make_backend("cuda:-1"); }), testing::HasSubstr("must be a number"));
  if (!test::device_missing().empty()) {
    EXPECT_THAT(message_of([] { make_backend("cuda"); }), testing::HasSubstr("use --device cpu"));
    EXPECT_EQ(make_backend("auto")->name(), "cpu");
    return;
  }
  EXPECT_THAT(message_of([] { make_backend("cuda:99"); }), testing::HasSubstr("tarn devices lists"));
  EXPECT_EQ(make_backend("auto")->name(), "cuda");
  EXPECT_THAT(describe_gpus().front(), testing::HasSubstr("compute capability"));
}

TEST(CudaDevices, ANetworkOfAnotherDeviceIsRefused) {
  TARN_NEEDS_DEVICE();
  const auto cuda = test::cuda_backend(), other = test::cuda_backend(), cpu = make_cpu_backend(1);
  const SamplingNetwork network = test::some_network(Nonlinearity::relu, 2, 0, 5);
  const test::Prepared prepared(*other, network), on_host(*cpu, network);
  Matrix<float> x(3, 2);
  std::vector<std::int64_t> bad(3, -1);
  LangevinSteps steps;
  steps.dt = 0.1f;
  steps.n_steps = 1;
  for (const test::Prepared* wrong : {&prepared, &on_host}) {
    EXPECT_THAT(message_of([&] {
                  cuda->advance(*wrong->network, steps, {x, {}, {}, bad.data()});
                }),
                testing::HasSubstr("prepared for another device"));
  }
}

TEST(CudaMemory, ThePlanSaysWhatChainsNeedAndHowManyFit) {
  TARN_NEEDS_DEVICE();
  const auto cuda = test::cuda_backend();
  const test::Prepared large(*cuda, test::some_network(Nonlinearity::relu, 40, 0, 1000));
  const NetworkView& view = large.network->view();
  const ChainMemory few = cuda->chain_memory(view, 100, false), many = cuda->chain_memory(view, 1 << 30, false);
  EXPECT_EQ(few.tile, 100);
  EXPECT_GT(few.free, 0);
  EXPECT_LT(few.needed, few.free);
  EXPECT_GT(many.needed, many.free);
  EXPECT_LT(many.tile, 1 << 30);
  EXPECT_GT(many.tile, 1000);
  EXPECT_GT(cuda->chain_memory(view, 100, true).needed, few.needed);
  EXPECT_EQ(make_cpu_backend(1)->chain_memory(view, 100, false).free, 0);
}

}  // namespace
}  // namespace tarn
