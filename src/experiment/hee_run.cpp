#include "hee_run.hpp"

#include <algorithm>

#include "hee_watch.hpp"
#include "restoration_data.hpp"
#include "run_end.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/io/file.hpp"

namespace tarn {
RunOutcome perform_hee(const Config& config, const std::string& resolved, const PreparedData& data, Backend& backend,
                       const RunFolder& folder, Checkpoints& checkpoints, const TensorFile* from,
                       std::chrono::steady_clock::time_point start) {
  check_observations(config, data);
  check_restoration(config, data);
  check_rule_has_room(config);
  const double prepared = seconds_since(start);
  const Continuation continuation{&checkpoints, from};
  const HeeTrainingOutcome training = hee_training_stage(config, data, backend, folder, continuation);
  const HeeSamplingOutcome sampling =
      hee_sampling_stage(config, data, training.model, backend, folder.path(), {}, continuation);
  const HeeEvaluationInput input{config, data, training, sampling, backend, folder};
  const EvaluationOutcome evaluation = evaluate_hee(input);
  const RunTimes times{prepared,         training.seconds,    sampling.seconds, sampling.chain_steps,
                       training.n_steps, backend.n_threads(), from != nullptr,  0.0};
  return end_run(folder, checkpoints, backend, make_hee_report(input, evaluation, resolved), evaluation.metrics, times,
                 start);
}

std::vector<std::string> hee_plan_lines(const Config& config, const PreparedData& data, Backend& backend) {
  check_observations(config, data);
  check_restoration(config, data);
  check_rule_has_room(config);
  const HeeTrainingPlan plan = hee_training_plan(config, data);
  const HeeModel model = starting_hee(config, data);
  const SamplingConfig& s = config.sampling;
  double parameters = 0.0;
  for (std::size_t l = 0; l < model.parameters.layers.size(); ++l) {
    parameters += static_cast<double>(model.parameters.b[l].size());
    if (l > 0) parameters += static_cast<double>(model.parameters.W[l - 1].size());
  }
  // One batch, as training takes it.
  const auto session = backend.make_hee_session(model.parameters, hee_optimizer(config));
  HeeTrainingPlan one = plan;
  one.n_steps = 1;
  const auto source = data.batches();
  train_hee(*session, *source, one);
  const auto start = std::chrono::steady_clock::now();
  train_hee(*session, *source, one);
  const double seconds = seconds_since(start);
  const double rows = static_cast<double>(plan.batch_size * plan.chains_per_datum);
  const double chain_step = seconds / (rows * static_cast<double>(plan.inference_steps));
  const double n_draws = s.thin > 0 ? static_cast<double>((s.steps + s.thin - 1) / s.thin) : 1.0;
  const double n_units = static_cast<double>(n_units_from(model.parameters, 1));
  const double chains = static_cast<double>(s.chains), steps = static_cast<double>(s.burn_in + s.steps);
  std::vector<std::string> lines;
  lines.push_back(fmt::format("training: {} batches of {} data, {} chains each, {} steps of inference, {} parameters",
                              plan.n_steps, plan.batch_size, plan.chains_per_datum, plan.inference_steps,
                              si(parameters)));
  lines.push_back(fmt::format("sampling: {} {} chains, {:.0f} steps each, {:.0f} draws kept of each", s.chains, s.mode,
                              steps, n_draws));
  for (std::string& warning : hee_warnings(config, model.parameters)) lines.push_back("warning: " + std::move(warning));
  lines.push_back(fmt::format("memory: data {}B, training {}B, chains {}B",
                              si(4.0 * static_cast<double>(data.rows.size())),
                              si(4.0 * (5.0 * parameters + rows * 6.0 * n_units)), si(4.0 * chains * 2.0 * n_units)));
  lines.push_back(fmt::format("output: {}B of draws{}, {}B of weights",
                              si(4.0 * chains * n_draws * n_units * (s.merge ? 2.0 : 1.0)),
                              s.merge ? " (segments and merged file)" : "", si(4.0 * parameters)));
  lines.push_back(fmt::format("time: about {} of training and {} of sampling, from one batch measured just now",
                              duration(static_cast<double>(plan.n_steps) * seconds),
                              duration(chains * steps * chain_step)));
  return lines;
}

}  // namespace tarn
