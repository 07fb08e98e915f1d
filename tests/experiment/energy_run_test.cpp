// Runs of the two models with an energy: through the stages that other networks take, and exactly on from every checkpoint.
#include <cmath>
#include <nlohmann/json.hpp>

#include "message_of.hpp"
#include "run_tools.hpp"
#include "tarn/experiment/circuit.hpp"
#include "tarn/experiment/evaluate_run.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn {
namespace {

using test::lines_of;
using test::message_of;
using test::read_text;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

const std::string tiny =
    "[run]\nname = \"tiny\"\nseed = 5\n"
    "[data]\nkind = \"gaussian_mixture\"\nmeans = [[-1.0, 0.0], [1.0, 0.0]]\nstd = 0.5\nepoch_size = 1000\n"
    "scaling = \"none\"\n"
    "[model]\nneurons = 4\ns = 0.5\n"
    "[training]\nepochs = 15\nbatch_size = 50\n"
    "[training.optimizer]\nlr = 0.02\n"
    "[training.contrastive]\nparticles = 60\nrenewed = 3\n"
    "[sampling]\nchains = 200\nsteps = 60\nthin = 20\ndt = 0.025\n"
    "[evaluation]\nlikelihood_data = 200\nlikelihood_chains = 16\nlikelihood_temperatures = 50\n";

class EnergyRun : public test::RunTest {
 protected:
  static Config config_of(const std::string& kind, std::vector<std::string> more = {}) {
    more.push_back("model.kind=" + kind);
    return parse_config(tiny, "tiny.toml", more);
  }
};

TEST_F(EnergyRun, TakesTheWayOfOtherNetworks) {
  for (const std::string kind : {"rbm", "ebm"}) {
    const RunOutcome run = run_experiment(config_of(kind), {folder / kind, 1});
    const RunFolder made = RunFolder::open(run.folder);
    for (const fs::path& file : {made.config(), made.weights(), made.samples_file(), made.report(), made.done()})
      EXPECT_TRUE(fs::exists(file)) << file;
    const SamplingNetwork network = load_network(made.weights());
    EXPECT_EQ(name_of(network.kind), kind);
    EXPECT_EQ(network.n_neurons(), 4);
    EXPECT_EQ(network.s, 0.5);
    EXPECT_EQ(network.v.empty(), kind == "rbm");
    const auto lines = lines_of(read_text(made.metrics()));
    const auto first = nlohmann::json::parse(lines.front());
    EXPECT_TRUE(first.contains("reconstruction") && first.contains("energy_gap") && !first.contains("sigma"));
    const auto value = [&](const std::string& name) {
      for (const Metric& metric : run.metrics) {
        if (metric.name == name) return metric.value;
      }
      return std::nan("");
    };
    // E log p of two such peaks is about -log 2 - log(2 pi 0.25) - 1; training is short, so that only the neighbourhood counts
    EXPECT_NEAR(value("log_likelihood_ais"), -2.1, 0.5) << kind;
    EXPECT_GT(value("log_likelihood_effective_chains"), 3.0);
    EXPECT_EQ(value("chains_quarantined"), 0.0);
    EXPECT_THAT(read_text(made.report()), AllOf(HasSubstr("hidden units"), HasSubstr("60 particles")));
    // the folder of a finished run is a source of draws and of judgements like any other
    const StoredRun stored = load_run(run.folder);
    ASSERT_EQ(stored.levels.size(), 1u);
    EXPECT_EQ(stored.levels[0].W_in, network.W_in);
    EXPECT_NO_THROW(evaluate_run(run.folder, {}));
  }
}

// What independent normals of the data's moments give is told beside the model's figure, and is no matter of the model.
TEST_F(EnergyRun, TheNormalsBesideItAreTheDatasOwn) {
  std::vector<std::string> notes;
  for (const std::string s : {"0.5", "5.0"}) {
    const RunOutcome run = run_experiment(config_of("rbm", {"model.s=" + s}), {folder / s, 1});
    for (const Metric& metric : run.metrics) {
      if (metric.name == "log_likelihood_ais")
        notes.push_back(metric.note.substr(metric.note.find("independent normals")));
    }
  }
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[0], notes[1]);
}

TEST_F(EnergyRun, SameBytesAgainAndOnTwoThreads) {
  for (const std::string kind : {"rbm", "ebm"}) {
    const RunOutcome one = run_experiment(config_of(kind), {folder / (kind + "one"), 1});
    test::expect_same_files(one.folder, run_experiment(config_of(kind), {folder / (kind + "two"), 2}).folder);
  }
}

