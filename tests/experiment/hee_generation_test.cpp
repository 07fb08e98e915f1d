// Runs whose chains generate: what their draws are, that they go on exactly after a break, how the ways to generate are judged, and what is refused.
#include "tarn/experiment/hee_generation.hpp"

#include <cmath>

#include "experiment/run_tools.hpp"
#include "message_of.hpp"
#include "tarn/core/error.hpp"
#include "tarn/data/scaling.hpp"
#include "tarn/experiment/evaluate_run.hpp"
#include "tarn/experiment/hee_stages.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/models/hee_model.hpp"
#include "tarn/models/hee_reading.hpp"

namespace tarn {
namespace {

using test::read_text;
using test::tiny_hee;
using testing::HasSubstr;
namespace fs = std::filesystem;

// As `tiny_hee`, with a second latent layer, and data that are scaled and not centred at 0.
Config tiny(const std::string& mode, std::vector<std::string> overrides = {}) {
  const std::string text = tiny_hee + "[[model.layers]]\nsize = 3\nfamily = \"gaussian\"\n";
  overrides.insert(overrides.begin(), {"sampling.mode=" + mode, "sampling.inner_steps=5", "training.epochs=2",
                                       "data.means=[[3.0, 0.0, -1.0, 0.0]]", "data.scaling=auto"});
  return parse_config(text, "tiny.toml", overrides);
}

double metric(const std::vector<Metric>& metrics, const std::string& name, bool floor = false) {
  for (const Metric& m : metrics) {
    if (m.name == name) return floor ? m.floor : m.value;
  }
  ADD_FAILURE() << "no metric " << name;
  return std::nan("");
}

class HeeGenerationRun : public test::RunTest, public testing::WithParamInterface<std::string> {};

TEST_P(HeeGenerationRun, DrawsAreOfTheModel) {
  const Config config =
      tiny(GetParam(), {"sampling.steps=400", "sampling.chains=1024", "sampling.thin=0", "inference.spread=1"});
  const RunOutcome run = run_experiment(config, {folder, 1});
  const RunFolder its = RunFolder::open(run.folder);
  // twenty tau from noise; two independent sets of exact draws come as near as the floor, with a spread of a third of it
  if (GetParam() == "ancestral") {
    EXPECT_THAT(read_text(its.report()), HasSubstr("exact draws of the model, without chains"));
  } else {
    EXPECT_LT(metric(run.metrics, "sliced_w2_sampled"), 3.0 * metric(run.metrics, "sliced_w2_sampled", true));
  }
  EXPECT_EQ(metric(run.metrics, "chains_quarantined"), 0.0);

  // a draw: x_0 and its mean given the latents, both in the data's units, and the latents
  const DrawReader draws(its.samples_file());
  EXPECT_EQ(draws.n_dims(), 4 + 4 + 2 + 3);
  EXPECT_EQ(draws.n_draws(), 1);
  const Matrix<float> x = draws.draw(-1);
  const HeeParameters model = load_hee(its.weights()).parameters;
  const PreparedData data = prepare_data(config);
  Matrix<float> mean(x.rows(), 4);
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    for (std::int64_t i = 0; i < 4; ++i) {
      mean(r, i) = model.b[0](0, i);
      for (std::int64_t j = 0; j < 2; ++j) mean(r, i) += model.W[0](i, j) * x(r, 8 + j);
    }
  }
  invert_scaling(data.scaling, mean);
  double residual = 0.0;
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    for (std::int64_t i = 0; i < 4; ++i) {
      ASSERT_NEAR(x(r, 4 + i), mean(r, i), 1e-4);
      residual += std::pow(x(r, i) - x(r, 4 + i), 2) / static_cast<double>(4 * x.rows());
    }
  }
  // the noise of the observation, s = 0.5 in scaled units: 4096 squares, so 2.2 % is one standard error
  EXPECT_NEAR(std::sqrt(residual) / data.scaling.scale, 0.5, 0.03);

  const EvaluatedRun again = evaluate_run(run.folder, {.against = {}, .overrides = {}, .n_threads = 1});
  for (const Metric& m : run.metrics)  // draws in the file were scaled and are scaled back
    EXPECT_NEAR(metric(again.metrics, m.name), m.value, 1e-5 * (1.0 + std::abs(m.value))) << m.name;
}

TEST_P(HeeGenerationRun, GoesOnFromEveryCheckpoint) {
  Config config = tiny(GetParam(), {"checkpoint.minutes=1e-9", "checkpoint.keep=1000", "inference.interneurons=sampled",
                                    "sampling.chains=4100", "sampling.steps=40", "sampling.thin=10"});
  const PreparedData data = prepare_data(config);
  resolve(config, facts_of(data));
  const auto backend = make_cpu_backend(1);
  const HeeModel model = starting_hee(config, data);
  const auto facts = checkpoint_facts(*backend, fingerprint(config, data));
  const fs::path whole = folder / "whole";
  Checkpoints all(whole / "checkpoints", config.checkpoint, facts);
  const auto sampled = hee_sampling_stage(config, data, model, *backend, whole, {}, {&all, nullptr});

  config.checkpoint.minutes = 100.0;
  std::size_t n = 0;
  for (const auto& entry : fs::directory_iterator(whole / "checkpoints")) {
    const TensorFile from = read_safetensors(entry.path());
    const fs::path copy = folder / fmt::format("cut{}", n++);
    fs::create_directories(copy);
    fs::copy(whole / "samples", copy / "samples");
    fs::remove(copy / "samples" / "sample_stats.nc");
    Checkpoints checkpoints(copy / "checkpoints", config.checkpoint, facts);
    const auto again = hee_sampling_stage(config, data, model, *backend, copy, {}, {&checkpoints, &from});
    for (std::size_t l = 0; l < 3; ++l) EXPECT_EQ(again.last_draw[l], sampled.last_draw[l]) << entry.path();
    test::expect_same_live(again.live.diagnostics, sampled.live.diagnostics);
    EXPECT_EQ(difference_but_times(copy / "samples.nc", whole / "samples.nc"), "") << entry.path();
  }
  EXPECT_GE(n, 3u);  // two tiles of chains
}

