// The speed-up by momentum, each method at its own best step.
#include <gtest/gtest.h>

#include <cmath>

#include "adaptation_trials.hpp"
#include "tarn/models/hee_stability.hpp"

namespace tarn {
namespace {

// Along the widest of the directions, of precision k: Leimkuhler-Matthews needs some 2/(k h) > 1/k_max k evaluations. With momentum it is the
// root of the condition number. The ratio is 4.9 at condition number 100 in this dimension (see docs/adaptation.md for ten).
TEST(Adaptation, MomentumIsFasterAtEachMethodsBestStepAndKeepsTheVariance) {
  const auto backend = make_cpu_backend(2);
  const AdaptationLaw law = gaussian_law(3, 100.0, 100);
  LawChains start(law, *backend, 3, 0);
  const auto methods = adaptation_methods();
  start.use(methods[1], 0.3 * methods[1].largest_step(1.0 / law.variance[2]), 0.0);
  start.start_at_zero();
  start.advance(2000);
  Matrix<float> x(start.n_chains(), 3);
  start.read(x);
  const auto plain = search_best_step(methods[1], law, *backend, start.latents(), 3, std::uint64_t{1} << 32);
  const auto momentum = search_best_step(methods[2], law, *backend, start.latents(), 3, std::uint64_t{2} << 32);
  ASSERT_NE(plain.best(), nullptr);
  ASSERT_NE(momentum.best(), nullptr);
  EXPECT_GT(plain.best()->speed.worst().time, 5.0 * momentum.best()->speed.worst().time);
  EXPECT_LT(plain.best()->speed.worst().time, 150.0);
  for (const AdaptationTrial& trial : momentum.trials) {
    if (trial.speed.n_lost > 0 || !trial.speed.settled) continue;
    EXPECT_LT(std::abs(trial.bias), 0.1) << trial.share;
  }
}

}  // namespace
}  // namespace tarn
