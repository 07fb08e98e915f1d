#include "tarn/experiment/circuit.hpp"

#include <algorithm>
#include <cmath>

#include "tarn/core/log.hpp"
#include "tarn/experiment/runner.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/models/score.hpp"

namespace tarn {

struct Circuit::State {
  Config config;
  PreparedData data;
  std::vector<SamplingNetwork> levels;
  std::unique_ptr<Backend> backend;
};

namespace {

Dataset dataset_of(MatrixView<const float> rows) {
  Dataset set;
  set.source = "rows in memory";
  set.n_available = rows.rows;
  set.x = Matrix<float>(rows.rows, rows.cols);
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    require(std::isfinite(rows.data[i]), "rows in memory: {} at [{}, {}]; every value must be finite", rows.data[i],
            i / rows.cols, i % rows.cols);
    set.x.data()[i] = rows.data[i];
  }
  return set;
}

void refuse_data_keys(const std::vector<std::string>& settings) {
  for (const std::string& setting : settings) {
    const std::string key = setting.substr(0, setting.find('='));
    if (key.starts_with("data.") && key != "data.scaling") {
      fail_usage("{}: has no meaning for rows in memory; of the [data] table they take data.scaling alone", key);
    }
  }
}

}  // namespace

Circuit Circuit::train(MatrixView<const float> rows, const std::vector<std::string>& settings, int n_threads) {
  auto state = std::make_shared<State>();
  refuse_data_keys(settings);
  Config& config = state->config;
  config = parse_config("[run]\nname = \"circuit\"\n[data]\nkind = \"npy\"\n", "settings", settings);
  state->backend = make_backend(config.run.device, n_threads, parse_precision(config.run.precision));
  state->data = prepare_data(config, dataset_of(rows));
  resolve(config, facts_of(state->data));

  const TrainingPlan plan = training_plan(config, state->data);
  const auto model = make_training(config, state->data, plan, *state->backend);
  TrainingObserver observer;
  observer.level_end = [&](std::int64_t, std::int64_t, const SamplingNetwork& network) {
    state->levels.push_back(network);
  };
  const auto source = state->data.batches();
  tarn::train(*model, *source, plan, observer);
  return Circuit(std::move(state));
}

Circuit Circuit::load(const std::filesystem::path& run_folder, int n_threads) {
  StoredRun run = load_run(run_folder);
  auto state = std::make_shared<State>();
  state->config = std::move(run.config);
  state->data = std::move(run.data);
  state->levels = std::move(run.levels);
  state->backend = make_backend(state->config.run.device, n_threads, parse_precision(state->config.run.precision));
  return Circuit(std::move(state));
}

Matrix<float> Circuit::sample(std::int64_t n_chains, const std::vector<std::string>& settings) const {
  std::vector<std::string> overrides = settings;
  overrides.push_back(fmt::format("sampling.chains={}", n_chains));
  const Config config = parse_config(to_toml(state_->config), "settings", overrides);
  const SamplingSetup setup = make_sampling(config, state_->data, state_->levels, *state_->backend);
  const SamplingResult result = run_chains(*state_->backend, setup.run, nullptr);
  if (result.n_quarantined > 0) {
    warn("{} of {} chains became non-finite or left the bound; their draws are NaN", result.n_quarantined, n_chains);
  }
  return state_->data.to_data_units(result.last_draw);
}

Matrix<float> Circuit::score(MatrixView<const float> points) const {
  return score_in_data_units(*state_->backend, state_->levels.back(), points);
}

const Config& Circuit::config() const { return state_->config; }
const std::vector<SamplingNetwork>& Circuit::levels() const { return state_->levels; }

}  // namespace tarn
