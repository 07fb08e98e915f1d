#include "tarn/experiment/hee_model.hpp"

#include <algorithm>
#include <cmath>

#include "tarn/core/error.hpp"
#include "tarn/core/log.hpp"
#include "tarn/models/hee_stability.hpp"
#include "tarn/models/initial_hee.hpp"

namespace tarn {
namespace {

HeeModel model_from_file(const Config& config, HeeModel fresh) {
  const std::string& path = config.training.init;
  const HeeParameters given = load_hee(path).parameters;
  HeeParameters& p = fresh.parameters;
  if (given.layers.size() > p.layers.size()) {
    fail_usage("{}: has {} layers, the config {}; allowed: as many, or fewer to build on", path, given.layers.size(),
               p.layers.size());
  }
  for (std::size_t l = 0; l < given.layers.size(); ++l) {
    const HeeLayer &theirs = given.layers[l], &ours = p.layers[l];
    if (theirs.size != ours.size) {
      fail_usage("{}: layer {} has {} units, the config says {}", path, l, theirs.size, ours.size);
    }
    if (l > 0) p.W[l - 1] = given.W[l - 1];
    if (theirs.family == ours.family) {  // a bias means something to its own family only
      p.b[l] = given.b[l];
    } else {
      info("training.init: layer {} was {}, its biases start anew as {}", l, name_of(theirs.family),
           name_of(ours.family));
    }
  }
  return fresh;
}

}  // namespace

HeeTrainingPlan hee_training_plan(const Config& config, const PreparedData& data) {
  const TrainingConfig& t = config.training;
  const InferenceConfig& c = config.inference;
  HeeTrainingPlan plan;
  plan.n_steps = t.epochs * data.batches()->steps_per_epoch(t.batch_size);
  plan.batch_size = t.batch_size;
  plan.chains_per_datum = c.chains_per_datum;
  plan.inference_steps = c.steps;
  plan.window = c.window;
  plan.latents = c.latents == "persistent"  ? LatentStart::persistent
                 : c.latents == "continual" ? LatentStart::continual
                                            : LatentStart::reset;
  plan.spread = static_cast<float>(c.spread);
  plan.dynamics = hee_dynamics(config);
  plan.dt = {t.schedule.dt_first, c.dt, t.schedule.share};
  plan.tau_ratio = {t.schedule.tau_ratio_first, c.tau_ratio, t.schedule.share};
  if (t.schedule.noise_scale_first > 0.0)
    plan.noise_scale = {t.schedule.noise_scale_first, config.model.layers[0].s, t.schedule.share};
  for (std::size_t l = 1; l < config.model.layers.size(); ++l)
    plan.learning_rates.push_back(t.optimizer.lr * config.model.layers[l].lr);
  plan.schedule = t.optimizer.lr_schedule == "cosine" ? LearningRateSchedule::cosine : LearningRateSchedule::constant;
  plan.seed = config.run.seed;
  return plan;
}

HeeOptimizer hee_optimizer(const Config& config) {
  HeeOptimizer optimizer;
  optimizer.rule = config.training.optimizer.kind == "plain" ? HeeRule::plain : HeeRule::adam;
  optimizer.learn_biases = config.training.biases;
  if (config.training.normalise_columns) {
    optimizer.normalise_columns.assign(config.model.layers.size() - 1, false);
    optimizer.normalise_columns[0] = true;
  }
  return optimizer;
}

HeeModel starting_hee(const Config& config, const PreparedData& data) {
  std::vector<double> eta;
  for (const LayerConfig& layer : config.model.layers) eta.push_back(layer.eta);
  HeeModel model{initial_hee(hee_layers(config), eta, config.run.seed), data.scaling};
  return config.training.init.empty() ? model : model_from_file(config, std::move(model));
}

void check_observations(const Config& config, const PreparedData& data) {
  if (config.model.layers.front().family != "rectified") return;
  const auto* end = data.rows.data() + data.rows.size();
  const auto* negative = std::find_if(data.rows.data(), end, [](float v) { return v < 0.0f; });
  if (negative != end) {
    fail_usage(
        "model.layers[0].family: \"rectified\" is a law on x >= 0, the data hold {}; allowed for such data: gaussian, "
        "laplace",
        *negative);
  }
}

std::vector<std::string> hee_warnings(const Config& config, const HeeParameters& parameters,
                                      std::span<const Matrix<float>> x) {
  std::vector<std::string> warnings;
  const InferenceConfig& c = config.inference;
  const double stiffest = largest_curvature(parameters);
  if (c.dt * stiffest >= 2.0 && c.adaptation != "momentum") {
    warnings.push_back(
        fmt::format("inference.dt = {} is too large for these weights: the stiffest direction has curvature {:.4g}, "
                    "allowed: < {:.3g}",
                    c.dt, stiffest, 2.0 / stiffest));
  }
  for (std::size_t l = 1; l < parameters.layers.size(); ++l) {
    if (c.integrator != "leimkuhler_matthews" || parameters.layers[l].family != Family::rectified) continue;
    warnings.push_back(fmt::format(
        "layer {} (rectified) is reflected at 0, where the shared noise of leimkuhler_matthews biases it by some "
        "percent; inference.integrator = \"euler_maruyama\" or adaptation = \"momentum\" does not",
        l));
  }
  if (c.interneurons != "sampled") return warnings;
  for (const Separation& s : separations(parameters, c.tau_ratio, x)) {
    if (s.interneuron_rate >= s.neuron_rate) continue;
    warnings.push_back(
        fmt::format("interneurons of layer {} ({}) relax at {:.3g} per tau at eta = {:.3g} (spectral gap {:.3g} over "
                    "tau_ratio {}), not faster than the "
                    "neurons they serve, {:.3g} per tau; a smaller inference.tau_ratio, or interneurons = \"exact\", "
                    "keeps them apart",
                    s.layer, name_of(parameters.layers[static_cast<std::size_t>(s.layer)].family), s.interneuron_rate,
                    s.eta, s.gap, c.tau_ratio, s.neuron_rate));
  }
  return warnings;
}

}  // namespace tarn
