#include "tarn/experiment/runner.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "hee_run.hpp"
#include "run_end.hpp"
#include "tarn/core/isa.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/core/version.hpp"
#include "tarn/experiment/autotune.hpp"
#include "tarn/experiment/sweep.hpp"
#include "tarn/io/file.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn {
namespace {

// From training to the report, or what of that is left to do.
RunOutcome perform(const Config& config, const std::string& resolved, const PreparedData& data, Backend& backend,
                   const RunFolder& folder, Checkpoints& checkpoints, const TensorFile* from,
                   std::chrono::steady_clock::time_point start) {
  if (is_hee(config.model)) return perform_hee(config, resolved, data, backend, folder, checkpoints, from, start);
  const double prepared = seconds_since(start);
  const Continuation continuation{&checkpoints, from};
  const TrainingOutcome training = train_stage(config, data, backend, folder, continuation);
  const SamplingOutcome sampling =
      sampling_stage(config, data, training.levels, backend, folder.path(), {}, continuation);
  const EvaluationInput input{config, data, training, sampling, backend, folder};
  const EvaluationOutcome evaluation = evaluation_stage(input);
  const SamplingNetwork& network = training.levels.back();
  const RunTimes times{prepared,
                       training.seconds,
                       sampling.result.seconds,
                       sampling.result.chain_steps,
                       training.n_steps,
                       backend.n_threads(),
                       from != nullptr,
                       2.0 * static_cast<double>(network.n_neurons() * (2 * network.n_outputs + network.n_inputs))};
  return end_run(folder, checkpoints, backend, make_report(input, evaluation, resolved), evaluation.metrics, times,
                 start);
}

}  // namespace

std::map<std::string, std::string> checkpoint_facts(const Backend& backend, const std::string& fingerprint) {
  const Machine machine = machine_of(backend);
  std::map<std::string, std::string> facts{{"tarn_version", std::string(version())},
                                           {"device", machine.device},
                                           {"instruction_set", machine.isa},
                                           {"threads", std::to_string(machine.n_threads)},
                                           {"precision", std::string(name_of(backend.precision()))},
                                           {"fingerprint", fingerprint}};
  if (!machine.gpu.empty()) facts["gpu"] = machine.gpu;
  return facts;
}

std::unique_ptr<Backend> resumed_backend(const TensorFile& checkpoint, const ResumeOptions& options, bool small) {
  const std::string& device = checkpoint.metadata_at("device");
  const std::string& isa = checkpoint.metadata_at("instruction_set");
  const std::string& threads = checkpoint.metadata_at("threads");
  int n_before = 0;
  const auto read = std::from_chars(threads.data(), threads.data() + threads.size(), n_before);
  if (read.ec != std::errc{} || read.ptr != threads.data() + threads.size() || n_before < 0 || n_before > 4096)
    fail("{}: {} threads make no sense", checkpoint.source, threads);
  const auto refuse = [&](const std::string& what) {
    if (options.allow_inexact) {
      warn("{}; results will not be the same bits", what);
    } else {
      fail("{}; with --allow-inexact the run goes on all the same, but its results will not be the same bits", what);
    }
  };
  if (checkpoint.metadata_at("tarn_version") != version())
    refuse(fmt::format("the checkpoint was written by tarn {}, this is {}", checkpoint.metadata_at("tarn_version"),
                       version()));
  if (isa != name_of(current_isa()) && !small) {
    const auto available = available_isas();
    if (std::any_of(available.begin(), available.end(), [&](Isa one) { return name_of(one) == isa; })) {
      use_isa(isa);
    } else {
      refuse(fmt::format("the run computed with {}, which is not to be had here", isa));
    }
  }
  const int n_threads = options.n_threads > 0 ? options.n_threads : n_before;
  const auto gpu = checkpoint.metadata.find("gpu"), rounded = checkpoint.metadata.find("precision");
  const Precision precision = rounded == checkpoint.metadata.end() ? Precision::fp32 : parse_precision(rounded->second);
  if (n_threads != n_before && !small && gpu == checkpoint.metadata.end())
    refuse(fmt::format("the run computed with {} threads, {} were asked for now", n_before, n_threads));
  if (gpu == checkpoint.metadata.end()) return make_backend(device, n_threads);
  std::unique_ptr<Backend> backend;
  try {
    backend = make_backend(device, n_threads, precision);
  } catch (const Error& error) {
    refuse(error.what());
    return make_backend("auto", n_threads);
  }
  if (backend->description() != gpu->second)
    refuse(fmt::format("the run computed on {}, this is {}", gpu->second, backend->description()));
  return backend;
}

