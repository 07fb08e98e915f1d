// How many steps and draws a schedule makes, and of what size.
#include "tarn/sampling/schedule.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

TEST(Schedule, PlainCountsDrawsByThinningAndKeepsTheEnd) {
  struct Case {
    std::int64_t burn_in, steps, thin, draws;
  };
  for (const Case& c : {Case{0, 100, 10, 10}, Case{50, 100, 10, 10}, Case{0, 105, 10, 11}, Case{7, 3, 10, 1},
                        Case{5, 40, 0, 1}, Case{0, 10, 1, 10}, Case{0, 0, 5, 1}, Case{3, 0, 0, 1}}) {
    const auto stages = plain_schedule({}, c.burn_in, c.steps, c.thin);
    EXPECT_EQ(n_draws(stages), c.draws) << c.burn_in << " " << c.steps << " " << c.thin;
    EXPECT_EQ(n_steps(stages), c.burn_in + c.steps);
    EXPECT_EQ(stages.size(), c.burn_in > 0 ? 2u : 1u);
    EXPECT_EQ(n_draws(stages.front()), c.burn_in > 0 ? 0 : c.draws);
  }
}

TEST(Schedule, AnnealedTakesEachLevelInTurnWithItsOwnStep) {
  std::vector<Stage> levels(3);
  levels[0].sigma = 1.0;
  levels[1].sigma = 0.5;
  levels[2].sigma = 0.1;
  for (Stage& level : levels) level.bound = 10.0 * level.sigma;
  const auto stages = annealed_schedule(levels, 5, 0.2, 0, 0);
  ASSERT_EQ(stages.size(), 3u);
  for (std::size_t l = 0; l < 3; ++l) {
    EXPECT_EQ(stages[l].n_steps, 5);
    EXPECT_DOUBLE_EQ(stages[l].dt, 0.2 * levels[l].sigma * levels[l].sigma);
    EXPECT_DOUBLE_EQ(stages[l].bound, levels[l].bound);
    EXPECT_EQ(n_draws(stages[l]), l == 2 ? 1 : 0);
  }
  // then 12 more at the last level: a draw at its end, 2 by thinning, and the last state
  const auto longer = annealed_schedule(levels, 5, 0.2, 12, 5);
  ASSERT_EQ(longer.size(), 4u);
  EXPECT_EQ(n_steps(longer), 27);
  EXPECT_EQ(n_draws(longer), 4);
  EXPECT_DOUBLE_EQ(longer[3].dt, stages[2].dt);
  EXPECT_THROW(annealed_schedule({}, 5, 0.2, 0, 0), Error);
}

// A law sigma times as wide: x = sigma y, and v keeps its law, so time goes sigma times as slowly; for the plain dynamics it is sigma^2.
TEST(Schedule, AnnealedMomentumScalesItsTimeBySigma) {
  std::vector<Stage> levels(2);
  levels[0].sigma = 0.8;
  levels[1].sigma = 0.1;
  for (Stage& level : levels) level.friction = 1.5;
  const auto stages = annealed_schedule(levels, 5, 0.2, 3, 0, Integrator::baoab);
  ASSERT_EQ(stages.size(), 3u);
  for (const Stage& stage : stages) {
    EXPECT_DOUBLE_EQ(stage.dt, 0.2 * stage.sigma);
    EXPECT_DOUBLE_EQ(stage.friction * stage.dt, 1.5 * 0.2);
  }
  EXPECT_DOUBLE_EQ(annealed_schedule(levels, 5, 0.2, 3, 0)[0].friction, 1.5);
}

TEST(Schedule, BoundFollowsDataAndNoise) {
  EXPECT_DOUBLE_EQ(chain_bound(3.0, 4.0, 9, 1.0), 3.0 * 5.0);
  EXPECT_DOUBLE_EQ(chain_bound(3.0, 4.0, 100, 0.0), 12.0);
  EXPECT_DOUBLE_EQ(chain_bound(0.0, 4.0, 9, 1.0), 0.0);
}

}  // namespace
}  // namespace tarn
