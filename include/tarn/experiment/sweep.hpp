// Studies of many networks in one run folder: the capacity experiment, one network class at many sizes, on several laws, beside classes
// without a reservoir (docs/capacity.md); learning curves of several models on one data set (docs/rivals.md).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tarn/experiment/runner.hpp"

namespace tarn {

/// Trains and judges every network of a config with targets and draws what they reach against their size. One run folder; a network that
/// is done has a file in `points/` and is not trained again. Throws as `run_experiment`.
RunOutcome run_sweep(Config config, const RunOptions& options);

/// Goes on with the sweep in `folder`: the network that was at work begins anew, the files end up with the same bytes. Throws as
/// `resume_experiment`.
RunOutcome resume_sweep(const std::filesystem::path& folder, const ResumeOptions& options);

/// What `run_sweep` would do, in lines for a person.
std::vector<std::string> sweep_plan(Config config, const RunOptions& options);

/// Files of a run folder, relative to it, that hold times, and so differ between equal runs: log, timing and page, and of a learning study
/// what is drawn and told over seconds.
std::vector<std::string> files_with_times(const Config& config);

}  // namespace tarn