TEST_F(EnergyRun, TrainingGoesOnFromEveryCheckpoint) {
  for (const std::string kind : {"rbm", "ebm"}) {
    Config config = config_of(kind, {"checkpoint.minutes=1e-9", "checkpoint.keep=1000"});
    const PreparedData data = prepare_data(config);
    resolve(config, facts_of(data));
    const auto backend = make_cpu_backend(1);
    const auto facts = checkpoint_facts(*backend, fingerprint(config, data));
    const RunFolder whole = RunFolder::create(folder / (kind + "whole"), "run");
    Checkpoints all(whole.checkpoints(), config.checkpoint, facts);
    train_stage(config, data, *backend, whole, {&all, nullptr});
    config.checkpoint.minutes = 100.0;
    std::vector<fs::path> states;
    for (const auto& entry : fs::directory_iterator(whole.checkpoints())) {
      if (entry.path().filename().string().starts_with("state-")) states.push_back(entry.path());
    }
    std::sort(states.begin(), states.end());
    ASSERT_GT(states.size(), 6u);
    for (const fs::path& state : states) {
      const TensorFile from = read_safetensors(state);
      const RunFolder copy = RunFolder::create(folder / "cut", "run");
      fs::remove_all(copy.path());
      fs::create_directories(copy.checkpoints());
      fs::copy(whole.metrics(), copy.metrics());
      cut_back(copy.metrics(), from);
      if (training_position(from).level > 0) fs::copy(whole.level_file(0), copy.level_file(0));
      Checkpoints checkpoints(folder / "new", config.checkpoint, facts);
      const TrainingOutcome outcome = train_stage(config, data, *backend, copy, {&checkpoints, &from});
      EXPECT_EQ(read_text(copy.weights()), read_text(whole.weights())) << state;
      EXPECT_EQ(read_text(copy.metrics()), read_text(whole.metrics())) << state;
      EXPECT_EQ(std::ssize(outcome.records), std::ssize(lines_of(read_text(whole.metrics()))));
    }
  }
}

TEST_F(EnergyRun, ResolvedConfigReadsBackTheSame) {
  for (const std::string kind : {"rbm", "ebm"}) {
    Config config = parse_config("[data]\nkind = \"npy\"\n", "some.toml", {"model.kind=" + kind});
    resolve(config, {25, 0, 10000, false});
    EXPECT_EQ(config.model.s, 0.1);
    EXPECT_EQ(config.model.nonlinearity, "sigmoid");
    EXPECT_EQ(config.training.contrastive.particles, config.training.batch_size);
    EXPECT_EQ(config.training.contrastive.steps, kind == "rbm" ? 1 : 20);
    const std::string text = to_toml(config);
    EXPECT_TRUE(parse_config(text, "again.toml") == config) << text;
    EXPECT_THAT(text, Not(HasSubstr("[training.noise]")));
    EXPECT_EQ(text.find("nonlinearity") == std::string::npos, kind == "rbm");
  }
}

TEST_F(EnergyRun, BadRequestsSayWhatIsWrong) {
  const auto refused = [&](const std::string& kind, std::vector<std::string> more) {
    return message_of<UsageError>([&] {
      Config config = config_of(kind, std::move(more));
      resolve(config, {2, 0, 1000, false});
    });
  };
  EXPECT_THAT(refused("ebm", {"model.nonlinearity=relu"}),
              AllOf(HasSubstr("model.nonlinearity"), HasSubstr("allows: sigmoid, tanh")));
  EXPECT_THAT(refused("rbm", {"model.nonlinearity=tanh"}), HasSubstr("has no meaning with model.kind = \"rbm\""));
  EXPECT_THAT(refused("rbm", {"training.contrastive.dt=0.1"}), HasSubstr("it belongs to: ebm"));
  EXPECT_THAT(refused("rbm", {"training.noise.levels=3"}), HasSubstr("training.noise.levels has no meaning"));
  EXPECT_THAT(refused("rbm", {"sampling.schedule=annealed"}), HasSubstr("sampling.schedule has no meaning"));
  EXPECT_THAT(refused("ebm", {"training.contrastive.renewed=61"}), HasSubstr("61 of 60 particles; allowed: 0 to all"));
  EXPECT_THAT(refused("ebm", {"model.s=0"}), AllOf(HasSubstr("model.s"), HasSubstr("> 0")));
  EXPECT_THAT(refused("reservoir_sampler", {}), HasSubstr("it belongs to: rbm, ebm"));
  EXPECT_THAT(message_of<UsageError>([] {
                Config config = config_of("rbm", {"data.inputs=1"});
                resolve(config, {1, 1, 1000, false});
              }),
              HasSubstr("rbm takes no inputs, the data have 1"));
  EXPECT_THAT(refused("rbm", {"training.batch_size=2000"}), HasSubstr("more than the 1000 items"));
}

TEST_F(EnergyRun, WeightsToStartFromMustFit) {
  const RunOutcome run = run_experiment(config_of("rbm"), {folder / "run", 1});
  const std::string weights = RunFolder::open(run.folder).weights().string();
  const auto refused = [&](const std::string& kind, std::vector<std::string> more) {
    more.push_back("training.init=" + weights);
    return message_of<UsageError>([&] { run_experiment(config_of(kind, more), {folder / "next", 1}); });
  };
  EXPECT_THAT(refused("rbm", {"model.s=0.4"}), HasSubstr("weights for s = 0.5, but the config asks for model.s = 0.4"));
  EXPECT_THAT(refused("ebm", {}), HasSubstr("rbm"));
  EXPECT_NO_THROW(run_experiment(config_of("rbm", {"training.init=" + weights}), {folder / "next", 1}));
}

TEST_F(EnergyRun, DivergenceIsOneLine) {
  const std::string message = message_of([&] {
    run_experiment(config_of("ebm", {"training.optimizer.lr=1e20"}), {folder / "run", 1});
  });
  EXPECT_THAT(message, AllOf(HasSubstr("not finite"), HasSubstr("step"), HasSubstr("training.optimizer.lr")));
}

}  // namespace
}  // namespace tarn
