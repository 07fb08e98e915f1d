// Learning curves of several models on one data set (docs/rivals.md): the work of a sweep whose study is "learning". Private to sweeps.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "learning_results.hpp"
#include "tarn/experiment/run_folder.hpp"

namespace tarn {

/// Trains and judges every model with every seed; a point that has its file in `points/` is not computed again. `data` as prepared for
/// each target, the whole set. Seconds are kept in timing.jsonl. Throws `UsageError` where targets do not have the same data.
LearningStudy run_learning_study(const Config& sweep, std::vector<PreparedData> data, Backend& backend,
                                 const RunFolder& folder);

/// What it would do, a line or two for each target.
std::vector<std::string> learning_plan(const Config& sweep, const std::vector<PreparedData>& data);

}  // namespace tarn
