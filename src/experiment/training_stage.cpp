#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tarn/compute/trained_skew.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/models/energy_model.hpp"
#include "tarn/models/initial_weights.hpp"
#include "tarn/models/trainable.hpp"
#include "tarn/models/weights_file.hpp"
#include "tarn/training/contrastive.hpp"

namespace tarn {
namespace {

// Contrastive divergence has neither noise levels nor a loss: what it tells in its place, see training/contrastive.hpp.
std::string json_line(const TrainingRecord& r, bool contrastive) {
  nlohmann::ordered_json line;
  line["kind"] = "training";
  line["step"] = r.step;
  if (!contrastive) {
    line["level"] = r.level;
    line["sigma"] = r.sigma;
  }
  line["learning_rate"] = r.learning_rate;
  line[contrastive ? "reconstruction" : "loss"] = r.loss.loss;
  line[contrastive ? "energy_gap" : "excess_loss"] = r.loss.excess;
  if (r.loss.gradient_norm > 0.0) line["gradient_norm"] = r.loss.gradient_norm;
  return line.dump();
}

TrainingRecord record_of(const nlohmann::json& line) {
  TrainingRecord r;
  r.step = line.at("step");
  const bool contrastive = line.contains("energy_gap");
  r.level = contrastive ? 0 : line.at("level").get<std::int64_t>();
  r.sigma = contrastive ? 0.0 : line.at("sigma").get<double>();
  r.learning_rate = line.at("learning_rate");
  r.loss.loss = line.at(contrastive ? "reconstruction" : "loss");
  r.loss.excess = line.at(contrastive ? "energy_gap" : "excess_loss");
  r.loss.gradient_norm = line.value("gradient_norm", 0.0);
  return r;
}

// What a run that is going on has behind it.
void read_back(const RunFolder& folder, std::int64_t n_levels, TrainingOutcome& outcome) {
  for (std::int64_t level = 0; level < n_levels; ++level)
    outcome.levels.push_back(load_network(folder.level_file(level)));
  std::ifstream metrics(folder.metrics());
  for (std::string line; std::getline(metrics, line);) {
    try {
      const auto json = nlohmann::json::parse(line);
      if (json.at("kind") == "training") outcome.records.push_back(record_of(json));
    } catch (const nlohmann::json::exception& error) {
      fail("{}: \"{}\" is not a line of metrics ({})", folder.metrics().string(), line.substr(0, 60), error.what());
    }
  }
}

OutputScaling parse_output_scaling(const std::string& name) {
  if (name == "inverse_sigma") return OutputScaling::inverse_sigma;
  return name == "inverse_sigma2" ? OutputScaling::inverse_sigma2 : OutputScaling::none;
}

}  // namespace

OptimizerSettings optimizer_settings(const OptimizerConfig& c) {
  OptimizerSettings o;
  o.kind = c.kind == "adamw" ? OptimizerKind::adamw : OptimizerKind::adam;
  o.weight_decay = c.weight_decay;
  o.amsgrad = c.amsgrad;
  o.ema = c.ema;
  o.clip_norm = c.clip_norm;
  return o;
}

TrainingPlan training_plan(const Config& config, const PreparedData& data) {
  const TrainingConfig& t = config.training;
  TrainingPlan plan;
  // contrastive divergence: one level, of whose sigma nothing hangs on
  plan.sigmas = is_energy_based(config.model) ? std::vector{config.model.s} : noise_levels(t.noise);
  plan.batch_size = t.batch_size;
  const std::int64_t per_epoch = data.batches()->steps_per_epoch(t.batch_size);
  plan.steps_per_level = share_steps(t.epochs * per_epoch, static_cast<std::int64_t>(plan.sigmas.size()));
  plan.seed = config.run.seed;
  plan.learning_rate = t.optimizer.lr;
  plan.schedule = t.optimizer.lr_schedule == "cosine" ? LearningRateSchedule::cosine : LearningRateSchedule::constant;
  plan.restart_per_level = t.optimizer.restart_per_level;
  plan.output_scaling = parse_output_scaling(t.quality.output_scaling);
  plan.antithetic = t.noise.antithetic;
  plan.confinement_points = t.quality.confinement;
  plan.confinement_pull = t.quality.confinement_pull;
  for (std::size_t i = 0; i < 2; ++i) plan.confinement_radius[i] = t.quality.confinement_radius.at(i);
  plan.n_outputs = data.n_outputs;
  plan.largest_norm = data.largest_norm;
  return plan;
}

SamplingNetwork starting_network(const Config& config, const PreparedData& data) {
  const ModelConfig& m = config.model;
  const ModelKind kind = parse_model_kind(m.kind);
  const Nonlinearity phi = parse_nonlinearity(m.nonlinearity);
  SamplingNetwork network;
  if (config.training.init.empty()) {
    const QualityConfig& q = config.training.quality;
    network = is_energy_based(kind) ? initial_energy_network(kind, phi, data.n_outputs, m.neurons, m.s, config.run.seed)
                                    : initial_network(kind, phi, data.n_outputs, data.n_inputs, m.neurons,
                                                      config.run.seed, {q.input_gain, q.bias_gain});
    if (q.start == "noise_score") start_from_noise_score(network, q.input_gain);
    if (q.start == "pairs") start_in_pairs(network);
  } else {
    network = load_network(config.training.init, {phi, kind});
    if (network.n_outputs != data.n_outputs || network.n_inputs != data.n_inputs) {
      fail_usage("{}: weights for D = {}, U = {}, but the data have D = {}, U = {}", config.training.init,
                 network.n_outputs, network.n_inputs, data.n_outputs, data.n_inputs);
    }
    if (network.kind != kind || network.phi != phi) {
      fail_usage("{}: weights of a {} with {}, but the config asks for {} with {}", config.training.init,
                 name_of(network.kind), name_of(network.phi), m.kind, m.nonlinearity);
    }
    if (is_energy_based(kind) && network.s != m.s) {
      fail_usage("{}: weights for s = {}, but the config asks for model.s = {}", config.training.init, network.s, m.s);
    }
    if (network.scaling != data.scaling) {
      warn("{}: its weights were trained with another shift or scale than these data have", config.training.init);
    }
  }
  if (m.irreversible > 0.0) {
    if (!network.drift_map.empty()) {
      fail_usage("{}: these weights bring a trained J; leave model.irreversible out", config.training.init);
    }
    const Matrix<float> J = irreversible_matrix({m.irreversible, ""}, data.n_outputs, config.run.seed);
    Matrix<double> exact(J.rows(), J.cols());
    std::copy_n(J.data(), J.size(), exact.data());
    const Matrix<double> M = circuit_to_score(exact);
    network.drift_map = Matrix<float>(J.rows(), J.cols());
    std::transform(M.data(), M.data() + M.size(), network.drift_map.data(),
                   [](double v) { return static_cast<float>(v); });
  }
  network.scaling = data.scaling;
  return network;
}

std::unique_ptr<TrainableModel> make_training(const Config& config, const PreparedData& data, const TrainingPlan& plan,
                                              Backend& backend) {
  const OptimizerSettings optimizer = optimizer_settings(config.training.optimizer);
  const SamplingNetwork start = starting_network(config, data);
  if (is_energy_based(start.kind)) {
    const ContrastiveConfig& c = config.training.contrastive;
    return make_contrastive(start, optimizer, {c.particles, c.steps, c.dt, c.renewed});
  }
  // Given weights are plain W_out; fresh ones are the V of the first level, whatever its output scale.
  const double output_scale = config.training.init.empty() ? 1.0 : level_of(plan, 0).output_scale;
  return make_trainable(backend, start, optimizer, output_scale);
}

TrainingOutcome train_stage(const Config& config, const PreparedData& data, Backend& backend, const RunFolder& folder,
                            const Continuation& continuation) {
  const TrainingPlan plan = training_plan(config, data);
  const auto n_levels = std::ssize(plan.sigmas);
  TrainingOutcome outcome;
  for (const auto n : plan.steps_per_level) outcome.n_steps += n;
  TrainingPosition start;
  if (continuation.within("training")) start = training_position(*continuation.from);
  if (continuation.within("sampling")) start.level = n_levels;
  if (start.level >= n_levels) {  // all was trained before
    read_back(folder, n_levels, outcome);
    save_network(folder.weights(), outcome.levels.back());
    return outcome;
  }
  const bool contrastive = is_energy_based(config.model);
  const auto model = make_training(config, data, plan, backend);
  if (continuation.within("training")) {
    model->restore(training_state(*continuation.from));
    read_back(folder, start.level, outcome);
  }
  const auto source = data.batches();
  JsonLines metrics(folder.metrics());
  const std::int64_t total = outcome.n_steps;
  if (contrastive) {
    info("training: {} updates by batches of {}", total, plan.batch_size);
  } else {
    info("training: {} steps of {} over {} noise levels, sigma {:.4g} to {:.4g}", total, plan.batch_size,
         plan.sigmas.size(), plan.sigmas.front(), plan.sigmas.back());
  }
  if (const std::string way = model->way(plan.batch_size + level_of(plan, 0).confinement_points); !way.empty())
    info("training: {}", way);
  if (start.step > 0) info("training: goes on at step {} (level {})", start.step, start.level + 1);
  Progress bar("training", static_cast<double>(total), "steps");
  bar.start_at(static_cast<double>(start.step));
  TrainingObserver observer;
  observer.progress = [&](std::int64_t step, std::int64_t, std::int64_t level, const DsmLoss& loss) {
    bar.update(static_cast<double>(step),
               contrastive
                   ? fmt::format("reconstruction error {:.4g}, energy gap {:.4g}", loss.loss, loss.excess)
                   : fmt::format("level {}/{}, excess loss {:.4g}", level + 1, plan.sigmas.size(), loss.excess));
  };
  observer.record = [&](const TrainingRecord& record) {
    metrics.write(json_line(record, contrastive));
    outcome.records.push_back(record);
  };
  observer.level_end = [&](std::int64_t level, std::int64_t, const SamplingNetwork& network) {
    save_network(folder.level_file(level), network);
    outcome.levels.push_back(network);
  };
  observer.last_good = [&] {
    return outcome.levels.empty() ? std::string()
                                  : folder.level_file(static_cast<std::int64_t>(outcome.levels.size()) - 1).string();
  };
  if (continuation.checkpoints) {
    observer.pause = [&](const TrainingPosition& at, bool level_ended) {
      if (!level_ended && !continuation.checkpoints->due()) return;
      TensorFile file;
      put_position(file, at, model->state());
      file.metadata["metrics_bytes"] = synced_size(folder.metrics());
      continuation.checkpoints->save(std::move(file), "training");
    };
  }
  const SamplingNetwork last = train(*model, *source, plan, observer, start);
  save_network(folder.weights(), last);
  outcome.seconds = bar.seconds();
  info("training: done in {}, {} steps/s", duration(outcome.seconds),
       si(static_cast<double>(total - start.step) / outcome.seconds));
  return outcome;
}

}  // namespace tarn
