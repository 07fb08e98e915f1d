// Choice by measurement on any device: it changes nothing beyond rounding, and what was chosen gives the same bits again.
#include "tarn/compute/tuning.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "compute/large_session_checks.hpp"
#include "cuda/device.hpp"
#include "cuda_backend.hpp"
#include "sampling/networks.hpp"

namespace tarn {
namespace {

using test::Trained;

// What a backend chose, by key; products only in `rounding`.
struct Chosen {
  Choices all, rounding;
  Tuning tuning() {
    Tuning t;
    t.on_choice = [this](const std::string& key, const Choice& choice, bool, bool rounds) {
      all[key] = choice;
      if (rounds) rounding[key] = choice;
    };
    return t;
  }
};

Trained train(Backend& backend) {
  const DsmParameters p = test::some_parameters(Nonlinearity::relu, 40, 0, 530);
  const auto session = backend.make_dsm_session(p, test::everything());
  return test::train(*session, p, test::confined_level(true, 5), 14, std::vector<float>(21, 1e-3f), 9);
}

void expect_near(const Matrix<float>& a, const Matrix<float>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (std::int64_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a.data()[i], b.data()[i], tolerance) << i;
}

TEST(CudaTuning, TrainingIsTheSameToRoundingAndAgainTheSameBits) {
  TARN_NEEDS_DEVICE();
  const auto plain = test::cuda_backend();
  const Trained untuned = train(*plain);
  EXPECT_EQ(plain->tuned().n_products, 0);
  Chosen chosen;
  const auto measuring = test::cuda_backend();
  measuring->tune(chosen.tuning());
  const Trained tuned = train(*measuring);
  EXPECT_GT(measuring->tuned().n_products, 3);
  EXPECT_EQ(measuring->tuned().n_products + measuring->tuned().n_layers, std::ssize(chosen.rounding));
  // 21 steps of Adam at 1e-3: a gradient whose sign rounding decides moves its weight by 2e-2 one way or the other
  expect_near(tuned.parameters.V, untuned.parameters.V, 5e-2);
  for (std::size_t t = 0; t < tuned.losses.size(); ++t)
    EXPECT_NEAR(tuned.losses[t].loss, untuned.losses[t].loss, 1e-3 * (1.0 + std::fabs(untuned.losses[t].loss))) << t;
  for (const bool binding : {false, true}) {
    const auto again = test::cuda_backend();
    Tuning tuning;
    (binding ? tuning.binding : tuning.known) = chosen.rounding;
    again->tune(tuning);
    test::expect_same(train(*again), tuned);
    EXPECT_EQ(again->tuned().n_measured, 0);
    EXPECT_EQ(again->tuned().n_bound, binding ? std::ssize(chosen.rounding) : 0);
  }
}

// A small network's chains: the same bits, however many there are and whatever is the fastest.
TEST(CudaTuning, SmallChainsAreTheSameBits) {
  TARN_NEEDS_DEVICE();
  const auto cpu = make_cpu_backend(1);
  const auto cuda = test::cuda_backend();
  Chosen chosen;
  cuda->tune(chosen.tuning());
  const SamplingNetwork network = test::some_network(Nonlinearity::softplus, 2, 1, 45);
  for (const std::int64_t n : {1, 37}) {
    for (const auto integrator : {Integrator::euler_maruyama, Integrator::baoab}) {
      LangevinSteps steps;
      steps.integrator = integrator;
      steps.dt = 0.05f;
      steps.friction = 0.7f;
      steps.n_steps = 11;
      steps.seed = 4;
      steps.bound = 2.5f;
      const auto run = [&](Backend& backend) {
        const test::Prepared prepared(backend, network);
        Matrix<float> x = test::normal_matrix(n, 2, 1), v = test::normal_matrix(n, 2, 2), clamp(n, 2);
        const Matrix<float> u = test::normal_matrix(n, 1, 3);
        for (std::int64_t i = 0; i < clamp.size(); ++i) clamp.data()[i] = i % 7 == 0 ? 0.5f : NAN;
        std::vector<std::int64_t> bad(static_cast<std::size_t>(n), -1);
        for (int call = 0; call < 2; ++call) {
          backend.advance(*prepared.network, steps, {x, u, clamp, bad.data(), v});
          steps.first_step += 11;
        }
        return std::tuple(x, v, bad);
      };
      const LangevinSteps before = steps;
      const auto expected = run(*cpu);
      steps = before;
      const auto found = run(*cuda);
      for (std::int64_t i = 0; i < 2 * n; ++i) {
        const float a = std::get<0>(expected).data()[i], b = std::get<0>(found).data()[i];
        ASSERT_TRUE(a == b || (std::isnan(a) && std::isnan(b))) << i << " of " << n;
      }
      EXPECT_EQ(std::get<2>(expected), std::get<2>(found));
    }
  }
  EXPECT_EQ(chosen.all.size(), 4u);
  EXPECT_TRUE(chosen.rounding.empty());
}

}  // namespace
}  // namespace tarn
