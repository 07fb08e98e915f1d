// What the recipes fill in, held against the published settings and the table of recommended ones; noise levels.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tarn/core/error.hpp"
#include "tarn/experiment/config.hpp"

namespace tarn {
namespace {

using testing::HasSubstr;

const std::string kPeak = "[data]\nkind = \"gaussian_mixture\"\nmeans = [[-1.0], [1.0]]\nstd = 0.5\n";
const std::string kImages = "[data]\nkind = \"idx\"\nscaling = \"unit_norm\"\n[filter]\nkind = \"pca\"\n";
const DataFacts kPeakFacts{.n_outputs = 1, .n_items = 10000};
const DataFacts kImageFacts{.n_outputs = 100, .n_items = 60000, .is_image = true};

Config resolved(const std::string& text, const DataFacts& facts, const std::vector<std::string>& overrides = {}) {
  Config config = parse_config(text, "a.toml", overrides);
  resolve(config, facts);
  return config;
}

std::string refusal(const std::string& text, const DataFacts& facts, const std::vector<std::string>& overrides = {}) {
  try {
    resolved(text, facts, overrides);
  } catch (const UsageError& error) {
    return error.what();
  }
  ADD_FAILURE() << "not refused";
  return "";
}

TEST(NoiseLevels, PublishedEndings) {
  NoiseConfig noise{.levels = 10, .first = 1.0, .last = 0.02, .ending = "exclusive"};
  const std::vector<double> exclusive = noise_levels(noise);
  noise.ending = "inclusive";
  const std::vector<double> inclusive = noise_levels(noise);
  ASSERT_EQ(exclusive.size(), 10u);
  ASSERT_EQ(inclusive.size(), 10u);
  for (int i = 0; i < 10; ++i) {
    // A few roundings of pow: 1e-15 relative.
    EXPECT_NEAR(exclusive[i] / std::pow(50.0, -i / 10.0), 1.0, 4e-15);
    EXPECT_NEAR(inclusive[i] / std::pow(50.0, -i / 9.0), 1.0, 4e-15);
  }
  EXPECT_NEAR(exclusive[9], 0.0296, 5e-5);  // the published double peak ends here
  EXPECT_EQ(inclusive[0], 1.0);
  EXPECT_EQ(inclusive[9], 0.02);
}

TEST(NoiseLevels, SingleAndRefused) {
  EXPECT_EQ(noise_levels({.levels = 1, .last = 0.3, .schedule = "single"}), std::vector<double>{0.3});
  EXPECT_EQ(noise_levels({.levels = 1, .first = 1.0, .last = 0.3}), std::vector<double>{0.3});
  EXPECT_EQ(noise_levels({.levels = 1, .first = 1.0, .last = 0.3, .ending = "exclusive"}), std::vector<double>{1.0});
  EXPECT_THROW(noise_levels({.levels = 0, .first = 1.0, .last = 0.3}), UsageError);
  EXPECT_THROW(noise_levels({.levels = 3, .first = 0.3, .last = 0.3}), UsageError);
  EXPECT_THROW(noise_levels({.levels = 3, .first = 0.1, .last = 0.3}), UsageError);
  EXPECT_THROW(noise_levels({.levels = 3, .first = 1.0, .last = 0.0}), UsageError);
  EXPECT_THROW(noise_levels({.levels = 3, .first = std::nan(""), .last = 0.1}), UsageError);
}

TEST(NoiseLevels, SongErmonCounts) {
  EXPECT_EQ(song_ermon_levels(100, 1.0, 0.02), 18);
  EXPECT_EQ(song_ermon_levels(300, 1.0, 0.02), 31);
  EXPECT_THROW(song_ermon_levels(100, 0.1, 0.1), Error);
  EXPECT_THROW(song_ermon_levels(0, 1.0, 0.1), Error);
}

TEST(Recipe, RecommendedSmall) {
  const Config config = resolved(kPeak, kPeakFacts);
  EXPECT_EQ(config.data.scaling, "auto");
  EXPECT_EQ(config.model.neurons, 1000);
  const TrainingConfig& training = config.training;
  EXPECT_EQ(training.noise, (NoiseConfig{.levels = 6, .first = 1.0, .last = 0.1, .antithetic = true}));
  EXPECT_EQ(training.batch_size, 256);
  EXPECT_NEAR(static_cast<double>(training.epochs) * (10000 / 256), 60000.0, 20.0);  // to the nearest epoch of 39 steps
  EXPECT_EQ(training.optimizer.lr, 2e-3);
  EXPECT_EQ(training.optimizer.lr_schedule, "cosine");
  EXPECT_EQ(training.optimizer.weight_decay, 0.0);
  EXPECT_EQ(training.optimizer.ema, 0.999);
  EXPECT_EQ(training.quality.output_scaling, "none");
  EXPECT_EQ(training.quality.confinement, 16);  // 8 for each 128 of the batch
  EXPECT_EQ(training.quality.confinement_pull, 0.03);
  EXPECT_EQ(config.sampling.schedule, "annealed");
  EXPECT_EQ(config.sampling.annealed,
            (AnnealedConfig{.steps_per_level = 30, .dt0 = 0.1, .then_steps = 0, .denoise = true}));
  EXPECT_EQ(config.sampling.initial.kind, "normal");
  EXPECT_EQ(config.sampling.initial.std, 1.0);
  EXPECT_EQ(config.sampling.dt, 1e-3);
  EXPECT_THAT(config.evaluation.metrics, testing::Contains("quadrature"));
  EXPECT_EQ(config.evaluation.last_level_steps, 0);
}

TEST(Recipe, RecommendedMiddle) {
  const Config config = resolved("[data]\nkind = \"npy\"\n", {.n_outputs = 9, .n_items = 50000});
  const TrainingConfig& training = config.training;
  EXPECT_EQ(training.noise, (NoiseConfig{.levels = 20, .first = 1.0, .last = 0.01, .antithetic = false}));
  EXPECT_EQ(training.batch_size, 128);
  EXPECT_EQ(training.optimizer.ema, 0.995);
  EXPECT_EQ(training.quality, (QualityConfig{.output_scaling = "inverse_sigma2",
                                             .confinement = 8,
                                             .confinement_pull = 0.1,
                                             .confinement_radius = {1.3, 13.0},
                                             .input_gain = 2.0,
                                             .bias_gain = 3.0}));
  EXPECT_EQ(config.sampling.annealed.steps_per_level, 10);
  EXPECT_THAT(config.evaluation.metrics, testing::ElementsAre("moments", "beyond"));
}

TEST(Recipe, RecommendedImages) {
  Config config = parse_config(kImages, "a.toml");
  const std::vector<std::string> lines = resolve(config, kImageFacts);
  EXPECT_THAT(lines,
              testing::Contains(
                  "33 noise levels from 1 to 0.02: 1.8 times the 18 of Song and Ermon's overlap rule at D = 100"));
  EXPECT_THAT(lines,
              testing::Contains(HasSubstr("[training.quality] output_scaling = \"inverse_sigma2\", confinement = 8")));
  EXPECT_EQ(config.training.noise.levels, 33);
  EXPECT_EQ(config.training.epochs, 32);
  const OptimizerConfig& optimizer = config.training.optimizer;
  EXPECT_EQ(optimizer.lr, 5e-4);
  EXPECT_EQ(optimizer.lr_schedule, "constant");
  EXPECT_EQ(optimizer.ema, 0.998);
  EXPECT_FALSE(optimizer.restart_per_level);
  EXPECT_EQ(config.training.quality.input_gain, 1.5);
  EXPECT_EQ(config.training.quality.bias_gain, 1.5);
  EXPECT_EQ(config.training.quality.start, "pairs");
  EXPECT_EQ(config.sampling.annealed.steps_per_level, 5);
  EXPECT_EQ(config.evaluation.last_level_steps, 2000);
}

// With 2e-3 all chains of mnist_pixels (D = 784) went beyond 1.2 times the largest norm.
TEST(Recipe, ManyDimensionsGetASmallerLearningRate) {
  for (const auto& [D, rate] : {std::pair<std::int64_t, double>{16, 2e-3}, {17, 5e-4}, {300, 5e-4}, {3136, 5e-4}}) {
    const DataFacts facts{.n_outputs = D, .n_items = 60000, .is_image = true};
    EXPECT_EQ(resolved(kImages, facts).training.optimizer.lr, rate) << D;
  }
}

TEST(Recipe, NeuronsPairWhereTheirSumIsAStraightLine) {
  const auto start = [](const std::vector<std::string>& more) {
    return resolved(kImages, kImageFacts, more).training.quality.start;
  };
  for (const char* phi : {"relu", "leaky_relu", "softplus"})
    EXPECT_EQ(start({fmt::format("model.nonlinearity={}", phi)}), "pairs");
  for (const char* phi : {"tanh", "sigmoid"}) EXPECT_EQ(start({fmt::format("model.nonlinearity={}", phi)}), "random");
  EXPECT_EQ(start({"training.init=w.safetensors"}), "random");
  EXPECT_EQ(start({"training.recipe=published"}), "random");
  EXPECT_EQ(start({"model.kind=sampler_only_sc"}), "random");
  EXPECT_EQ(resolved(kPeak, kPeakFacts).training.quality.start, "random");
}

TEST(Recipe, GivenKeysStay) {
  const Config config = resolved(
      kImages, kImageFacts,
      {"training.epochs=7", "training.noise.last=0.1", "sampling.schedule=last_level", "evaluation.metrics=[]"});
  EXPECT_EQ(config.training.epochs, 7);
  EXPECT_EQ(config.training.noise.levels, (9 * song_ermon_levels(100, 1.0, 0.1) + 4) / 5);
  EXPECT_EQ(config.sampling.dt, 1e-3);
  EXPECT_EQ(config.sampling.initial.std, 0.1);  // 1 / sqrt(D)
  EXPECT_EQ(config.sampling.thin, 100);
  EXPECT_TRUE(config.evaluation.metrics.empty());
  EXPECT_FALSE(config.filled.contains("training.epochs"));
  EXPECT_EQ(resolved(kPeak, kPeakFacts, {"training.noise.last=0.01"}).training.noise.levels, 11);  // the same spacing
  EXPECT_EQ(resolved(kPeak, kPeakFacts, {"training.noise.schedule=single"}).training.noise.levels, 1);
}

TEST(Recipe, PublishedDoublePeak) {
  const Config config = resolved(kPeak, kPeakFacts, {"training.recipe=published"});
  EXPECT_EQ(config.data.scaling, "none");
  EXPECT_EQ(config.model.neurons, 1000);
  EXPECT_EQ(config.training.epochs, 1000);
  EXPECT_EQ(config.training.batch_size, 32);
  EXPECT_EQ(config.training.noise, (NoiseConfig{.levels = 10, .first = 1.0, .last = 0.02, .ending = "exclusive"}));
  EXPECT_EQ(
      config.training.optimizer,
      (OptimizerConfig{.lr = 1e-4, .lr_schedule = "constant", .weight_decay = 1e-3, .amsgrad = true, .ema = 0.0}));
  EXPECT_EQ(config.training.quality, QualityConfig{});
  EXPECT_EQ(config.sampling.chains, 5000);
  EXPECT_EQ(config.sampling.steps, 10000);
  EXPECT_EQ(config.sampling.dt, 1e-4);
  EXPECT_EQ(config.sampling.schedule, "last_level");
  EXPECT_EQ(config.sampling.initial,
            (InitialConfig{.kind = "uniform", .space = "r", .low = -2.0, .high = 2.0, .path = ""}));
}

TEST(Recipe, PublishedOthers) {
  const Config mnist = resolved("[data]\nkind = \"idx\"\n", {.n_outputs = 300, .n_items = 60000, .is_image = true},
                                {"training.recipe=published"});
  EXPECT_EQ(mnist.data.scaling, "unit_norm");
  EXPECT_EQ(mnist.model.neurons, 20000);
  EXPECT_EQ(mnist.training.noise, (NoiseConfig{.levels = 10, .first = 1.0, .last = 0.02, .ending = "inclusive"}));
  EXPECT_EQ(mnist.training.optimizer.lr, 5e-4);
  EXPECT_EQ(mnist.sampling.initial.std, 1e-3);
  EXPECT_EQ(mnist.sampling.initial.space, "r");
  const Config cross = resolved(
      "[data]\nkind = \"laplace_mixture\"\ncovariances = [[[1.0, 0.9], [0.9, 1.0]], [[1.0, -0.9], [-0.9, 1.0]]]\n",
      {.n_outputs = 2, .n_items = 10000}, {"training.recipe=published"});
  EXPECT_NEAR(noise_levels(cross.training.noise)[9], std::pow(100.0, -0.9), 1e-15);
  EXPECT_EQ(cross.sampling.steps, 20000);
  const Config cifar = resolved("[data]\nkind = \"cifar10\"\n", {.n_outputs = 128, .n_items = 50000, .is_image = true},
                                {"training.recipe=published"});
  EXPECT_EQ(cifar.data.scaling, "divide_255");
  EXPECT_EQ(cifar.sampling.dt, 1e-6);
}

TEST(Recipe, SamplerOnlyNetworks) {
  for (const char* recipe : {"training.recipe=recommended", "training.recipe=published"}) {
    const Config config = resolved(kPeak, kPeakFacts, {recipe, "model.kind=sampler_only_sc"});
    EXPECT_EQ(config.model.neurons, 1);
    EXPECT_EQ(config.training.quality.output_scaling, "none");
    EXPECT_EQ(config.training.quality.confinement, 0);
    EXPECT_EQ(config.sampling.initial.space, "x");
  }
  EXPECT_THAT(refusal(kPeak, kPeakFacts, {"model.kind=sampler_only_sc", "model.neurons=5"}),
              HasSubstr("5 neurons, but sampler_only_sc has one"));
  EXPECT_THAT(
      refusal("[data]\nkind = \"two_moons\"\ninputs = 1\n", {1, 1, 10000, false}, {"model.kind=sampler_only_fr"}),
      HasSubstr("takes no inputs"));
}

TEST(Recipe, SmallDataSetsGetASmallerBatch) {
  const Config config = resolved("[data]\nkind = \"npy\"\n", {.n_outputs = 2, .n_items = 50});
  EXPECT_EQ(config.training.batch_size, 32);
  EXPECT_EQ(config.training.epochs, 60000);
}

TEST(Recipe, RefusesWhatDoesNotFitTheData) {
  EXPECT_EQ(refusal(kPeak, kPeakFacts, {"training.batch_size=20000"}),
            "--set training.batch_size: training.batch_size: 20000 is more than the 10000 items of the data");
  EXPECT_THAT(refusal(kPeak, kPeakFacts, {"training.batch_size=255"}),
              HasSubstr("255 is odd; antithetic noise takes pairs"));
  EXPECT_THAT(refusal(kPeak, kPeakFacts, {"training.noise.last=2"}),
              HasSubstr("training.noise.last = 2 is not below training.noise.first = 1"));
  EXPECT_THAT(refusal(kPeak, kPeakFacts, {"sampling.condition=u.npy"}), HasSubstr("no inputs"));
  EXPECT_THAT(refusal(kPeak, kPeakFacts, {"training.noise.levels=100", "training.epochs=1"}),
              HasSubstr("39 steps, fewer than the 100 noise levels"));
  EXPECT_THAT(refusal(kPeak, kPeakFacts, {"sampling.burn_in=180"}), HasSubstr("180 is not below the 180 steps"));
  EXPECT_THAT(refusal(kPeak, kPeakFacts, {"sampling.initial.kind=data", "sampling.initial.space=r"}),
              HasSubstr("allowed: x"));
  EXPECT_THAT(refusal(kImages, kImageFacts, {"evaluation.metrics=[\"kl\"]"}),
              HasSubstr("\"kl\" needs a synthetic law in one dimension"));
  const auto start = [&](const std::vector<std::string>& more) {
    std::vector<std::string> overrides{"training.quality.start=noise_score"};
    overrides.insert(overrides.end(), more.begin(), more.end());
    return refusal(kImages, kImageFacts, overrides);
  };
  EXPECT_NO_THROW(resolved(kImages, kImageFacts, {"training.quality.start=noise_score", "model.neurons=200"}));
  EXPECT_THAT(start({"model.neurons=199"}), HasSubstr("two neurons for each of the 100 outputs, found 199"));
  EXPECT_THAT(start({"model.nonlinearity=tanh"}), HasSubstr("needs relu, leaky_relu or softplus, found tanh"));
  EXPECT_THAT(start({"training.quality.output_scaling=none"}), HasSubstr("inverse_sigma2\", found \"none\""));
  EXPECT_THAT(start({"training.init=w.safetensors"}), HasSubstr("come from training.init"));
  EXPECT_THAT(refusal(kImages, kImageFacts, {"training.quality.start=pairs", "model.nonlinearity=tanh"}),
              HasSubstr("\"pairs\" needs relu, leaky_relu or softplus, found tanh"));
  EXPECT_THAT(start({"model.kind=sampler_only_sc", "model.neurons=100"}), HasSubstr("no output weights"));
  Config config = parse_config(kPeak, "a.toml");
  EXPECT_THROW(resolve(config, {.n_outputs = 0, .n_items = 5}), Error);
}

}  // namespace
}  // namespace tarn
