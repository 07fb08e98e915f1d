// The experiment runner: a config in, a run folder out.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tarn/experiment/config.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/models/hee_file.hpp"

namespace tarn {

struct RunOptions {
  std::filesystem::path out = "runs";
  int n_threads = 0;     ///< 0 = all cores
  bool profile = false;  ///< limit what a GPU profiler captures; an error on the CPU
};

struct RunOutcome {
  std::filesystem::path folder;
  std::vector<Metric> metrics;
};

/// Trains, samples, evaluates, reports. Throws `UsageError` or `Error`; what was written until then stays. `Interrupted` comes after a
/// checkpoint.
RunOutcome run_experiment(Config config, const RunOptions& options);

struct ResumeOptions {
  int n_threads = 0;           ///< 0 = as many as before
  bool allow_inexact = false;  ///< go on although results will not be the same bits
};

/// Goes on with the run in `folder` exactly where its last checkpoint was written: every file ends up with the bytes that an unbroken
/// run gives, wall-clock files apart. Throws `Error` where there is no checkpoint, where the data are not the same, or where the same
/// device, instruction set and thread count are not to be had (unless inexact results are allowed); `UsageError` for a finished run.
RunOutcome resume_experiment(const std::filesystem::path& folder, const ResumeOptions& options);

/// A backend that computes what the checkpoint's did, bit for bit. `small`: D is at most 16, where every instruction set and thread
/// count does.
std::unique_ptr<Backend> resumed_backend(const TensorFile& checkpoint, const ResumeOptions& options, bool small);
/// The facts that every checkpoint of a run states.
std::map<std::string, std::string> checkpoint_facts(const Backend& backend, const std::string& fingerprint);
/// Throws `Error` unless the checkpoint was written with the same.
void require_same_inputs(const TensorFile& checkpoint, const std::string& fingerprint, const ResumeOptions& options);

/// The same for `n_seeds` seeds from `run.seed` up, each in its own folder, and a table of medians and ranges (also written to
/// `<out>/<name>-seeds.md`, or with a number behind it where that exists).
std::vector<RunOutcome> run_seeds(const Config& config, const RunOptions& options, std::int64_t n_seeds);

/// What `run_experiment` would do, in lines for a person: data, steps, memory, time, output size. Reads the data; writes nothing.
std::vector<std::string> plan_of(Config config, const RunOptions& options);

/// A run folder that was written before, with its config, levels and data maps.
struct StoredRun {
  Config config;
  PreparedData data;  ///< maps only, no rows; of an HEE run the data themselves, which its chains are given
  std::vector<SamplingNetwork> levels;
  std::optional<HeeModel> hee;  ///< in place of levels
};
StoredRun load_run(const std::filesystem::path& folder, const std::vector<std::string>& overrides = {});

}  // namespace tarn
