#include "hee_run.hpp"
#include "measured_speed.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/experiment/autotune.hpp"
#include "tarn/experiment/runner.hpp"
#include "tarn/experiment/sweep.hpp"

namespace tarn {
namespace {

std::string bytes(double n) { return si(n) + "B"; }

}  // namespace

std::string device_memory_line(const ChainMemory& memory, std::int64_t n_chains) {
  if (memory.free == 0) return "";
  return fmt::format("device memory: {} for {} chains at a time, {} are free: {}",
                     bytes(static_cast<double>(memory.needed)), n_chains, bytes(static_cast<double>(memory.free)),
                     memory.tile < n_chains ? fmt::format("tiles of {} chains", memory.tile) : "all at once");
}

double measured_flops(const Config& config, const PreparedData& data, Backend& backend) {
  const SamplingNetwork network = starting_network(config, data);
  const PreparedLevels prepared(backend, {network});
  SamplingRun run;
  Stage stage;
  stage.network = &prepared[0];
  stage.dt = 1e-4;
  run.n_chains = std::min<std::int64_t>(1024, config.sampling.chains);
  Matrix<float> inputs(data.n_inputs > 0 ? run.n_chains : 0, data.n_inputs);
  run.inputs = inputs.view();
  double seconds = 0.0, work = 0.0;
  for (std::int64_t n = 1; seconds < 0.05; n *= 4) {
    run.stages = plain_schedule(stage, 0, n, 0);
    const SamplingResult result = run_chains(backend, run, nullptr);
    seconds = result.seconds;
    work = result.chain_steps * flops_of_a_step(network);
  }
  return work / seconds;
}

double flops_of_a_step(const SamplingNetwork& network) {
  const std::int64_t D = network.n_outputs;
  return 2.0 * static_cast<double>(network.n_neurons()) * static_cast<double>(2 * D + network.n_inputs);
}

std::vector<std::string> plan_of(Config config, const RunOptions& options) {
  if (is_sweep(config)) return sweep_plan(std::move(config), options);
  const auto backend = make_backend(config.run.device, options.n_threads, parse_precision(config.run.precision));
  require_data_path(config);
  Config untrained = config;  // sizes are all that a plan needs of a filter that takes minutes to train
  untrained.filter.epochs = 0;
  untrained.filter.iterations = 1;
  const PreparedData data = prepare_data(untrained);
  std::vector<std::string> lines{fmt::format("device: {} ({})", backend->name(), backend->description()),
                                 "data: " + data.description};
  for (std::string& line : resolve(config, facts_of(data))) lines.push_back("  " + std::move(line));
  if (std::string line = autotune_plan(config, *backend); !line.empty()) lines.push_back(std::move(line));

  if (is_hee(config.model)) {
    for (std::string& line : hee_plan_lines(config, data, *backend)) lines.push_back(std::move(line));
    return lines;
  }
  const TrainingPlan plan = training_plan(config, data);
  std::int64_t steps = 0;
  for (const auto n : plan.steps_per_level) steps += n;
  const SamplingConfig& s = config.sampling;
  const ModelKind kind = parse_model_kind(config.model.kind);
  const bool energy = is_energy_based(kind), small_network = kind != ModelKind::reservoir_sampler && !energy;
  const double N = static_cast<double>(small_network ? data.n_outputs : config.model.neurons);
  const double D = static_cast<double>(data.n_outputs), K = D + static_cast<double>(data.n_inputs);
  const double parameters = energy ? N * (D + (kind == ModelKind::ebm ? 2.0 : 1.0)) + D : N * (K + 1 + D),
               levels = static_cast<double>(plan.sigmas.size());
  const double batch = static_cast<double>(config.training.batch_size), chains = static_cast<double>(s.chains);
  const double per_chain = s.schedule == "last_level" ? static_cast<double>(s.steps + s.burn_in)
                                                      : levels * static_cast<double>(s.annealed.steps_per_level) +
                                                            static_cast<double>(s.annealed.then_steps);
  const double thinned = s.thin > 0
                             ? static_cast<double>(s.schedule == "last_level" ? s.steps : s.annealed.then_steps) /
                                   static_cast<double>(s.thin)
                             : 0.0;
  const double draws = std::max(thinned, 1.0);
  const double flops = measured_flops(config, data, *backend);
  const ContrastiveConfig& c = config.training.contrastive;
  // batch: units, reconstruction, gradient; particles: units and gradient, and two products a step
  const double rows = energy
                          ? 6.0 * batch + static_cast<double>(c.particles) * (4.0 + 4.0 * static_cast<double>(c.steps))
                          : 10.0 * (batch + static_cast<double>(plan.confinement_points));
  const double training_flops = static_cast<double>(steps) * N * (energy ? rows * D : rows * (0.4 * D + 0.6 * K));
  const double sampling_flops = chains * per_chain * 2.0 * N * (K + D);
  if (energy) {
    lines.push_back(
        fmt::format("training: {} updates by batches of {}, {} particles, {} steps of theirs for each, {} parameters",
                    steps, config.training.batch_size, c.particles, c.steps, si(parameters)));
  } else {
    lines.push_back(fmt::format("training: {} steps of {} over {} noise levels, {} parameters", steps,
                                config.training.batch_size, plan.sigmas.size(), si(parameters)));
  }
  lines.push_back(
      fmt::format("sampling: {} chains, {:.0f} steps each, {:.0f} draws kept of each", s.chains, per_chain, draws));
  for (std::string& line : drift_forecast(config, data.n_outputs)) lines.push_back(std::move(line));
  lines.push_back(fmt::format("memory: data {}, training {}, chains {}",
                              bytes(4.0 * static_cast<double>(data.rows.size())), bytes(4.0 * 5.0 * parameters),
                              bytes(4.0 * chains * (3.0 * D + K + (s.record.reservoir ? N : 0.0)))));
  {
    const SamplingNetwork network = starting_network(config, data);
    const RunnableNetwork runnable(network, DriftForm::score);
    lines.push_back("chains: " + backend->path(runnable.view(), s.record.reservoir));
    const std::string line =
        device_memory_line(backend->chain_memory(runnable.view(), s.chains, s.record.reservoir), s.chains);
    if (!line.empty()) lines.push_back(line);
  }
  lines.push_back(fmt::format("output: {} of draws{}, {} of weights",
                              bytes(4.0 * chains * draws * D * (s.merge ? 2.0 : 1.0)),
                              s.merge ? " (segments and merged file)" : "", bytes(4.0 * parameters * (levels + 1.0))));
  lines.push_back(fmt::format("time: about {} of training and {} of sampling, from {} measured just now",
                              duration(training_flops / flops), duration(sampling_flops / flops),
                              si(flops) + "flop/s"));
  return lines;
}

}  // namespace tarn
