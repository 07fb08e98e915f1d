#include <fstream>
#include <nlohmann/json.hpp>

#include "hee_checkpoint.hpp"
#include "hee_run.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/experiment/hee_stages.hpp"

namespace tarn {
namespace {

// JSON has no NaN: it is written out as a word.
nlohmann::ordered_json number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(fmt::format("{}", value));
}

std::string json_line(const HeeRecord& r) {
  nlohmann::ordered_json line;
  line["kind"] = "training";
  line["step"] = r.step;
  line["learning_rate"] = r.learning_rate;
  line["dt"] = r.dt;
  line["tau_ratio"] = r.tau_ratio;
  if (r.noise_scale > 0.0) line["noise_scale"] = r.noise_scale;
  line["energy"] = number(r.reading.energy);
  line["reconstruction"] = number(r.reading.reconstruction);
  line["error"] = r.statistics.error;
  line["activity"] = r.statistics.activity;
  line["activity_2"] = r.statistics.activity_2;
  line["quarantined"] = r.n_quarantined;
  return line.dump();
}

double number_of(const nlohmann::json& value) {
  return value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
}

HeeRecord record_of(const nlohmann::json& line) {
  HeeRecord r;
  r.step = line.at("step");
  r.learning_rate = line.at("learning_rate");
  r.dt = line.at("dt");
  r.tau_ratio = line.at("tau_ratio");
  r.noise_scale = line.value("noise_scale", 0.0);
  r.reading.energy = number_of(line.at("energy"));
  r.reading.reconstruction = number_of(line.at("reconstruction"));
  r.statistics.error = line.at("error").get<std::vector<double>>();
  r.statistics.activity = line.at("activity").get<std::vector<double>>();
  r.statistics.activity_2 = line.at("activity_2").get<std::vector<double>>();
  r.n_quarantined = line.at("quarantined");
  return r;
}

std::string note_of(const HeeRecord& r, const HeeTrainingPlan& plan) {
  std::string note = r.reading.n_chains > 0 ? fmt::format("reconstruction {:.4g}, energy {:.5g}",
                                                          r.reading.reconstruction, r.reading.energy)
                                            : std::string();
  if (r.n_quarantined > 0)
    note += fmt::format(", {} of {} chains quarantined", r.n_quarantined, plan.batch_size * plan.chains_per_datum);
  return note;
}

}  // namespace

std::vector<HeeRecord> hee_training_records(const RunFolder& folder) {
  std::vector<HeeRecord> records;
  std::ifstream metrics(folder.metrics());
  for (std::string line; std::getline(metrics, line);) {
    try {
      const auto json = nlohmann::json::parse(line);
      if (json.at("kind") == "training") records.push_back(record_of(json));
    } catch (const nlohmann::json::exception& error) {
      fail("{}: \"{}\" is not a line of metrics ({})", folder.metrics().string(), line.substr(0, 60), error.what());
    }
  }
  return records;
}

HeeTrainingOutcome hee_training_stage(const Config& config, const PreparedData& data, Backend& backend,
                                      const RunFolder& folder, const Continuation& continuation) {
  const HeeTrainingPlan plan = hee_training_plan(config, data);
  HeeTrainingOutcome outcome;
  outcome.n_steps = plan.n_steps;
  if (continuation.within("sampling")) {  // all was trained before
    outcome.records = hee_training_records(folder);
    outcome.model = load_hee(folder.weights());
    return outcome;
  }
  outcome.model = starting_hee(config, data);
  for (const std::string& warning : hee_warnings(config, outcome.model.parameters)) warn("{}", warning);
  const auto session = backend.make_hee_session(outcome.model.parameters, hee_optimizer(config));
  HeeTrainingPosition start;
  if (continuation.within("training")) {
    start = restore_hee_training(*continuation.from, {plan.batch_size, plan.chains_per_datum, 0}, *session);
    outcome.records = hee_training_records(folder);
  }
  info("training: {} batches of {} data, {} chains each, {} steps of inference, the last {} teach", plan.n_steps,
       plan.batch_size, plan.chains_per_datum, plan.inference_steps, plan.window);
  if (start.step > 0) info("training: goes on at batch {}", start.step);

  const auto source = data.batches();
  JsonLines metrics(folder.metrics());
  Progress bar("training", static_cast<double>(plan.n_steps), "batches");
  bar.start_at(static_cast<double>(start.step));
  const std::int64_t first = start.step;
  HeeTrainingObserver observer;
  observer.progress = [&](std::int64_t step, const HeeRecord& last) {
    bar.update(static_cast<double>(step), note_of(last, plan));
  };
  observer.record = [&](const HeeRecord& record) {
    metrics.write(json_line(record));
    outcome.records.push_back(record);
  };
  if (continuation.checkpoints) {
    observer.pause = [&](const HeeTrainingPosition& at) {
      if (!continuation.checkpoints->due()) return;
      TensorFile file;
      put_hee_training(file, at, *session);
      file.metadata["metrics_bytes"] = synced_size(folder.metrics());
      continuation.checkpoints->save(std::move(file), "training");
    };
  }
  train_hee(*session, *source, plan, observer, std::move(start));
  outcome.model.parameters = session->parameters();
  save_hee(folder.weights(), outcome.model);
  outcome.seconds = bar.seconds();
  info("training: done in {}, {} batches/s", duration(outcome.seconds),
       si(static_cast<double>(plan.n_steps - first) / outcome.seconds));
  return outcome;
}

}  // namespace tarn
