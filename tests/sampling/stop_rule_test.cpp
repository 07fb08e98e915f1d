// The rule that ends a run: what it says, and that nothing but seed and plan decides where it ends one.
#include "tarn/sampling/stop_rule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "message_of.hpp"
#include "sampling/gaussian_chains.hpp"
#include "sampling/networks.hpp"
#include "tarn/core/error.hpp"

namespace tarn {
namespace {

using testing::HasSubstr;

std::string refusal(const std::string& text) {
  return test::message_of([&] { parse_stop_rule(text); });
}

LiveDiagnostics seen(double r_hat, double ess, double mcse = 0.1) {
  LiveDiagnostics d;
  LiveQuantity good;
  good.r_hat = good.nested_r_hat = 1.0;
  good.ess = 1e9;
  good.mcse = 0.0;
  good.deviation = 2.0;
  LiveQuantity q = good;
  q.r_hat = r_hat;
  q.ess = ess;
  q.mcse = mcse;
  d.quantities = {good, q, good};
  return d;
}

TEST(StopRuleTest, HoldsWhereAllConditionsDoOfTheWorstQuantity) {
  const StopRule rule = parse_stop_rule("rhat < 1.01 and ess > 400");
  ASSERT_EQ(rule.conditions.size(), 2u);
  EXPECT_TRUE(rule.holds(seen(1.005, 500)));
  EXPECT_FALSE(rule.holds(seen(1.02, 500)));
  EXPECT_FALSE(rule.holds(seen(1.005, 300)));
  EXPECT_FALSE(rule.holds(seen(1.01, 500)));
  EXPECT_FALSE(rule.holds(seen(std::nan(""), 500)));
  EXPECT_FALSE(rule.holds(seen(1.005, std::nan(""))));
  EXPECT_FALSE(rule.holds({}));
  EXPECT_TRUE(parse_stop_rule("  mcse<6e-2 ").holds(seen(9.0, 1.0, 0.1)));
  EXPECT_FALSE(parse_stop_rule("mcse<4e-2").holds(seen(9.0, 1.0, 0.1)));
  EXPECT_TRUE(parse_stop_rule("nested_rhat < 1.001").holds(seen(9.0, 1.0)));
  EXPECT_TRUE(parse_stop_rule("").empty());
  EXPECT_FALSE(StopRule{}.holds(seen(1.0, 1e9)));
}

TEST(StopRuleTest, AnythingElseIsExplained) {
  EXPECT_THAT(refusal("r_hat < 1.01"), HasSubstr("\"r_hat\" is none of rhat, nested_rhat, ess, mcse"));
  EXPECT_THAT(refusal("rhat <= 1.01"), HasSubstr("< or > must follow \"rhat\", found <="));
  EXPECT_THAT(refusal("rhat"), HasSubstr("< or > must follow \"rhat\", found the end"));
  EXPECT_THAT(refusal("rhat <"), HasSubstr("a number must follow \"rhat <\", found the end"));
  EXPECT_THAT(refusal("rhat < 1.01x"), HasSubstr("found 1.01x"));
  EXPECT_THAT(refusal("rhat < nan"), HasSubstr("found nan"));
  EXPECT_THAT(refusal("ess > 400 or rhat < 1.1"), HasSubstr("must follow \"ess > 400\", found or"));
  EXPECT_THAT(refusal("ess > 400 and"), HasSubstr("found the end"));
  EXPECT_THAT(refusal("ess > 400, rhat < 1.1"), HasSubstr("a number must follow \"ess >\", found 400,"));
  EXPECT_THAT(refusal("ess < 400"), HasSubstr("\"ess < 400\" waits for chains to get worse"));
  EXPECT_THAT(refusal("rhat > 1.1"), HasSubstr("waits for chains to get worse"));
  EXPECT_THAT(refusal("= ="), HasSubstr("is none of"));
}

// Chains on an exact Gaussian score, watched every 5 steps.
struct Watched {
  SamplingNetwork weights = test::exact_gaussian();
  std::unique_ptr<Backend> backend;
  std::unique_ptr<test::Prepared> prepared;
  SamplingRun run;

