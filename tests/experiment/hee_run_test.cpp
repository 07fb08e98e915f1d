// A whole HEE run, tiny: what the folder holds, that it is the same again and after every break, and how it is judged.
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiment/run_tools.hpp"
#include "message_of.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/evaluate_run.hpp"
#include "tarn/experiment/hee_stages.hpp"
#include "tarn/io/draws.hpp"

namespace tarn {
namespace {

using test::lines_of;
using test::read_text;
using test::tiny_hee;
using testing::Contains;
using testing::HasSubstr;
namespace fs = std::filesystem;

class HeeRun : public test::RunTest {
 protected:
  static Config tiny(const std::vector<std::string>& overrides = {}) {
    return parse_config(tiny_hee, "tiny.toml", overrides);
  }
};

double metric(const RunOutcome& run, const std::string& name) {
  for (const Metric& m : run.metrics) {
    if (m.name == name) return m.value;
  }
  ADD_FAILURE() << "no metric " << name;
  return std::nan("");
}

TEST_F(HeeRun, FolderHoldsWhatItIsSaidToHold) {
  const Config config = tiny();
  const RunOutcome outcome = run_experiment(config, {folder / "runs", 1});
  const RunFolder run = RunFolder::open(outcome.folder);
  for (const fs::path& file : {run.config(), run.log(), run.timing(), run.metrics(), run.data_maps(), run.weights(),
                               run.samples_file(), run.report(), run.done(), run.samples() / "manifest.json"}) {
    EXPECT_TRUE(fs::exists(file) && fs::file_size(file) > 0) << file;
  }
  EXPECT_FALSE(fs::exists(run.checkpoints() / "state-000000.safetensors")) << "cleared at the end";

  // the config: every value resolved, and it runs again as it is
  Config resolved = config;
  resolve(resolved, facts_of(prepare_data(config)));
  EXPECT_TRUE(load_config(run.config().string()) == resolved);

  std::int64_t n_training = 0;
  for (const std::string& line : lines_of(read_text(run.metrics()))) {
    const auto json = nlohmann::json::parse(line);
    if (json.at("kind") != "training") continue;
    ++n_training;
    for (const char* key : {"energy", "reconstruction", "quarantined"}) EXPECT_TRUE(json.at(key).is_number()) << line;
    EXPECT_EQ(json.at("error").size(), 1u);
    EXPECT_EQ(json.at("activity").size(), 1u);
  }
  EXPECT_EQ(n_training, 80);

  // draws: posterior chains, thinned, after the burn-in; two chains a datum
  const DrawReader draws(run.samples_file());
  EXPECT_EQ(draws.n_chains(), 512);
  EXPECT_EQ(draws.n_dims(), 2);
  EXPECT_EQ(draws.steps(), (std::vector<std::int64_t>{60, 110, 130}));
  EXPECT_NEAR(draws.times()[2], 130 * 0.05, 1e-6);
  EXPECT_EQ(draws.first_bad_step(), std::vector<std::int64_t>(512, -1));

  const HeeModel model = load_hee(run.weights());
  EXPECT_EQ(model.parameters.layers[1].size, 2);
  EXPECT_THAT(read_text(run.report()), HasSubstr("Hierarchical exponential-family model"));
}

TEST_F(HeeRun, LinearGaussianFiguresAgreeWithClosedForms) {
  const RunOutcome run =
      run_experiment(tiny({"training.epochs=40", "sampling.chains=2048", "sampling.thin=0"}), {folder, 1});
  // 2048 chains: 1/sqrt(2048) = 0.022 for exact draws; five times that is a false alarm once in 10^6
  EXPECT_LT(metric(run, "posterior_mean_error"), 0.11);
  // leimkuhler_matthews has no error in the variance of a Gaussian; sqrt(2 / (2048 * 2)) = 0.022
  EXPECT_NEAR(metric(run, "posterior_variance_ratio"), 1.0, 0.11);
  EXPECT_LT(metric(run, "posterior_covariance_error"), 0.15);
  EXPECT_LT(metric(run, "subspace_distance"), 0.2);
  // the law has the entropy of eigenvalues 3, 1.5, 0.25, 0.25, which probabilistic PCA of two latents reaches
  const double best = -0.5 * (4.0 * std::log(2.0 * M_PI) + std::log(3.0 * 1.5 / 16.0) + 4.0);
  EXPECT_NEAR(metric(run, "log_likelihood"), best, 0.06);
  EXPECT_EQ(metric(run, "chains_quarantined"), 0.0);
}

// The estimate is over fewer data than the closed form of the run, so it is held against the note's own "exact" for these.
TEST_F(HeeRun, LikelihoodByAnnealingIsTheClosedForm) {
  const RunOutcome run = run_experiment(tiny({"evaluation.likelihood_data=40", "evaluation.likelihood_chains=24",
                                              "evaluation.likelihood_temperatures=60"}),
                                        {folder / "runs", 1});
  for (const Metric& m : run.metrics) {
    if (m.name != "log_likelihood_ais") continue;
    const std::size_t at = m.note.find("exact: ");
    ASSERT_NE(at, std::string::npos) << m.note;
    EXPECT_NEAR(m.value, std::stod(m.note.substr(at + 7)), 0.1) << m.note;
  }
  EXPECT_LT(metric(run, "log_likelihood_ais"), 0.0);
  EXPECT_GT(metric(run, "log_likelihood_effective_chains"), 1.0);
  EXPECT_LT(metric(run, "log_partition_error"), 0.1);
}

TEST_F(HeeRun, SampledInterneuronsWidenThePosterior) {
  const std::vector<std::string> overrides{"training.epochs=20", "sampling.chains=2048", "sampling.thin=0",
                                           "inference.interneurons=sampled"};
  const RunOutcome run = run_experiment(tiny(overrides), {folder, 1});
  // heating by about 1 + 2 ratio W^T W / s^2 (posterior variance), here well beyond the five standard errors of 0.022
  EXPECT_GT(metric(run, "posterior_variance_ratio"), 1.2);
}

TEST_F(HeeRun, SameBytesAgainAndOnTwoThreads) {
  for (const std::string latents : {"reset", "continual"}) {
    const Config config = tiny({"inference.latents=" + latents, "training.epochs=4"});
    const RunOutcome one = run_experiment(config, {folder / "one", 1});
    const RunOutcome two = run_experiment(config, {folder / "two", 2});
    // products of the Frechet distance are rounded otherwise on two threads; nothing else is
    test::expect_same_files(one.folder, two.folder, {"metrics.jsonl"});
    const auto lines = [](const RunOutcome& run) {
      auto all = lines_of(read_text(RunFolder::open(run.folder).metrics()));
      std::erase_if(all, [](const std::string& line) { return line.find("frechet") != std::string::npos; });
      return all;
    };
    EXPECT_EQ(lines(one), lines(two));
    test::expect_same_files(one.folder, run_experiment(config, {folder / "again", 1}).folder);
  }
}

TEST_F(HeeRun, GoesOnFromEveryCheckpoint) {
  Config config = tiny({"checkpoint.minutes=1e-9", "checkpoint.keep=1000", "training.epochs=3",
                        "inference.latents=continual", "inference.interneurons=sampled"});
  const PreparedData data = prepare_data(config);
  resolve(config, facts_of(data));
  const auto backend = make_cpu_backend(1);
  const auto facts = checkpoint_facts(*backend, fingerprint(config, data));
  const RunFolder whole = RunFolder::create(folder / "whole", "run");
  Checkpoints all(whole.checkpoints(), config.checkpoint, facts);
  const Continuation saving{&all, nullptr};
  const auto trained = hee_training_stage(config, data, *backend, whole, saving);
  const auto sampled = hee_sampling_stage(config, data, trained.model, *backend, whole.path(), {}, saving);

  config.checkpoint.minutes = 100.0;
  std::vector<fs::path> states;
  for (const auto& entry : fs::directory_iterator(whole.checkpoints())) states.push_back(entry.path());
  std::sort(states.begin(), states.end());
  ASSERT_GT(states.size(), 20u);
  for (std::size_t i = 0; i < states.size(); i += 3) {
    const TensorFile from = read_safetensors(states[i]);
    const RunFolder copy = RunFolder::create(folder / "cut", "run");
    fs::remove_all(copy.path());
    fs::create_directories(copy.path());
    fs::copy(whole.metrics(), copy.metrics());
    if (from.metadata_at("stage") == "sampling") fs::copy(whole.weights(), copy.weights());
    cut_back(copy.metrics(), from);
    Checkpoints checkpoints(folder / "new", config.checkpoint, facts);
    const Continuation going_on{&checkpoints, &from};
    const auto again = hee_training_stage(config, data, *backend, copy, going_on);
    EXPECT_EQ(read_text(copy.weights()), read_text(whole.weights())) << states[i];
    EXPECT_EQ(again.records.size(), trained.records.size());
    if (from.metadata_at("stage") == "sampling") fs::copy(whole.samples(), copy.samples());
    fs::remove(copy.samples() / "sample_stats.nc");
    const auto draws = hee_sampling_stage(config, data, again.model, *backend, copy.path(), {}, going_on);
    EXPECT_EQ(draws.last_draw[1], sampled.last_draw[1]) << states[i];
    EXPECT_EQ(read_text(copy.metrics()), read_text(whole.metrics())) << states[i];
    test::expect_same_live(draws.live.diagnostics, sampled.live.diagnostics);
    test::expect_same_draws(copy.samples_file(), whole.samples_file());
  }
}

TEST_F(HeeRun, ChainsDoTheSameAloneOrAmongOthers) {
  Config config = tiny();
  const PreparedData data = prepare_data(config);
  resolve(config, facts_of(data));
  const auto backend = make_cpu_backend(1);
  const HeeModel model = starting_hee(config, data);
  const auto all = hee_sampling_stage(config, data, model, *backend, folder / "all");
  const auto part = hee_sampling_stage(config, data, model, *backend, folder / "part", {100, 104});
  for (std::int64_t i = 0; i < 4; ++i) {
    for (std::int64_t j = 0; j < 2; ++j) EXPECT_EQ(part.last_draw[1](i, j), all.last_draw[1](100 + i, j));
    for (std::int64_t j = 0; j < 4; ++j) EXPECT_EQ(part.last_draw[0](i, j), data.rows((100 + i) / 2, j)) << "its datum";
  }
  EXPECT_THAT(test::message_of([&] {
                hee_sampling_stage(config, data, model, *backend, folder / "odd", {101, 104});
              }),
              HasSubstr("cuts through the 2 chains of a datum"));
}

TEST_F(HeeRun, EvaluatedAgainFromItsFolder) {
  const RunOutcome run = run_experiment(tiny(), {folder, 1});
  const EvaluatedRun again = evaluate_run(run.folder, {.against = {}, .overrides = {}, .n_threads = 1});
  ASSERT_EQ(again.metrics.size(), run.metrics.size());
  for (std::size_t i = 0; i < run.metrics.size(); ++i) {
    EXPECT_EQ(again.metrics[i].name, run.metrics[i].name);
    EXPECT_EQ(again.metrics[i].value, run.metrics[i].value) << run.metrics[i].name;
  }
}

TEST_F(HeeRun, DryRunWritesNothing) {
  std::string text;
  for (const std::string& line : plan_of(tiny(), {folder / "runs", 1})) text += line + "\n";
  EXPECT_TRUE(fs::is_empty(folder));
  EXPECT_THAT(text, HasSubstr("training: 80 batches of 64 data, 2 chains each, 40 steps of inference"));
  EXPECT_THAT(text, HasSubstr("sampling: 512 posterior chains, 130 steps each, 3 draws kept of each"));
}

TEST_F(HeeRun, ASecondLayerIsBuiltOnTheFirst) {
  const RunOutcome first = run_experiment(tiny(), {folder / "first", 1});
  const HeeModel below = load_hee(RunFolder::open(first.folder).weights());
  const std::string text = tiny_hee + "[[model.layers]]\nsize = 3\n";
  const std::string init = "training.init=" + RunFolder::open(first.folder).weights().string();
  const RunOutcome second =
      run_experiment(parse_config(text, "two.toml", {init, "model.layers[1].lr=0"}), {folder / "second", 1});
  const HeeModel both = load_hee(RunFolder::open(second.folder).weights());
  EXPECT_EQ(both.parameters.W[0], below.parameters.W[0]) << "its rate is 0";
  EXPECT_EQ(both.parameters.W[1].cols(), 3);
  const Config wrong = parse_config(text, "two.toml", {init, "model.layers[1].size=5"});
  EXPECT_THAT(test::message_of([&] {
                run_experiment(wrong, {folder / "wrong", 1});
              }),
              HasSubstr("layer 1 has 2 units, the config says 5"));
}

}  // namespace
}  // namespace tarn
