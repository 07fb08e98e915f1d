// Live diagnostics of a whole run: in metrics.jsonl and the report, the same bytes whatever the threads; and the rule that ends it.
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiment/run_tools.hpp"
#include "message_of.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/evaluate_run.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/draws.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

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
  const RunOutcome single = run(annealed);
  const auto once = diagnostics_of(single);
  ASSERT_GE(once.size(), 2u);
  EXPECT_EQ(once[0].at("looks"), 1);
  EXPECT_EQ(once[0].at("r_hat"), "NaN");
  EXPECT_GT(once[0].at("nested_r_hat").get<double>(), 0.9);
  const std::string page = test::read_text(single.folder / "report.html");
  const std::string table = page.substr(page.find("<caption>Live diagnostics"));
  EXPECT_THAT(table.substr(0, table.find("</table>")), AllOf(HasSubstr("<td>n/a</td>"), Not(HasSubstr("NaN"))));
  std::vector<std::string> then = annealed;
  then.insert(then.end(), {"sampling.annealed.then_steps=64", "sampling.until=\"rhat < 100\""});
  EXPECT_EQ(diagnostics_of(run(then)).at(0).at("step"), 30 + 8 * 4);
}

class HeeLiveRun : public LiveRun {
 protected:
  RunOutcome run(const std::vector<std::string>& overrides, int n_threads = 1) {
    return run_experiment(parse_config(test::tiny_hee, "tiny.toml", overrides), {folder / "runs", n_threads});
  }
  // But for Frechet distances, whose products are rounded otherwise on two threads.
  static void expect_same(const RunOutcome& one, const RunOutcome& two) {
    test::expect_same_files(one.folder, two.folder, {"metrics.jsonl"});
    EXPECT_EQ(diagnostics_of(one), diagnostics_of(two));
  }
  static double number(const nlohmann::json& line, const char* key) { return line.at(key).get<double>(); }
};

// 256 data of two chains each. With looks at each kept draw, the sums are those of the file, within a datum.
TEST_F(HeeLiveRun, PosteriorChainsOfADatumAreComparedAmongThemselves) {
  const std::vector<std::string> often{"sampling.diagnostics.every=5", "sampling.thin=5"};
  const RunOutcome one = run(often), two = run(often, 2);
  expect_same(one, two);
  const auto lines = diagnostics_of(one);
  ASSERT_EQ(lines.size(), 6u);  // after 8 and 16 looks; at the end, with two units and |x|^2
  EXPECT_EQ(lines[0].at("step"), 10 + 8 * 5);
  EXPECT_EQ(lines[1].at("looks"), 16);
  EXPECT_EQ(lines[2].at("looks"), 24);
  EXPECT_EQ(lines[2].at("step"), 130);
  EXPECT_EQ(lines[2].at("nested_r_hat"), "NaN");
  EXPECT_EQ(lines[3].at("quantity"), "layer 1, unit 0");
  EXPECT_EQ(lines[5].at("quantity"), "|x|^2");

  const DrawReader reader(one.folder / "samples.nc");
  ASSERT_EQ(reader.n_draws(), 24);
  double mean = 0.0, inside = 0.0;  // squares about the mean of a datum's two chains
  for (std::int64_t datum = 0; datum < 256; ++datum) {
    std::vector<double> values;
    for (std::int64_t t = 0; t < 24; ++t) {
      const Matrix<float> x = reader.draw(t);
      for (const std::int64_t i : {2 * datum, 2 * datum + 1}) values.push_back(static_cast<double>(x(i, 0)));
    }
    double its = 0.0;
    for (const double v : values) its += v / 48.0;
    for (const double v : values) inside += (v - its) * (v - its);
    mean += its / 256.0;
  }
  EXPECT_NEAR(number(lines[3], "mean"), mean, 1e-6);
  EXPECT_NEAR(number(lines[3], "deviation"), std::sqrt(inside / (256.0 * 47.0)), 1e-6);
  // the posterior is the same Gaussian for each datum but for its mean; eight tau of it, from rest elsewhere
  EXPECT_LT(number(lines[3], "r_hat"), 1.3);
  EXPECT_THAT(test::read_text(one.folder / "report.html"),
              HasSubstr("Chains of one datum are compared among themselves, 2 of each"));
}