  explicit Watched(int n_threads = 2, std::int64_t thin = 10) : backend(make_cpu_backend(n_threads)) {
    prepared = std::make_unique<test::Prepared>(*backend, weights);
    Stage stage;
    stage.network = prepared->network.get();
    stage.dt = 0.02;
    run.stages = plain_schedule(stage, 40, 4000, thin);
    run.stages.back().watch = 5;
    run.seed = 8;
    run.n_chains = 700;
    run.initial.kind = InitialKind::normal;
    run.initial.standard_deviation = 3.0;
    run.watch.n_outputs = 2;
  }
};

TEST(StopRuleTest, WatchingChangesNoDrawAndLooksAreTheDraws) {
  Watched w(2, 5);
  w.run.stages.back().n_steps = 160;
  test::KeepingSink watched, plain;
  const SamplingResult result = run_chains(*w.backend, w.run, &watched);
  SamplingRun without = w.run;
  without.watch.n_outputs = 0;
  run_chains(*w.backend, without, &plain);
  EXPECT_EQ(watched.draws, plain.draws);
  const LiveDiagnostics live = result.live.diagnostics();
  EXPECT_EQ(live.n_looks, 32);
  ASSERT_EQ(plain.draws.size(), 32u);
  for (std::size_t d = 0; d < 2; ++d) {
    double sum = 0.0, square = 0.0;
    for (const auto& [number, draw] : plain.draws) {
      for (const auto& [chain, x] : draw.x) sum += static_cast<double>(x[d]) / (32.0 * 700.0);
    }
    for (const auto& [number, draw] : plain.draws) {
      for (const auto& [chain, x] : draw.x)
        square += std::pow(static_cast<double>(x[d]) - sum, 2) / (32.0 * 700.0 - 1.0);
    }
    EXPECT_NEAR(live.quantities[d].mean, sum, 1e-10);
    EXPECT_NEAR(live.quantities[d].deviation, std::sqrt(square), 1e-10);
  }
}

TEST(StopRuleTest, TilesChangeNoBitOfTheSums) {
  Watched w;
  w.run.stages.back().n_steps = 190;
  const std::vector<double> whole = run_chains(*w.backend, w.run, nullptr).live.pack();
  std::int64_t told = 0;
  w.run.judged = [&](std::int64_t, const LiveDiagnostics&) { ++told; };
  w.run.memory_bytes = 200000;
  EXPECT_EQ(run_chains(*w.backend, w.run, nullptr).live.pack(), whole);
  EXPECT_EQ(told, 0);
  w.run.memory_bytes = std::int64_t{1} << 30;
  EXPECT_EQ(run_chains(*w.backend, w.run, nullptr).live.pack(), whole);
  EXPECT_EQ(told, 3);  // after 8, 16 and 32 of 38 looks
}

TEST(StopRuleTest, ARunEndsWhereItHoldsWhateverTheThreads) {
  Watched w;
  w.run.until = parse_stop_rule("rhat < 1.2 and ess > 5000");
  std::vector<std::int64_t> judged;
  w.run.judged = [&](std::int64_t step, const LiveDiagnostics& d) {
    EXPECT_EQ(w.run.until.holds(d), d.worst_r_hat() < 1.2 && d.worst_ess() > 5000.0);
    judged.push_back(step);
  };
  test::KeepingSink sink;
  const SamplingResult result = run_chains(*w.backend, w.run, &sink);
  ASSERT_GT(result.stopped_at, 40 + 5 * 8);
  ASSERT_LT(result.stopped_at, 4000);
  EXPECT_EQ(judged.back(), result.stopped_at);
  EXPECT_EQ(judged.front(), 40 + 5 * 8);
  EXPECT_EQ(result.n_draws, std::ssize(sink.draws));
  EXPECT_EQ(sink.draws.rbegin()->second.step, result.stopped_at);  // the end is always kept
  EXPECT_EQ(result.chain_steps, static_cast<double>(result.stopped_at * w.run.n_chains));
  EXPECT_EQ(result.last_draw(699, 1), sink.draws.rbegin()->second.x.at(699)[1]);

  // A run that is as long in the first place has the same draws.
  Watched plain;
  plain.run.stages.back().n_steps = result.stopped_at - 40;
  test::KeepingSink expected;
  run_chains(*plain.backend, plain.run, &expected);
  EXPECT_EQ(sink.draws, expected.draws);

  Watched one(1);
  one.run.until = w.run.until;
  one.run.memory_bytes = 1000;  // the rule needs all chains at a time, so this is not asked
  EXPECT_EQ(run_chains(*one.backend, one.run, nullptr).stopped_at, result.stopped_at);
}

TEST(StopRuleTest, ARuleThatNeverHoldsLetsTheRunEnd) {
  Watched w;
  w.run.stages.back().n_steps = 100;
  w.run.until = parse_stop_rule("ess > 1e12");
  const SamplingResult result = run_chains(*w.backend, w.run, nullptr);
  EXPECT_EQ(result.stopped_at, -1);
  EXPECT_EQ(result.chain_steps, 140.0 * 700.0);
}

TEST(StopRuleTest, ARunThatIsBrokenOffEndsAtTheSamePlace) {
  Watched w;
  w.run.until = parse_stop_rule("rhat < 1.2 and ess > 5000");
  std::vector<SamplingPosition> positions;
  SamplingCheckpoints saving;
  saving.due = [] { return true; };
  saving.save = [&](const SamplingPosition& at) { positions.push_back(at); };
  const SamplingResult whole = run_chains(*w.backend, w.run, nullptr, {}, saving);
  ASSERT_GT(positions.size(), 8u);
  for (std::size_t i = 0; i < positions.size(); i += i + 31 < positions.size() ? 31 : 1) {
    SamplingCheckpoints going_on;
    going_on.from = &positions[i];
    test::KeepingSink sink;
    const SamplingResult result = run_chains(*w.backend, w.run, &sink, {}, going_on);
    EXPECT_EQ(result.stopped_at, whole.stopped_at) << i;
    EXPECT_EQ(result.live.pack(), whole.live.pack()) << i;
    EXPECT_EQ(result.n_draws, whole.n_draws) << i;
    EXPECT_EQ(result.chain_steps, whole.chain_steps) << i;
  }
}

TEST(StopRuleTest, ARuleNeedsSomethingToLookAt) {
  Watched w;
  w.run.until = parse_stop_rule("ess > 1");
  w.run.stages.back().watch = 0;
  EXPECT_THROW(run_chains(*w.backend, w.run, nullptr), Error);
  w.run.stages.back().watch = 5;
  w.run.watch.n_outputs = 3;
  EXPECT_THROW(run_chains(*w.backend, w.run, nullptr), Error);
}

}  // namespace
}  // namespace tarn
