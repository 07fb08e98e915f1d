// The experiment runner: a config in, a run folder out.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tarn/experiment/config.hpp"
#include "tarn/experiment/evaluation_stage.hpp"

namespace tarn {

struct RunOptions {
  std::filesystem::path out = "runs";
  int n_threads = 0;  ///< 0 = all cores
};

struct RunOutcome {
  std::filesystem::path folder;
  std::vector<Metric> metrics;
};

/// Trains, samples, evaluates, reports. Throws `UsageError` or `Error`; what was written until then stays.
RunOutcome run_experiment(Config config, const RunOptions& options);

/// The same for `n_seeds` seeds from `run.seed` up, each in its own folder, and a table of medians and ranges (also written to
/// `<out>/<name>-seeds.md`, or with a number behind it where that exists).
std::vector<RunOutcome> run_seeds(const Config& config, const RunOptions& options, std::int64_t n_seeds);

/// What `run_experiment` would do, in lines for a person: data, steps, memory, time, output size. Reads the data; writes nothing.
std::vector<std::string> plan_of(Config config, const RunOptions& options);

/// A run folder that was written before, with its config, levels and data maps.
struct StoredRun {
  Config config;
  PreparedData data;  ///< maps only, no rows
  std::vector<SamplingNetwork> levels;
};
StoredRun load_run(const std::filesystem::path& folder, const std::vector<std::string>& overrides = {});

}  // namespace tarn