TEST_P(HeeGenerationRun, ChainsDoTheSameAloneOrAmongOthersOnAnyThreads) {
  Config config = tiny(GetParam());
  const PreparedData data = prepare_data(config);
  resolve(config, facts_of(data));
  const HeeModel model = starting_hee(config, data);
  const auto all = hee_sampling_stage(config, data, model, *make_cpu_backend(2), folder / "all");
  const auto part = hee_sampling_stage(config, data, model, *make_cpu_backend(1), folder / "part", {101, 104});
  for (std::size_t l = 0; l < 3; ++l) {
    for (std::int64_t i = 0; i < 3; ++i) {
      for (std::int64_t j = 0; j < part.last_draw[l].cols(); ++j)
        EXPECT_EQ(part.last_draw[l](i, j), all.last_draw[l](101 + i, j));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, HeeGenerationRun, testing::Values("joint", "marginal", "layerwise", "ancestral"),
                         [](const auto& mode) { return mode.param; });

using HeeGeneration = test::RunTest;

TEST_F(HeeGeneration, FromThePriorChainsStartAsAncestralLatents) {
  Config config = tiny("joint", {"sampling.start=prior"});
  const PreparedData data = prepare_data(config);
  resolve(config, facts_of(data));
  const HeeParameters p = starting_hee(config, data).parameters;
  const auto backend = make_cpu_backend(1);
  HeeGenerator chains(*backend, p, generation_plan(config));
  chains.begin(7, 50);
  const auto x = chains.state(), exact = draw_ancestral(p, config.run.seed, 7, 1, 50);
  EXPECT_EQ(x[1], exact[1]);
  EXPECT_EQ(x[2], exact[2]);
  EXPECT_EQ(x[0], mean_given(p, 0, exact));
}

// Costs of a chain, in products of a row with a weight matrix; two latent layers.
TEST_F(HeeGeneration, CountsProducts) {
  const auto products = [&](const std::string& mode) {
    Config config = tiny(mode, {"sampling.steps=100", "sampling.burn_in=20", "sampling.thin=0"});
    const PreparedData data = prepare_data(config);
    resolve(config, facts_of(data));
    const auto backend = make_cpu_backend(1);
    const HeeGenerator chains(*backend, starting_hee(config, data).parameters, generation_plan(config));
    return chains.n_products(chains.n_steps());
  };
  EXPECT_EQ(products("joint"), 2 * 2 * 120);
  EXPECT_EQ(products("marginal"), 2 * 2 * 120);
  EXPECT_EQ(products("layerwise"), 2);
  EXPECT_EQ(products("ancestral"), 2);
}

TEST_F(HeeGeneration, WaysAreComparedOverBudgets) {
  const Config config = tiny(
      "posterior", {"evaluation.generation=[\"joint\", \"marginal:momentum\", \"layerwise\"]",
                    "evaluation.generation_budget=2000", "evaluation.generation_chains=1000", "inference.spread=1"});
  const RunOutcome run = run_experiment(config, {folder, 1});
  for (const std::string name : {"joint_noise", "joint_prior", "marginal_momentum_prior", "layerwise_noise"}) {
    SCOPED_TRACE(name);
    for (const std::string what : {"_w2", "_mean_w2"}) {
      const std::string key = "generation_" + name + what;
      EXPECT_LT(metric(run.metrics, key), 3.0 * metric(run.metrics, key, true));
      EXPECT_GT(metric(run.metrics, key), 0.2 * metric(run.metrics, key, true))
          << "of the very draws they are held against";
    }
  }
  EXPECT_TRUE(fs::exists(RunFolder::open(run.folder).figures() / "generation.svg"));
  EXPECT_THAT(read_text(RunFolder::open(run.folder).report()), HasSubstr("within twice the floor"));
}

TEST_F(HeeGeneration, RefusesWhatMakesNoSense) {
  const auto refusal = [&](const std::string& mode, const std::vector<std::string>& overrides) {
    return test::message_of([&] {
      Config config = tiny(mode, overrides);
      resolve(config, facts_of(prepare_data(config)));
    });
  };
  EXPECT_THAT(refusal("backwards", {}), HasSubstr("posterior, joint, marginal, layerwise, ancestral"));
  EXPECT_THAT(refusal("marginal", {"sampling.inner_steps=0"}),
              HasSubstr("sampling.inner_steps = 0; allowed: integer >= 1"));
  EXPECT_THAT(refusal("marginal", {"sampling.steps=121", "sampling.thin=0", "sampling.burn_in=0"}),
              HasSubstr("121 is no multiple of sampling.inner_steps = 5, after which the observation moves"));
  EXPECT_THAT(refusal("layerwise", {"sampling.start=prior"}), HasSubstr("layerwise makes the prior itself"));
  EXPECT_THAT(refusal("marginal", {"sampling.observation_dt=0.6"}),
              HasSubstr("0.6 is too large for the observation, which moves while the model generates"));
  EXPECT_THAT(refusal("joint", {"sampling.clamp=x.npy"}), HasSubstr("sampling.clamp has no meaning with model.kind"));
}

}  // namespace
}  // namespace tarn
