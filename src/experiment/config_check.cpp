#include "config_check.hpp"

#include <algorithm>

#include "tarn/core/error.hpp"
#include "tarn/core/nonlinearity.hpp"
#include "tarn/experiment/config_schema.hpp"
#include "tarn/models/initial_weights.hpp"
#include "tarn/sampling/stop_rule.hpp"

namespace tarn {
namespace {

bool is_mixture(const DataConfig& data) { return data.kind == "gaussian_mixture" || data.kind == "laplace_mixture"; }

void check_covariances(const Config& config, std::size_t n_outputs) {
  const auto& covariances = config.data.covariances;
  for (std::size_t k = 0; k < covariances.size(); ++k) {
    const auto& matrix = covariances[k];
    bool fits = matrix.size() == n_outputs;
    for (const auto& row : matrix) fits = fits && row.size() == n_outputs;
    expect(fits, config, "data.covariances", "matrix {} must be {} x {}", k + 1, n_outputs, n_outputs);
    for (std::size_t i = 0; i < n_outputs; ++i) {
      expect(matrix[i][i] > 0.0, config, "data.covariances", "matrix {} has {} on its diagonal; allowed: > 0", k + 1,
             matrix[i][i]);
      for (std::size_t j = 0; j < i; ++j) {
        expect(matrix[i][j] == matrix[j][i], config, "data.covariances",
               "matrix {} is not symmetric: entries ({}, {}) are {} and {}", k + 1, i + 1, j + 1, matrix[i][j],
               matrix[j][i]);
      }
    }
  }
}

void check_mixture(const Config& config) {
  const DataConfig& data = config.data;
  expect(!data.means.empty() || data.kind == "laplace_mixture", config, "data.means",
         "missing; a gaussian_mixture needs the mean of each component, as in [[-1.0], [1.0]]");
  expect(data.std.empty() != data.covariances.empty(), config,
         data.covariances.empty() ? "data.std" : "data.covariances",
         "a mixture needs either data.std or data.covariances, {}",
         data.std.empty() ? "neither was given" : "both were given");
  expect(!data.means.empty() || !data.covariances.empty(), config, "data.means",
         "missing; with data.std alone the number of dimensions is unknown");
  const std::size_t n_components = data.means.empty() ? data.covariances.size() : data.means.size();
  const std::size_t n_outputs = data.means.empty() ? data.covariances[0].size() : data.means[0].size();
  expect(n_outputs >= 1, config, data.means.empty() ? "data.covariances" : "data.means",
         "component 1 has no dimensions");
  for (std::size_t k = 0; k < data.means.size(); ++k) {
    expect(data.means[k].size() == n_outputs, config, "data.means", "mean {} has {} numbers, the first has {}", k + 1,
           data.means[k].size(), n_outputs);
  }
  const auto expect_count = [&](const char* key, std::size_t found, bool one_is_enough) {
    expect(found == 0 || found == n_components || (one_is_enough && found == 1), config, key,
           "{} given for {} components", found, n_components);
  };
  expect_count("data.std", data.std.size(), true);
  expect_count("data.covariances", data.covariances.size(), false);
  expect_count("data.weights", data.weights.size(), false);
  check_covariances(config, n_outputs);
  expect(data.inputs < static_cast<std::int64_t>(n_outputs), config, "data.inputs",
         "{} inputs, but the law has {} dimensions in all", data.inputs, n_outputs);
}

/// Which key decides that another one has no meaning.
struct Belonging {
  std::string key, value;
  std::vector<std::string_view> allowed;
};

Belonging belonging_of(const KeySpec& key, const Config& config) {
  const auto misses = [](const std::vector<std::string_view>& allowed, const std::string& value) {
    return !allowed.empty() && std::find(allowed.begin(), allowed.end(), value) == allowed.end();
  };
  if (misses(key.models, config.model.kind)) return {"model.kind", config.model.kind, key.models};
  if (misses(key.filters, config.filter.kind)) return {"filter.kind", config.filter.kind, key.filters};
  return {"data.kind", config.data.kind, key.kinds};
}

void check_data(const Config& config) {
  const DataConfig& data = config.data;
  if (data.kind.empty()) {
    fail_usage("{}: data.kind is missing; allowed: {}", config.source, find_key("data.kind")->allowed());
  }
  for (const KeySpec& key : config_schema()) {
    if (key.applies_to(config) || !config.was_given(std::string(key.name))) continue;
    const Belonging belonging = belonging_of(key, config);
    fail_usage("{}: {} has no meaning with {} = \"{}\"; it belongs to: {}", where_is(config, std::string(key.name)),
               key.name, belonging.key, belonging.value, listed(belonging.allowed));
  }
  if (is_mixture(data)) check_mixture(config);
  expect(!is_synthetic(data) || is_mixture(data) || data.inputs < 2, config, "data.inputs",
         "{} inputs, but the law has 2 dimensions in all", data.inputs);
  expect(data.kind != "npy" || data.classes.empty() || !data.labels.empty(), config, "data.classes",
         "needs data.labels, the file that says which class an item has");
  expect(!is_synthetic(data) || data.scaling == "auto" || data.scaling == "none", config, "data.scaling",
         "\"{}\" is for data sets; a synthetic law allows: auto, none", data.scaling);
}

void check_filter(const Config& config) {
  const FilterConfig& filter = config.filter;
  expect(filter.kind != "features" || !filter.features.empty(), config, "filter.features",
         "missing; filter.kind = \"features\" needs the .npy file of the features");
  expect(filter.kind != "features" || !filter.decoder.empty(), config, "filter.decoder",
         "empty; allowed: linear, or a .npy file");
}

bool is_sampler_only(const Config& config) { return config.model.kind.starts_with("sampler_only"); }

void check_model_and_training(const Config& config) {
  const QualityConfig& quality = config.training.quality;
  if (is_sampler_only(config)) {
    const std::string& kind = config.model.kind;
    const bool scaled = config.was_given("training.quality.output_scaling") && quality.output_scaling != "none";
    expect(!scaled, config, "training.quality.output_scaling",
           "\"{}\" has no meaning for {}, which has no output weights; allowed: none", quality.output_scaling, kind);
    const bool confined = config.was_given("training.quality.confinement") && quality.confinement != 0;
    expect(!confined, config, "training.quality.confinement", "{} points, but {} takes none; allowed: 0",
           quality.confinement, kind);
    expect(config.model.irreversible == 0.0, config, "model.irreversible",
           "{} has no J that is trained with it; allowed: 0", kind);
    expect(!config.sampling.record.reservoir, config, "sampling.record.reservoir",
           "{} has no reservoir; allowed: false", kind);
    expect(!(config.was_given("sampling.initial.space") && config.sampling.initial.space == "r"), config,
           "sampling.initial.space", "{} has no reservoir; allowed: x", kind);
  }
  expect(quality.confinement_radius.size() == 2 && quality.confinement_radius[0] <= quality.confinement_radius[1],
         config, "training.quality.confinement_radius", "allowed: two numbers, the smaller first");
  const NoiseConfig& noise = config.training.noise;
  expect(noise.schedule != "single" || noise.levels <= 1, config, "training.noise.levels",
         "{} levels with schedule = \"single\"; allowed: 1 or \"auto\"", noise.levels);
}

// The law of an underdamped chain holds for a drift that is the score, with noise of its own for each output.
void check_momentum(const Config& config) {
  const SamplingConfig& sampling = config.sampling;
  const bool baoab = sampling.integrator == "baoab";
  // A resolved config states every key: the default stands there without a meaning.
  const bool chosen = config.was_given("sampling.friction") && sampling.friction != SamplingConfig{}.friction;
  expect(baoab || !chosen, config, "sampling.friction",
         "there is no momentum with integrator = \"{}\"; it belongs to: baoab", sampling.integrator);
  if (!baoab) return;
  constexpr const char* others = "allowed: euler_maruyama, leimkuhler_matthews";
  expect(!sampling.record.reservoir, config, "sampling.integrator",
         "\"baoab\" gives the outputs a momentum that the reservoir has not (sampling.record.reservoir = true); {}",
         others);
  expect(sampling.irreversible.strength == 0.0 && sampling.irreversible.matrix.empty(), config, "sampling.integrator",
         "\"baoab\" needs a reversible drift, sampling.irreversible asks for another; {}", others);
  expect(config.evaluation.accelerate.empty(), config, "evaluation.accelerate",
         "its runs have no momentum, and sampling.dt is a step with one; sampling.integrator allows: "
         "euler_maruyama, leimkuhler_matthews");
  expect(config.model.irreversible == 0.0 || sampling.drift == "score", config, "sampling.integrator",
         "\"baoab\" needs a reversible drift, and the circuit has a trained J; {}, or sampling.drift = \"score\"",
         others);
}

void check_until(const Config& config) {
  if (checked_rule(config).empty()) return;
  expect(config.sampling.schedule == "last_level" || config.sampling.annealed.then_steps > 0, config, "sampling.until",
         "an annealed schedule alone is not at rest anywhere; allowed: sampling.annealed.then_steps above 0, which "
         "it ends early, or schedule = \"last_level\"");
}

void check_energy_based(const Config& config) {
  const std::string& phi = config.model.nonlinearity;
  expect(phi == "sigmoid" || phi == "tanh", config, "model.nonlinearity",
         "an energy of {} units need not have a law; an ebm allows: sigmoid, tanh", phi);
  const ContrastiveConfig& c = config.training.contrastive;
  expect(c.particles == 0 || c.renewed <= c.particles, config, "training.contrastive.renewed",
         "{} of {} particles; allowed: 0 to all of them", c.renewed, c.particles);
}

void check_sampling(const Config& config) {
  const InitialConfig& initial = config.sampling.initial;
  expect(initial.kind != "uniform" || initial.low <= initial.high, config, "sampling.initial.low",
         "{} is above high = {}", initial.low, initial.high);
  expect(config.sampling.noise != "private" || config.sampling.record.reservoir, config, "sampling.noise",
         "\"private\" is noise of the neurons, which output mode does not carry; allowed: output, or private with "
         "sampling.record.reservoir = true");
  check_until(config);
  check_momentum(config);
  expect(initial.kind != "file" || !initial.path.empty(), config, "sampling.initial.path",
         "missing; initial.kind = \"file\" needs the file of starting points");
}

}  // namespace

StopRule checked_rule(const Config& config) {
  const std::string& until = config.sampling.until;
  StopRule rule;
  if (until.empty()) return rule;
  try {
    rule = parse_stop_rule(until);
  } catch (const UsageError& error) {
    expect(false, config, "sampling.until",
           "\"{}\": {}; allowed: comparisons joined by \"and\", like \"rhat < 1.01 and ess > 400\"", until,
           error.what());
  }
  expect(config.sampling.diagnostics.outputs > 0, config, "sampling.until",
         "needs live diagnostics; allowed: sampling.diagnostics.outputs of 1 or more");
  return rule;
}

std::string where_is(const Config& config, const std::string& key) {
  const auto found = config.given.find(key);
  return found == config.given.end() ? config.source : found->second;
}

void check_file_level(const Config& config) {
  check_data(config);
  check_filter(config);
  expect(is_hee(config.model) || config.model.layers.empty(), config, "model.layers[0]",
         "{} has no layers; they belong to model.kind = \"hee\"", config.model.kind);
  expect(is_hee(config.model) || config.training.optimizer.kind != "plain", config, "training.optimizer.kind",
         "\"plain\" is the local rule of an hee model; {} allows: adam, adamw", config.model.kind);
  if (is_hee(config.model)) return check_hee(config);
  if (is_energy_based(config.model)) check_energy_based(config);
  check_model_and_training(config);
  check_sampling(config);
}

void check_against_data(const Config& config, const DataFacts& facts) {
  if (is_hee(config.model)) return check_hee_against_data(config, facts);
  const TrainingConfig& training = config.training;
  const bool energy = is_energy_based(config.model);
  const std::size_t n_levels = energy ? 1 : noise_levels(training.noise).size();
  if (energy) {
    expect(facts.n_inputs == 0, config, "model.kind",
           "{} takes no inputs, the data have {}; allowed: reservoir_sampler", config.model.kind, facts.n_inputs);
    check_energy_based(config);
  }
  expect(training.batch_size <= facts.n_items, config, "training.batch_size",
         "{} is more than the {} items of the data", training.batch_size, facts.n_items);
  expect(!training.noise.antithetic || training.batch_size % 2 == 0, config, "training.batch_size",
         "{} is odd; antithetic noise takes pairs: allowed are even numbers", training.batch_size);
  const double n_training_steps =
      static_cast<double>(training.epochs) * static_cast<double>(facts.n_items / training.batch_size);
  expect(n_training_steps >= static_cast<double>(n_levels), config, "training.epochs",
         "{} epochs are {} steps, fewer than the {} noise levels", training.epochs, n_training_steps, n_levels);
  if (is_sampler_only(config)) {
    expect(config.model.neurons == facts.n_outputs, config, "model.neurons",
           "{} neurons, but {} has one for each of the {} outputs", config.model.neurons, config.model.kind,
           facts.n_outputs);
    expect(facts.n_inputs == 0, config, "model.kind",
           "{} takes no inputs, the data have {}; allowed: reservoir_sampler", config.model.kind, facts.n_inputs);
  }
  if (training.quality.start != "random") {
    const std::string key = "training.quality.start", &start = training.quality.start;
    const std::string& phi = config.model.nonlinearity;
    expect(!is_sampler_only(config), config, key, "{} has no output weights to start with; allowed: random",
           config.model.kind);
    expect(training.init.empty(), config, key, "the weights come from training.init; allowed: random");
    expect(pairs_are_straight(parse_nonlinearity(phi)), config, key,
           "\"{}\" needs relu, leaky_relu or softplus, found {}", start, phi);
    expect(start != "noise_score" || training.quality.output_scaling == "inverse_sigma2", config, key,
           "\"noise_score\" needs training.quality.output_scaling = \"inverse_sigma2\", found \"{}\"",
           training.quality.output_scaling);
    expect(start != "noise_score" || config.model.neurons >= 2 * facts.n_outputs, config, key,
           "\"noise_score\" takes two neurons for each of the {} outputs, found {} in all", facts.n_outputs,
           config.model.neurons);
  }
  expect(config.model.irreversible == 0.0 || facts.n_outputs > 1, config, "model.irreversible",
         "{} needs at least two outputs, the data have one; allowed: 0", config.model.irreversible);
  expect(facts.n_inputs > 0 || config.sampling.condition.empty(), config, "sampling.condition",
         "the network has no inputs; train it with data.condition");
  for (const std::string& metric : config.evaluation.metrics) {
    const bool one_dimensional = metric != "moments" && metric != "beyond";
    expect(!one_dimensional || (facts.n_outputs == 1 && facts.n_inputs == 0 && is_synthetic(config.data)), config,
           "evaluation.metrics",
           "\"{}\" needs a synthetic law in one dimension without inputs, found D = {}, U = {}; allowed here: moments, "
           "beyond",
           metric, facts.n_outputs, facts.n_inputs);
  }
  const SamplingConfig& sampling = config.sampling;
  expect(config.evaluation.accelerate.empty() || (facts.n_outputs == 2 && facts.n_inputs == 0 &&
                                                  is_synthetic(config.data) && sampling.schedule == "last_level"),
         config, "evaluation.accelerate",
         "needs a synthetic law in the plane without inputs and sampling.schedule = \"last_level\"; found D = {}, U = "
         "{}, \"{}\"",
         facts.n_outputs, facts.n_inputs, sampling.schedule);
  expect(sampling.initial.kind != "data" || sampling.initial.space == "x", config, "sampling.initial.space",
         "starting points from the data are outputs; allowed: x");
  const std::int64_t n_steps =
      sampling.schedule == "annealed"
          ? sampling.annealed.steps_per_level * training.noise.levels + sampling.annealed.then_steps
          : sampling.steps;
  expect(sampling.burn_in < n_steps || sampling.burn_in == 0, config, "sampling.burn_in",
         "{} is not below the {} steps that a chain takes", sampling.burn_in, n_steps);
}

}  // namespace tarn
