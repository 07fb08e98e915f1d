// What an HEE model's config must fulfil beyond the range of each key: layers and families that fit one another, a step that the stiffest
// unit bears, interneurons faster than neurons.
#include <algorithm>
#include <cmath>

#include "config_check.hpp"
#include "tarn/experiment/config_schema.hpp"
#include "tarn/experiment/hee_model.hpp"
#include "tarn/models/hee_stability.hpp"

namespace tarn {
namespace {

std::string of_layer(std::size_t layer, std::string_view key) { return fmt::format("model.layers[{}].{}", layer, key); }

void check_keys(const Config& config, std::size_t l) {
  const LayerConfig& layer = config.model.layers[l];
  for (const KeySpec& key : layer_schema()) {
    const std::string name = of_layer(l, key.name.substr(key.name.rfind('.') + 1));
    if (key.applies_to(layer) || !config.was_given(name)) continue;
    fail_usage("{}: {} has no meaning with family = \"{}\"; it belongs to: {}", where_is(config, name), name,
               layer.family, listed(key.families));
  }
  const std::string where = fmt::format("model.layers[{}]", l);
  for (const char* key : {"nonlinearity", "lr"}) {
    expect(l > 0 || !config.was_given(of_layer(l, key)), config, of_layer(l, key),
           "the observation drives no layer below it; {} belongs to the layers above", key);
  }
  expect(l == 0 || layer.size > 0, config, where, "size is missing; only the observation can take it from the data");
}

void check_eta(const Config& config, std::size_t l) {
  const LayerConfig& layer = config.model.layers[l];
  const std::string name = of_layer(l, "eta");
  expect(std::abs(layer.eta) <= 1e6, config, name, "{} is out of range; allowed: -1e6 to 1e6", layer.eta);
  if (layer.family == "laplace") {
    expect(std::abs(layer.eta) < 0.9 * layer.rate, config, name,
           "{} is out of range; laplace with rate {} allows |eta| < {:.4g}, nine tenths of it", layer.eta, layer.rate,
           0.9 * layer.rate);
  }
  if (is_scale_family(layer.family)) {
    expect(layer.eta > 0.05, config, name, "{} is out of range; the precision of {} starts above 0.05", layer.eta,
           layer.family);
  }
}

void check_layers(const Config& config) {
  const auto& layers = config.model.layers;
  if (layers.size() < 2) {
    fail_usage(
        "{}: model.kind = \"hee\" needs two [[model.layers]] tables or more, the observation and a latent layer; found "
        "{}",
        where_is(config, "model.kind"), layers.size());
  }
  for (std::size_t l = 0; l < layers.size(); ++l) {
    check_keys(config, l);
    check_eta(config, l);
  }
  const std::string& top = layers.back().family;
  expect(!is_scale_family(top), config, of_layer(layers.size() - 1, "family"),
         "no layer above sets the scale of {} units here; allowed on top: gaussian, laplace, quartic, rectified", top);
}

// Each layer's own prior, and what a column of unit norm brings from the observation; weights are looked at when the run starts.
void check_step(const Config& config, const std::string& key, double dt) {
  const std::vector<HeeLayer> layers = hee_layers(config);
  for (std::size_t l = 1; l < layers.size(); ++l) {
    const LayerConfig& layer = config.model.layers[l];
    double curvature = largest_prior_curvature(layers[l], layer.eta);
    std::string also;
    if (l == 1 && config.training.normalise_columns) {
      curvature += response_curvature(layers[0], config.model.layers[0].eta);
      also = " with its column of unit norm";
    }
    // Euler-Maruyama is stable for dt below 2 / curvature, the leapfrog steps of momentum below 2 / sqrt(curvature).
    const double largest = 2.0 / (config.inference.adaptation == "momentum" ? std::sqrt(curvature) : curvature);
    expect(dt < largest, config, key,
           "{} is too large for the stiffest unit, {} in layer {}{}: its curvature is {:.4g}; allowed: < {:.3g}", dt,
           layer.family, l, also, curvature, largest);
  }
}

void check_inference(const Config& config) {
  const InferenceConfig& inference = config.inference;
  const ScheduleConfig& schedule = config.training.schedule;
  expect(inference.window <= inference.steps, config, "inference.window", "{} is more than the {} steps of inference",
         inference.window, inference.steps);
  constexpr const char* slow = "{} puts tau_e not below tau; interneurons must be faster than neurons: allowed: < 1";
  expect(inference.tau_ratio < 1.0, config, "inference.tau_ratio", slow, inference.tau_ratio);
  expect(schedule.tau_ratio_first < 1.0, config, "training.schedule.tau_ratio_first", slow, schedule.tau_ratio_first);
  expect(inference.adaptation == "none" || inference.integrator == "euler_maruyama", config, "inference.integrator",
         "\"{}\" goes without adaptation; momentum takes BAOAB, activity euler_maruyama", inference.integrator);
  check_step(config, "inference.dt", inference.dt);
  if (schedule.dt_first > 0.0) check_step(config, "training.schedule.dt_first", schedule.dt_first);
}

// The observation's own step, and where its chains start, where it moves.
void check_generation(const Config& config) {
  const SamplingConfig& sampling = config.sampling;
  const bool chain = sampling.mode == "joint" || sampling.mode == "marginal";
  expect(chain || sampling.mode == "posterior" || sampling.start == "noise", config, "sampling.start",
         "\"prior\" is for joint and marginal generation; {} makes the prior itself: allowed: noise", sampling.mode);
  if (!chain && sampling.mode != "layerwise" && config.evaluation.generation.empty()) return;
  const HeeLayer observation = hee_layers(config).front();
  const double curvature = largest_prior_curvature(observation, config.model.layers.front().eta);
  const bool compared = !config.evaluation.generation.empty();  // all modes, so the larger step counts
  const bool own = (sampling.mode == "marginal" || compared) && sampling.observation_dt > 0.0 &&
                   (!compared || sampling.observation_dt > config.inference.dt);
  const double dt = own ? sampling.observation_dt : config.inference.dt;
  const double largest = 2.0 / (config.inference.adaptation == "momentum" ? std::sqrt(curvature) : curvature);
  expect(dt < largest, config, own ? "sampling.observation_dt" : "inference.dt",
         "{} is too large for the observation, which moves while the model generates: its curvature ({}) is {:.4g}; "
         "allowed: < {:.3g}",
         dt, config.model.layers.front().family, curvature, largest);
}

void check_until(const Config& config) {
  const StopRule rule = checked_rule(config);
  if (rule.empty()) return;
  const SamplingConfig& sampling = config.sampling;
  expect(sampling.mode != "layerwise" && sampling.mode != "ancestral", config, "sampling.until",
         "{} chains are looked at once at most; a rule needs sampling.mode = posterior, joint or marginal",
         sampling.mode);
  const bool one_law = sampling.mode != "posterior" || sampling.chains <= config.inference.chains_per_datum;
  const bool nested = std::ranges::any_of(rule.conditions, [](const auto& c) { return c.diagnostic == "nested_rhat"; });
  expect(one_law || !nested, config, "sampling.until",
         "nested_rhat compares chains of one law, and posterior chains have one for each datum; allowed here: rhat, "
         "ess, mcse");
}

}  // namespace

void check_hee(const Config& config) {
  check_layers(config);
  check_inference(config);
  check_generation(config);
  check_until(config);
  expect(config.evaluation.classifier.empty() || config.sampling.mode != "posterior", config, "evaluation.classifier",
         "posterior chains draw no images; allowed with sampling.mode = joint, marginal, layerwise, ancestral");
  expect(config.run.precision == "fp32", config, "run.precision",
         "hee computes in float32 everywhere, not in {}; allowed: fp32", config.run.precision);
  const TrainingConfig& training = config.training;
  expect(training.recipe != "published", config, "training.recipe",
         "\"published\" holds the settings of sampling networks; hee allows: recommended");
  expect(training.optimizer.kind != "adamw", config, "training.optimizer.kind",
         "\"adamw\" is not offered for hee; allowed: adam, plain");
  const std::string& observed = config.model.layers.front().family;
  expect(training.schedule.noise_scale_first == 0.0 || observed == "gaussian" || observed == "rectified", config,
         "training.schedule.noise_scale_first", "{} has no s; it belongs to: gaussian, rectified", observed);
  const bool fresh = is_synthetic(config.data) || is_patches(config.data);
  expect(config.inference.latents != "persistent" || !fresh, config, "inference.latents",
         "\"persistent\" keeps a state for each item of a data set, {} gives fresh draws; allowed: reset, continual",
         config.data.kind);
  expect(config.data.inputs == 0 && config.data.condition.empty(), config,
         config.data.inputs != 0 ? "data.inputs" : "data.condition", "hee takes no inputs");
}

void check_hee_against_data(const Config& config, const DataFacts& facts) {
  const TrainingConfig& training = config.training;
  const SamplingConfig& sampling = config.sampling;
  expect(facts.n_inputs == 0, config, "model.kind", "hee takes no inputs, the data have {}", facts.n_inputs);
  const std::int64_t observed = config.model.layers.front().size;
  expect(observed == facts.n_outputs, config, "model.layers[0].size",
         "{} units for data of dimension {}; allowed: auto, {}", observed, facts.n_outputs, facts.n_outputs);
  expect(training.batch_size <= facts.n_items, config, "training.batch_size",
         "{} is more than the {} items of the data", training.batch_size, facts.n_items);
  expect(sampling.burn_in < sampling.steps || sampling.burn_in == 0, config, "sampling.burn_in",
         "{} is not below the {} steps that a chain takes", sampling.burn_in, sampling.steps);
  const std::int64_t n_chains = config.inference.chains_per_datum, K = sampling.inner_steps;
  for (const auto& [key, value] : {std::pair{"sampling.steps", sampling.steps},
                                   {"sampling.thin", sampling.thin},
                                   {"sampling.burn_in", sampling.burn_in},
                                   {"sampling.diagnostics.every", sampling.diagnostics.every}}) {
    expect(sampling.mode != "marginal" || value % K == 0, config, key,
           "{} is no multiple of sampling.inner_steps = {}, after which the observation moves", value, K);
  }
  expect(sampling.mode != "posterior" || sampling.chains % n_chains == 0, config, "sampling.chains",
         "{} is no multiple of inference.chains_per_datum = {}", sampling.chains, n_chains);
}

}  // namespace tarn
