#include "tarn/experiment/runner.hpp"

#include <chrono>
#include <cmath>

#include "tarn/core/isa.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/core/version.hpp"
#include "tarn/io/file.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn {
namespace {

std::vector<std::string> header(const Config& config, const Backend& backend) {
  return {fmt::format("{}, resolved by tarn {} ({})", config.run.name, version(), commit()),
          fmt::format("device {}, instruction set {}", backend.name(), name_of(current_isa()))};
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

RunOutcome run_experiment(Config config, const RunOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const auto backend = make_backend(config.run.device, options.n_threads);
  require_data_path(config);
  const PreparedData data = prepare_data(config);
  const std::vector<std::string> chosen = resolve(config, facts_of(data));

  const RunFolder folder = RunFolder::create(options.out, config.run.name);
  const LogFile log(folder.log().string());
  info("run {}", folder.path().string());
  info("tarn {} ({}), {} ({})", version(), commit(), backend->name(), backend->description());
  const std::string resolved = to_toml(config, header(config, *backend));
  write_file_atomically(folder.config(), resolved);
  save_data_maps(data, folder.data_maps());
  info("data: {}", data.description);
  for (const std::string& line : chosen) info("  {}", line);
  JsonLines timing(folder.timing());
  const double prepared = seconds_since(start);

  const TrainingOutcome training = train_stage(config, data, *backend, folder);
  const SamplingOutcome sampling = sampling_stage(config, data, training.levels, *backend, folder.path());
  const EvaluationInput input{config, data, training, sampling, *backend, folder};
  const EvaluationOutcome evaluation = evaluation_stage(input);
  const double total = seconds_since(start);
  write_report(folder.report(), make_report(input, evaluation, resolved));
  timing.write(fmt::format(
      R"({{"prepare_s":{:.3f},"training_s":{:.3f},"training_steps":{},"sampling_s":{:.3f},"chain_steps":{:.0f},"total_s":{:.3f},"threads":{}}})",
      prepared, training.seconds, training.n_steps, sampling.result.seconds, sampling.result.chain_steps, total,
      options.n_threads));
  write_file_atomically(folder.done(), std::string_view("done\n"));
  info("done in {}; the report is {}", duration(total), folder.report().string());
  return {folder.path(), evaluation.metrics};
}

StoredRun load_run(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  const RunFolder folder = RunFolder::open(path);
  StoredRun run;
  run.config = load_config(folder.config().string(), overrides);
  run.data = load_data_maps(folder.data_maps());
  run.data.seed = run.config.run.seed;
  for (const LevelFile& file : folder.level_files()) run.levels.push_back(load_network(file.path));
  if (run.levels.empty()) fail("{}: holds no trained network yet", path.string());
  return run;
}

}  // namespace tarn
