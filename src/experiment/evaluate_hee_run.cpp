// `tarn evaluate` of an HEE run: its draws and weights once more, without running chains.
#include <algorithm>

#include "hee_run.hpp"
#include "hee_run_chains.hpp"
#include "restoration_data.hpp"
#include "tarn/core/log.hpp"
#include "tarn/experiment/evaluate_run.hpp"
#include "tarn/io/draws.hpp"

namespace tarn {
namespace {

// The state of a run after its last step, as files hold it.
HeeSamplingOutcome stored_chains(const StoredRun& run, const std::filesystem::path& samples) {
  if (!std::filesystem::exists(samples))
    fail("{}: missing; a run is evaluated by its merged draws (sampling.merge, or `tarn merge`)", samples.string());
  const DrawReader reader(samples);
  const SamplingConfig& s = run.config.sampling;
  const HeeParameters& model = run.hee->parameters;
  const bool posterior = s.mode == "posterior";
  const std::int64_t n_dims = posterior ? n_units_from(model, 1) : model.layers[0].size + n_units_from(model, 0);
  if (reader.n_dims() != n_dims || reader.n_chains() != s.chains) {
    fail("{}: holds {} chains of {} numbers, the run has {} of {}", samples.string(), reader.n_chains(),
         reader.n_dims(), s.chains, n_dims);
  }
  HeeSamplingOutcome outcome;
  outcome.last_draw = posterior ? state_of(reader.draw(-1), run.config, run.data, model)
                                : generated_state(reader.draw(-1), run.data, model);
  outcome.first_bad_step = reader.first_bad_step();
  outcome.n_quarantined = std::ranges::count_if(outcome.first_bad_step, [](auto step) { return step >= 0; });
  outcome.n_draws = reader.n_draws();
  outcome.draws_file = samples;
  // the end is always kept, wherever it was
  outcome.chain_steps = static_cast<double>(reader.steps().back()) * static_cast<double>(reader.n_chains());
  return outcome;
}

}  // namespace

EvaluatedRun evaluate_hee_run(const std::filesystem::path& path, const EvaluateOptions& options) {
  if (!options.against.empty())
    fail_usage("--against: draws of an hee run are latents, which no file of data can be held against");
  const StoredRun run = load_run(path, options.overrides);
  check_restoration(run.config, run.data);
  const RunFolder original = RunFolder::open(path);
  const auto backend = make_backend(run.config.run.device, options.n_threads);
  const HeeSamplingOutcome sampling = stored_chains(run, original.samples_file());
  HeeTrainingOutcome training;
  training.model = *run.hee;
  training.n_steps = hee_training_plan(run.config, run.data).n_steps;
  training.records = hee_training_records(original);

  const RunFolder folder = original.create_evaluation();
  const HeeEvaluationInput input{run.config, run.data, training, sampling, *backend, folder};
  EvaluationOutcome outcome;
  try {
    outcome = evaluate_hee(input);
  } catch (...) {
    std::filesystem::remove_all(folder.path());  // nothing half-written
    throw;
  }
  write_report(folder.report(), make_hee_report(input, outcome, to_toml(run.config)));
  info("the report is {}", folder.report().string());
  return {folder.path(), outcome.metrics};
}

}  // namespace tarn