// One draw of a chain is kept: the page says what was seen on the way, and does not ask for effective draws of a datum.
TEST_F(HeeLiveRun, OneDrawOfEachPosteriorIsJudgedByTheLooks) {
  const RunOutcome one = run({"sampling.thin=0"});
  const std::string page = test::read_text(one.folder / "report.html");
  EXPECT_THAT(page, HasSubstr("while the chains ran, those of a datum among themselves"));
  EXPECT_EQ(page.find("effective draws or more"), std::string::npos);
}

TEST_F(HeeLiveRun, GeneratingChainsAreWatchedAtTheObservation) {
  const RunOutcome joint = run({"sampling.mode=joint", "sampling.diagnostics.every=10"});
  const auto lines = diagnostics_of(joint);
  ASSERT_EQ(lines.size(), 1u + 1 + 5);  // after 8 looks; at the end, with four units and |x|^2
  EXPECT_EQ(lines[2].at("quantity"), "layer 0, unit 0");
  EXPECT_GT(number(lines[1], "nested_r_hat"), 0.9);
  // a look at each step of the observation, or every so many of them
  const RunOutcome marginal = run({"sampling.mode=marginal", "sampling.inner_steps=5", "sampling.thin=0"});
  EXPECT_EQ(number(diagnostics_of(marginal).at(0), "looks"), 8);
  // the observation's only steps are the last ones
  const auto layerwise = diagnostics_of(run({"sampling.mode=layerwise"}));
  EXPECT_EQ(number(layerwise.at(0), "looks"), 1);
  EXPECT_EQ(layerwise.at(0).at("step"), 2 * 120);
  EXPECT_TRUE(diagnostics_of(run({"sampling.mode=ancestral"})).empty());
  EXPECT_TRUE(diagnostics_of(run({"sampling.diagnostics.outputs=0"})).empty());
}

TEST_F(HeeLiveRun, StopsWhereItsRuleHolds) {
  for (const std::string mode : {"posterior", "joint", "marginal"}) {
    SCOPED_TRACE(mode);
    const std::vector<std::string> overrides{"sampling.mode=" + mode, "sampling.inner_steps=5",
                                             "sampling.until=\"rhat < 100\"", "sampling.diagnostics.every=5",
                                             "sampling.thin=30"};
    const RunOutcome one = run(overrides), two = run(overrides, 2);
    expect_same(one, two);
    const DrawReader reader(one.folder / "samples.nc");
    EXPECT_EQ(reader.n_draws(), 2);  // 30 steps after burn_in, and where it stopped
    EXPECT_EQ(diagnostics_of(one).at(1).at("step"), 10 + 8 * 5);
    EXPECT_THAT(test::read_text(one.folder / "report.html"), HasSubstr("stopped after 50 steps"));
    const EvaluatedRun again = evaluate_run(one.folder, {.against = {}, .overrides = {}, .n_threads = 1});
    EXPECT_THAT(test::read_text(again.folder / "report.html"), HasSubstr(">25.6 k<"));  // 512 chains of 50 steps
  }
  const RunOutcome never = run({"sampling.until=\"ess > 1e9\""});
  EXPECT_EQ(DrawReader(never.folder / "samples.nc").n_draws(), 3);
  EXPECT_THAT(test::read_text(never.folder / "report.html"), HasSubstr("did not hold within the 130 steps"));
}

TEST_F(HeeLiveRun, ARuleThatCannotBeJudgedIsRefused) {
  const auto refusal = [&](const std::vector<std::string>& overrides) {
    return test::message_of([&] { run(overrides); });
  };
  const std::string rule = "sampling.until=\"ess > 400\"";
  EXPECT_THAT(refusal({rule, "sampling.diagnostics.outputs=0"}),
              HasSubstr("sampling.diagnostics.outputs of 1 or more"));
  EXPECT_THAT(refusal({rule, "sampling.mode=ancestral"}), HasSubstr("posterior, joint or marginal"));
  EXPECT_THAT(refusal({"sampling.until=\"nested_rhat < 1.1\""}), HasSubstr("allowed here: rhat, ess, mcse"));
  // 4 (8 (4 + 2) + 2) + 32 + 3 quantities of 336 bytes
  EXPECT_THAT(refusal({rule, "sampling.chains=8000000"}),
              HasSubstr("judges all 8000000 chains at a time, some 9.2 GiB of them; allowed: 6927366 chains"));
  EXPECT_THAT(refusal({"sampling.mode=marginal", "sampling.inner_steps=5", "sampling.diagnostics.every=7"}),
              HasSubstr("7 is no multiple of sampling.inner_steps = 5"));
}

}  // namespace
}  // namespace tarn
