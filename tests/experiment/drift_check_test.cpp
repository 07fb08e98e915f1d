// What is said about a run's drift before its chains start: figures, warnings and their remedies.
#include "tarn/experiment/drift_check.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "experiment/run_tools.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/models/drift.hpp"

namespace tarn {
namespace {

using test::RunTest;
using testing::HasSubstr;

/// Eight narrow peaks on a circle, 48 neurons, 600 steps.
const std::string eight =
    "[run]\nname = \"eight\"\n[data]\nkind = \"gaussian_mixture\"\nstd = 0.1\nepoch_size = 2000\n"
    "means = [[1,0],[0.7,0.7],[0,1],[-0.7,0.7],[-1,0],[-0.7,-0.7],[0,-1],[0.7,-0.7]]\n"
    "[model]\nneurons = 48\n[training]\nepochs = 20\nbatch_size = 64\n"
    "[training.noise]\nlevels = 3\n[training.quality]\noutput_scaling = \"inverse_sigma2\"\n"
    "[sampling]\nchains = 64\nsteps = 40\nthin = 0\n";

class DriftCheckTest : public RunTest {
 protected:
  /// Trains and looks; no chains run.
  DriftCheck look(const std::string& text, const std::vector<std::string>& settings) {
    Config config = parse_config(text, "test.toml", settings);
    const PreparedData data = prepare_data(config);
    resolve(config, facts_of(data));
    const auto backend = make_backend("cpu", 1);
    const RunFolder run = RunFolder::create(folder, config.run.name);
    const TrainingOutcome training = train_stage(config, data, *backend, run);
    return check_drift(config, make_sampling(config, data, training.levels, *backend).run, data.rows);
  }
};

double number_after(const std::string& text, const std::string& word) {
  const std::size_t at = text.find(word);
  EXPECT_NE(at, std::string::npos) << text;
  return at == std::string::npos ? std::nan("") : std::stod(text.substr(at + word.size()));
}

TEST_F(DriftCheckTest, AStepTooLargeIsNamedWithOneThatIsNot) {
  std::vector<std::string> settings{"sampling.schedule=\"last_level\"", "sampling.dt=0.9",
                                    "training.quality.confinement=0"};
  DriftCheck check = look(eight, settings);
  EXPECT_EQ(check.dt, 0.9);
  EXPECT_GT(check.stable_dt, 0.005)
      << "about 2 (0.1^2 + 0.14^2) for the exact score of these peaks at sigma 0.1, scaled";
  EXPECT_LT(check.stable_dt, 0.3);
  ASSERT_FALSE(check.warnings.empty());
  EXPECT_TRUE(
      check.warnings[0].starts_with("sampling.dt: 0.9 makes steps of 0.9 at the last noise level (sigma 0.1), where"))
      << check.warnings[0];
  const double suggested = number_after(check.warnings[0], "try ");
  EXPECT_NEAR(suggested, 0.1 * check.stable_dt, 0.01 * check.stable_dt);
  settings[1] = "sampling.dt=" + std::to_string(suggested);
  check = look(eight, settings);
  for (const std::string& warning : check.warnings) EXPECT_FALSE(warning.starts_with("sampling.dt")) << warning;

  settings = {"sampling.schedule=\"annealed\"", "sampling.annealed.dt0=15"};
  check = look(eight, settings);
  ASSERT_FALSE(check.warnings.empty());
  EXPECT_TRUE(check.warnings[0].starts_with("sampling.annealed.dt0: 15 makes steps of ")) << check.warnings[0];
  EXPECT_THAT(check.warnings[0], HasSubstr(" of 3 (sigma "));
  settings[1] = "sampling.annealed.dt0=" + std::to_string(number_after(check.warnings[0], "try "));
  check = look(eight, settings);
  for (const std::string& warning : check.warnings) EXPECT_FALSE(warning.starts_with("sampling.annealed")) << warning;
}

TEST_F(DriftCheckTest, ReservoirModeAddsAnEigenvalueOfMinusOne) {
  const std::vector<std::string> settings{"sampling.schedule=\"last_level\"", "sampling.dt=2.5",
                                          "model.nonlinearity=\"tanh\"", "training.noise.last=0.9", "data.std=2"};
  // a broad law at a large sigma: its score is softer than the leak
  const DriftCheck output = look(eight, settings);
  std::vector<std::string> with_neurons = settings;
  with_neurons.push_back("sampling.record.reservoir=true");
  const DriftCheck reservoir = look(eight, with_neurons);
  EXPECT_DOUBLE_EQ(reservoir.stable_dt, std::min(2.0, output.stable_dt));
  EXPECT_NEAR(reservoir.outward_rate, -1.0, 1e-9);
}

// The remedy that the warning names, on a network that needs it: a stronger pull makes the rate fall, below 0 in the end, and the warning goes.
TEST_F(DriftCheckTest, ConfinementPointsConfine) {
  std::vector<double> rates;
  for (const char* pull : {"0.0", "0.1", "1.0", "3.0"}) {
    const DriftCheck check = look(eight, {"training.quality.confinement=16",
                                          "training.quality.confinement_pull=" + std::string(pull), "run.seed=3"});
    rates.push_back(check.outward_rate);
    const bool warned = !check.warnings.empty() && check.warnings.back().find("far from the data") != std::string::npos;
    EXPECT_EQ(warned, check.outward_rate > 0.0) << pull;
    if (warned) {
      EXPECT_THAT(check.warnings.back(), HasSubstr("training.quality.confinement"));
    }
  }
  EXPECT_GT(rates[0], 0.0);
  EXPECT_LT(rates[3], 0.0);
  for (std::size_t i = 1; i < rates.size(); ++i) EXPECT_LT(rates[i], rates[i - 1]) << i;
  EXPECT_NEAR(look(eight, {"model.nonlinearity=\"tanh\""}).outward_rate, -1.0, 1e-6);
}

TEST_F(DriftCheckTest, FiguresReachMetricsAndReport) {
  const Config config = parse_config(eight, "eight.toml", {"sampling.schedule=\"last_level\"", "sampling.dt=0.9"});
  const RunOutcome outcome = run_experiment(config, {folder / "runs", 1});
  std::map<std::string, double> values;
  for (const std::string& line : test::lines_of(test::read_text(outcome.folder / "metrics.jsonl"))) {
    const auto json = nlohmann::json::parse(line);
    if (json.at("kind") == "evaluation" && json.at("value").is_number()) values[json.at("name")] = json.at("value");
  }
  ASSERT_TRUE(values.contains("largest_stable_dt"));
  ASSERT_TRUE(values.contains("outward_rate"));
  EXPECT_LT(values["largest_stable_dt"], 0.9);
  EXPECT_GT(values["largest_stable_dt"], 0.0);
  EXPECT_THAT(test::read_text(outcome.folder / "report.html"), HasSubstr("where the largest stable step is"));
}

// The stiffest mode bears a step of 2 / k, or 2 / sqrt(k) with momentum.
TEST_F(DriftCheckTest, MomentumBearsLongerSteps) {
  std::vector<std::string> settings{"sampling.schedule=\"last_level\"", "sampling.dt=0.9"};
  const DriftCheck plain = look(eight, settings);
  settings.push_back("sampling.integrator=\"baoab\"");
  const DriftCheck momentum = look(eight, settings);
  EXPECT_DOUBLE_EQ(momentum.stable_dt, std::sqrt(2.0 * plain.stable_dt));
  settings[1] = "sampling.dt=" + std::to_string(0.9 * momentum.stable_dt);
  for (const std::string& warning : look(eight, settings).warnings)
    EXPECT_FALSE(warning.starts_with("sampling.dt")) << warning;
}

TEST_F(DriftCheckTest, ForecastsBeforeThereAreWeights) {
  Config config = parse_config(eight, "eight.toml", {"sampling.schedule=\"last_level\"", "sampling.dt=0.5"});
  resolve(config, facts_of(prepare_data(config)));
  std::vector<std::string> lines = drift_forecast(config, 2);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], HasSubstr("sampling.dt = 0.5; an exact score bears up to 0.02 at the last level"));
  EXPECT_THAT(lines[0], HasSubstr("too large, try 0.002"));
  EXPECT_THAT(lines[1], HasSubstr("confinement points a batch are to prevent it"));
  config = parse_config(eight, "eight.toml", {"model.nonlinearity=\"sigmoid\""});
  resolve(config, facts_of(prepare_data(config)));
  lines = drift_forecast(config, 2);
  EXPECT_THAT(lines[0], HasSubstr("sampling.annealed.dt0 = 0.1; an exact score bears up to 2"));
  EXPECT_EQ(lines[0].find("too large"), std::string::npos);
  EXPECT_THAT(lines[1], HasSubstr("sigmoid is bounded"));
  config = parse_config(eight, "eight.toml",
                        {"sampling.schedule=\"last_level\"", "sampling.dt=0.05", "sampling.integrator=\"baoab\""});
  resolve(config, facts_of(prepare_data(config)));
  EXPECT_THAT(drift_forecast(config, 2)[0], HasSubstr("bears up to 0.2 at the last level (2 sigma)"));
}

}  // namespace
}  // namespace tarn
