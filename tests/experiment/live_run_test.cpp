// Live diagnostics of a whole run: in metrics.jsonl and the report, the same bytes whatever the threads; and the rule that ends it.
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiment/run_tools.hpp"
#include "message_of.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/draws.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class LiveRun : public test::RunTest {
 protected:
  RunOutcome run(const std::vector<std::string>& overrides, int n_threads = 1) {
    return run_experiment(parse_config(test::tiny_peak, "peak.toml", overrides), {folder / "runs", n_threads});
  }
  static std::vector<nlohmann::json> diagnostics_of(const RunOutcome& outcome) {
    std::vector<nlohmann::json> found;
    for (const std::string& line : test::lines_of(test::read_text(outcome.folder / "metrics.jsonl"))) {
      if (auto json = nlohmann::json::parse(line); json.at("kind") == "diagnostics") found.push_back(std::move(json));
    }
    return found;
  }
};

// Looks every 10 steps, the least divisor of thin = 20 that is not below 60 / 8.
TEST_F(LiveRun, ChoosesHowOftenToLook) {
  const auto lines = diagnostics_of(run({}));
  ASSERT_EQ(lines.size(), 4u);  // at the end only
  EXPECT_EQ(lines[0].at("step"), 70);
  EXPECT_EQ(lines[0].at("looks"), 6);
}

TEST_F(LiveRun, IsToldAlongTheWayAndAtTheEnd) {
  const std::vector<std::string> often{"sampling.diagnostics.every=4"};
  const RunOutcome one = run(often), two = run(often, 2);
  const auto lines = diagnostics_of(one);
  ASSERT_EQ(lines.size(), 5u);  // after 8 looks; at the end, with one quantity and two modes
  EXPECT_EQ(lines[0].at("step"), 10 + 8 * 4);
  EXPECT_EQ(lines[0].at("looks"), 8);
  EXPECT_EQ(lines[1].at("step"), 70);
  EXPECT_EQ(lines[1].at("looks"), 15);
  EXPECT_EQ(lines[2].at("quantity"), "x_0");
  EXPECT_EQ(lines[2].at("ess"), lines[1].at("ess"));
  EXPECT_GT(lines[2].at("ess"), 0.0);
  EXPECT_NEAR(lines[3].at("share").get<double>() + lines[4].at("share").get<double>(), 1.0, 1e-12);
  EXPECT_THAT(test::read_text(one.folder / "report.html"), HasSubstr("Live diagnostics"));
  test::expect_same_files(one.folder, two.folder);
}

TEST_F(LiveRun, LooksAtEveryDrawAreTheDraws) {
  const RunOutcome outcome = run({"sampling.thin=5", "sampling.diagnostics.every=5"});
  const auto lines = diagnostics_of(outcome);
  const DrawReader reader(outcome.folder / "samples.nc");
  ASSERT_EQ(reader.n_draws(), 12);
  double mean = 0.0;
  for (std::int64_t t = 0; t < 12; ++t) {
    const Matrix<float> x = reader.draw(t);
    for (std::int64_t i = 0; i < x.rows(); ++i) mean += static_cast<double>(x(i, 0)) / (12.0 * 100.0);
  }
  const PreparedData data = load_run(outcome.folder).data;
  Matrix<float> scaled(1, 1);
  scaled(0, 0) = static_cast<float>(mean);
  apply_scaling(data.scaling, scaled);
  for (const auto& line : lines) {
    if (line.contains("quantity")) {
      EXPECT_NEAR(line.at("mean").get<double>(), static_cast<double>(scaled(0, 0)), 1e-6);
    }
  }
}

TEST_F(LiveRun, StopsWhereItsRuleHolds) {
  const RunOutcome one = run({"sampling.until=\"rhat < 100\""}), two = run({"sampling.until=\"rhat < 100\""}, 2);
  test::expect_same_files(one.folder, two.folder);
  const DrawReader reader(one.folder / "samples.nc");
  EXPECT_EQ(reader.n_draws(), 2);  // at 20 steps after burn_in, and where it stopped
  EXPECT_EQ(diagnostics_of(one).at(1).at("step"), 10 + 8 * 4);
  EXPECT_THAT(test::read_text(one.folder / "report.html"), HasSubstr("stopped after 42 steps"));
  const RunOutcome never = run({"sampling.until=\"ess > 1e9\""});
  EXPECT_EQ(DrawReader(never.folder / "samples.nc").n_draws(), 3);
  EXPECT_THAT(test::read_text(never.folder / "report.html"), HasSubstr("did not hold within the 70 steps"));
}

TEST_F(LiveRun, CanBeTurnedOff) {
  const RunOutcome off = run({"sampling.diagnostics.outputs=0"});
  EXPECT_TRUE(diagnostics_of(off).empty());
  EXPECT_EQ(test::read_text(off.folder / "report.html").find("Live diagnostics"), std::string::npos);
  EXPECT_EQ(difference_but_times(off.folder / "samples.nc", run({}).folder / "samples.nc"), "");
}

TEST_F(LiveRun, ARuleThatCannotBeJudgedIsRefused) {
  const auto refusal = [&](const std::vector<std::string>& overrides) {
    return test::message_of([&] { run(overrides); });
  };
  const std::string rule = "sampling.until=\"ess > 400\"";
  EXPECT_THAT(refusal({rule, "sampling.diagnostics.outputs=0"}),
              HasSubstr("sampling.diagnostics.outputs of 1 or more"));
  EXPECT_THAT(refusal({rule, "sampling.schedule=\"annealed\""}), HasSubstr("sampling.annealed.then_steps above 0"));
  const RunOutcome whole = run({});
  StoredRun stored = load_run(whole.folder, {rule});
  const auto backend = make_cpu_backend(1);
  EXPECT_THAT(test::message_of([&] {
                sampling_stage(stored.config, stored.data, stored.levels, *backend, folder / "part", {0, 50});
              }),
              HasSubstr("judges all 100 chains together, and chains 0:50 are only some of them"));
}

// An annealed schedule ends its further steps early; without any, chains are looked at once.
TEST_F(LiveRun, OfAnAnnealedSchedule) {
  const std::vector<std::string> annealed{"sampling.schedule=\"annealed\"", "sampling.burn_in=0",
                                          "sampling.annealed.steps_per_level=10"};
  const auto once = diagnostics_of(run(annealed));
  ASSERT_GE(once.size(), 2u);
  EXPECT_EQ(once[0].at("looks"), 1);
  EXPECT_EQ(once[0].at("r_hat"), "NaN");
  EXPECT_GT(once[0].at("nested_r_hat").get<double>(), 0.9);
  std::vector<std::string> then = annealed;
  then.insert(then.end(), {"sampling.annealed.then_steps=64", "sampling.until=\"rhat < 100\""});
  EXPECT_EQ(diagnostics_of(run(then)).at(0).at("step"), 30 + 8 * 4);
}

}  // namespace
}  // namespace tarn
