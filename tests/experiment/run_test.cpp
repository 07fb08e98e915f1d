// A whole run, tiny: what the folder holds, that it is the same again, and what a dry run and several seeds do.
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiment/run_tools.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn {
namespace {

using test::lines_of;
using test::read_text;
using test::RunTest;
using testing::HasSubstr;
namespace fs = std::filesystem;

class Run : public RunTest {};

TEST_F(Run, FolderHoldsWhatItIsSaidToHold) {
  const Config config = parse_config(test::tiny_peak, "tiny.toml");
  const RunOutcome outcome = run_experiment(config, {folder / "runs", 1});
  const RunFolder run = RunFolder::open(outcome.folder);
  EXPECT_EQ(run.path().parent_path(), folder / "runs");
  EXPECT_TRUE(run.path().filename().string().starts_with("tiny-20"));
  for (const fs::path& file :
       {run.config(), run.log(), run.timing(), run.metrics(), run.data_maps(), run.weights(), run.samples_file(),
        run.report_json(), run.report(), run.done(), run.samples() / "manifest.json"}) {
    EXPECT_TRUE(fs::exists(file) && fs::file_size(file) > 0) << file;
  }
  for (const auto& [name, bytes] : test::files_below(run.path())) {
    EXPECT_EQ(name.find("tmp"), std::string::npos) << name << ": a temporary file was left behind";
  }

  // the config: every value resolved, and it runs again as it is
  Config resolved = config;
  const PreparedData data = prepare_data(config);
  resolve(resolved, facts_of(data));
  const Config reloaded = load_config(run.config().string());
  EXPECT_TRUE(reloaded == resolved);
  EXPECT_EQ(reloaded.model.neurons, 32);
  EXPECT_TRUE(reloaded.was_given("training.optimizer.lr"));

  // metrics: one JSON object a line
  int training = 0;
  std::vector<std::string> names;
  for (const std::string& line : lines_of(read_text(run.metrics()))) {
    const auto json = nlohmann::json::parse(line);
    if (json.at("kind") == "training") {
      ++training;
      EXPECT_TRUE(std::isfinite(json.at("loss").get<double>()));
      EXPECT_EQ(json.at("step").get<int>(), 2 * training) << "50 records a level of 100 steps";
      EXPECT_EQ(json.at("level").get<int>(), (training - 1) / 50);
    } else if (json.at("kind") == "diagnostics") {
      EXPECT_GT(json.at("step").get<int>(), 0);
    } else {
      EXPECT_EQ(json.at("kind"), "evaluation");
      names.push_back(json.at("name"));
    }
  }
  EXPECT_EQ(training, 150);
  std::vector<std::string> returned;
  for (const Metric& metric : outcome.metrics) returned.push_back(metric.name);
  EXPECT_EQ(names, returned);
  for (const char* name : {"chains_quarantined", "score_error_exact", "stationary_kl_smoothed", "kl_data", "w1_data"}) {
    EXPECT_THAT(names, testing::Contains(name));
  }
  const auto timing = nlohmann::json::parse(read_text(run.timing()));
  EXPECT_EQ(timing.at("training_steps"), 300);
  EXPECT_EQ(timing.at("chain_steps"), 7000);

  // weights: one file a level, the last of them once more
  const auto levels = run.level_files();
  ASSERT_EQ(levels.size(), 3u);
  const std::vector<double> sigmas = noise_levels(reloaded.training.noise);
  for (std::size_t l = 0; l < 3; ++l) {
    EXPECT_EQ(levels[l].level, static_cast<std::int64_t>(l));
    EXPECT_EQ(load_network(levels[l].path).sigma, sigmas[l]);
  }
  EXPECT_EQ(read_text(run.weights()), read_text(levels[2].path));

  // draws: thinned, after the burn-in, in the data's own units
  const DrawReader draws(run.samples_file());
  EXPECT_EQ(draws.n_chains(), 100);
  EXPECT_EQ(draws.n_draws(), 3);
  EXPECT_EQ(draws.n_dims(), 1);
  EXPECT_EQ(draws.steps(), (std::vector<std::int64_t>{30, 50, 70}));
  EXPECT_NEAR(draws.times()[2], 0.7, 1e-6);
  EXPECT_EQ(draws.first_bad_step(), std::vector<std::int64_t>(100, -1));
  const StoredRun stored = load_run(run.path());
  ASSERT_EQ(stored.levels.size(), 3u);
  EXPECT_EQ(stored.data.scaling, data.scaling);
  EXPECT_EQ(stored.data.largest_norm, data.largest_norm);
  EXPECT_NEAR(data.scaling.scale, std::sqrt(1.25), 1e-12) << "so the draws below were scaled back";
  const auto backend = make_cpu_backend(1);
  const SamplingOutcome again = sampling_stage(stored.config, stored.data, stored.levels, *backend, folder / "again");
  EXPECT_EQ(again.last_draw, draws.draw(-1));
  EXPECT_EQ(again.result.last_draw(7, 0) * static_cast<float>(std::sqrt(1.25)), again.last_draw(7, 0));
}

TEST_F(Run, SameBytesAgainAndOnTwoThreads) {
  for (const std::string schedule : {"last_level", "annealed"}) {
    const Config config = parse_config(test::tiny_peak, "tiny.toml", {"sampling.schedule=\"" + schedule + "\""});
    const RunOutcome one = run_experiment(config, {folder / "one", 1});
    const RunOutcome two = run_experiment(config, {folder / "two", 2});
    test::expect_same_files(one.folder, two.folder);
    if (schedule == "annealed") continue;
    // and another seed gives another run
    const Config other = parse_config(test::tiny_peak, "tiny.toml", {"run.seed=6"});
    EXPECT_NE(read_text(run_experiment(other, {folder / "other", 1}).folder / "weights.safetensors"),
              read_text(one.folder / "weights.safetensors"));
  }
}

TEST_F(Run, DryRunWritesNothing) {
  const Config config = parse_config(test::tiny_peak, "tiny.toml");
  const auto lines = plan_of(config, {folder / "runs", 1});
  EXPECT_TRUE(fs::is_empty(folder));
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  EXPECT_THAT(text, HasSubstr("training: 300 steps of 64 over 3 noise levels"));
  EXPECT_THAT(text, HasSubstr("sampling: 100 chains, 70 steps each, 3 draws kept of each"));
  EXPECT_THAT(text, HasSubstr("memory:"));
  EXPECT_THAT(text, HasSubstr("output:"));
  EXPECT_THAT(text, HasSubstr("time:"));
}

TEST_F(Run, SeveralSeedsEndInATable) {
  const Config config = parse_config(test::tiny_peak, "tiny.toml");
  EXPECT_THROW(run_seeds(config, {folder, 1}, 0), UsageError);
  const auto runs = run_seeds(config, {folder, 1}, 3);
  ASSERT_EQ(runs.size(), 3u);
  std::vector<double> errors;
  for (const RunOutcome& run : runs) {
    for (const Metric& m : run.metrics) {
      if (m.name == "score_error_exact") errors.push_back(m.value);
    }
  }
  ASSERT_EQ(errors.size(), 3u);
  EXPECT_EQ(load_config((runs[2].folder / "config.toml").string()).run.seed, 7u);
  const std::vector<std::string> table = lines_of(read_text(folder / "tiny-seeds.md"));
  const auto row = std::find_if(table.begin(), table.end(),
                                [](const std::string& line) { return line.starts_with("| score error, exact |"); });
  ASSERT_NE(row, table.end());
  std::vector<double> sorted = errors;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(*row, fmt::format("| score error, exact | {:.4g} | {:.4g} | {:.4g} |  | {:.4g} | {:.4g} | {:.4g} |",
                              sorted[1], sorted[0], sorted[2], errors[0], errors[1], errors[2]));
  // a seed of a series is the run of that seed
  const Config alone = parse_config(test::tiny_peak, "tiny.toml", {"run.seed=6"});
  EXPECT_EQ(read_text(run_experiment(alone, {folder / "alone", 1}).folder / "weights.safetensors"),
            read_text(runs[1].folder / "weights.safetensors"));
  run_seeds(config, {folder, 1}, 1);
  EXPECT_TRUE(fs::exists(folder / "tiny-seeds-2.md")) << "an old table is kept";
}

// Given weights are plain W_out, whatever the output scaling of the first level: with a rate of almost nothing they stay.
TEST_F(Run, TrainsOnFromGivenWeights) {
  const Config first = parse_config(test::tiny_peak, "tiny.toml");
  const fs::path weights = run_experiment(first, {folder / "first", 1}).folder / "weights.safetensors";
  for (const std::string scaling : {"none", "inverse_sigma", "inverse_sigma2"}) {
    const Config on = parse_config(test::tiny_peak, "tiny.toml",
                                   {"training.init=\"" + weights.string() + "\"", "training.noise.schedule=\"single\"",
                                    "training.noise.levels=1", "training.noise.last=0.1", "training.optimizer.lr=1e-12",
                                    "training.quality.output_scaling=\"" + scaling + "\""});
    const SamplingNetwork before = load_network(weights);
    const SamplingNetwork after =
        load_network(run_experiment(on, {folder / scaling, 1}).folder / "weights.safetensors");
    ASSERT_EQ(after.W_out.size(), before.W_out.size());
    for (std::int64_t i = 0; i < before.W_out.size(); ++i) {
      ASSERT_NEAR(after.W_out.data()[i], before.W_out.data()[i], 1e-6 * std::fabs(before.W_out.data()[i]) + 1e-7);
    }
  }
  EXPECT_THROW(
      run_experiment(parse_config(test::tiny_peak, "tiny.toml",
                                  {"training.init=\"" + weights.string() + "\"", "model.nonlinearity=\"tanh\""}),
                     {folder / "wrong", 1}),
      UsageError);
}

// A second level at sigma 1e-25 asks for output weights beyond float32. The line that stops the run names the weights of the first, which are
// there and in order.
TEST_F(Run, TrainingThatRunsOffNamesTheLastGoodWeights) {
  const Config config = parse_config(
      test::tiny_peak, "tiny.toml",
      {"training.noise.levels=2", "training.noise.last=1e-25", "training.quality.output_scaling=\"inverse_sigma2\""});
  std::string message;
  try {
    run_experiment(config, {folder / "runs", 1});
  } catch (const Error& error) {
    message = error.what();
  }
  const std::string word = "last good weights: ";
  ASSERT_THAT(message, testing::AllOf(HasSubstr("level 2 of 2"), HasSubstr("|W_out| = "), HasSubstr(word)));
  EXPECT_EQ(message.find('\n'), std::string::npos);
  const std::size_t from = message.find(word) + word.size();
  const fs::path good = message.substr(from, message.find(';', from) - from);
  EXPECT_EQ(good.filename(), "level-00.safetensors");
  load_network(good).validate();
  EXPECT_FALSE(fs::exists(good.parent_path().parent_path() / "weights.safetensors"));
}

TEST_F(Run, RefusesWhatIsNoRun) {
  EXPECT_THROW(load_run(folder / "nothing"), Error);
  EXPECT_THROW(load_run(folder), Error);
  test::write_text(folder / "config.toml", test::tiny_peak);
  EXPECT_THROW(load_run(folder), Error) << "no weights";
}

}  // namespace
}  // namespace tarn