void require_same_inputs(const TensorFile& checkpoint, const std::string& fingerprint, const ResumeOptions& options) {
  if (checkpoint.metadata_at("fingerprint") == fingerprint) return;
  constexpr const char* what = "the data or the files that the config names have changed since the run began";
  if (!options.allow_inexact) fail("{}; with --allow-inexact it goes on with what is there now", what);
  warn("{}", what);
}

RunOutcome run_experiment(Config config, const RunOptions& options) {
  if (is_sweep(config)) return run_sweep(std::move(config), options);
  const auto start = std::chrono::steady_clock::now();
  const auto backend = make_backend(config.run.device, options.n_threads, parse_precision(config.run.precision));
  if (options.profile) backend->capture_profile();
  require_data_path(config);
  const PreparedData data = prepare_data(config);
  const std::vector<std::string> chosen = resolve(config, facts_of(data));

  const RunFolder folder = RunFolder::create(options.out, config.run.name);
  const LogFile log(folder.log().string());
  info("run {}", folder.path().string());
  info("tarn {} ({}), {} ({})", version(), commit(), backend->name(), backend->description());
  const std::string resolved = to_toml(config, config_header(config, *backend));
  write_file_atomically(folder.config(), resolved);
  save_data_maps(data, folder.data_maps());
  info("data: {}", data.description);
  for (const std::string& line : chosen) info("  {}", line);

  begin_autotune(config, *backend, folder.path());
  Checkpoints checkpoints(folder.checkpoints(), config.checkpoint,
                          checkpoint_facts(*backend, fingerprint(config, data)));
  TensorFile begin;
  begin.metadata["metrics_bytes"] = synced_size(folder.metrics());
  checkpoints.save(begin, "begin");
  return perform(config, resolved, data, *backend, folder, checkpoints, nullptr, start);
}

RunOutcome resume_experiment(const std::filesystem::path& path, const ResumeOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const RunFolder folder = RunFolder::open(path);
  if (std::filesystem::exists(folder.done()))
    fail_usage("{}: the run is finished; its report is {}", path.string(), folder.report().string());
  if (is_sweep(load_config(folder.config().string()))) return resume_sweep(path, options);
  const auto checkpoint = Checkpoints::latest(folder.checkpoints());
  if (!checkpoint) fail("{}: holds no checkpoint to go on from; start it again with tarn run", path.string());
  const Config config = load_config(folder.config().string());
  const std::string resolved = read_text_file(folder.config());

  const PreparedData maps = load_data_maps(folder.data_maps());
  const bool any_machine = maps.n_outputs <= 16 && !is_hee(config.model) && !is_energy_based(config.model);
  const auto backend = resumed_backend(*checkpoint, options, any_machine);
  const PreparedData data = prepare_data_with(maps, config);  // filters are not fitted twice
  const std::string inputs = fingerprint(config, data);
  require_same_inputs(*checkpoint, inputs, options);
  resume_autotune(config, *backend, folder.path(), *checkpoint, options.allow_inexact);

  const LogFile log(folder.log().string());
  info("run {} goes on after a checkpoint in {}", folder.path().string(), checkpoint->metadata_at("stage"));
  info("tarn {} ({}), {} ({})", version(), commit(), backend->name(), backend->description());
  cut_back(folder.metrics(), *checkpoint);
  Checkpoints checkpoints(folder.checkpoints(), config.checkpoint, checkpoint_facts(*backend, inputs));
  return perform(config, resolved, data, *backend, folder, checkpoints, &*checkpoint, start);
}

StoredRun load_run(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  const RunFolder folder = RunFolder::open(path);
  StoredRun run;
  run.config = load_config(folder.config().string(), overrides);
  if (is_sweep(run.config))
    fail_usage("{}: a sweep of many networks; the weights of each are in {}", path.string(),
               (path / "points").string());
  run.data = load_data_maps(folder.data_maps());
  run.data.seed = run.config.run.seed;
  if (is_hee(run.config.model)) {
    if (!std::filesystem::exists(folder.weights())) fail("{}: holds no trained model yet", path.string());
    run.hee = load_hee(folder.weights());
    run.data = prepare_data_with(run.data, run.config);
    resolve(run.config, facts_of(run.data));
    return run;
  }
  for (const LevelFile& file : folder.level_files()) run.levels.push_back(load_network(file.path));
  if (run.levels.empty()) fail("{}: holds no trained network yet", path.string());
  for (const SamplingNetwork& network : run.levels) {
    if (network.n_outputs != run.data.n_outputs || network.n_inputs != run.data.n_inputs) {
      fail("{}: a level has {} outputs and {} inputs, data.safetensors has {} and {}", path.string(), network.n_outputs,
           network.n_inputs, run.data.n_outputs, run.data.n_inputs);
    }
  }
  return run;
}

}  // namespace tarn
