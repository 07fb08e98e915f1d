// An HEE run from training to the report; private to the runner.
#pragma once

#include <chrono>

#include "tarn/experiment/hee_stages.hpp"
#include "tarn/experiment/runner.hpp"

namespace tarn {

/// What `run_experiment` does once data, folder and backend stand, or what of that is left to do.
RunOutcome perform_hee(const Config& config, const std::string& resolved, const PreparedData& data, Backend& backend,
                       const RunFolder& folder, Checkpoints& checkpoints, const TensorFile* from,
                       std::chrono::steady_clock::time_point start);

/// The lines of a dry run from the model on.
std::vector<std::string> hee_plan_lines(const Config& config, const PreparedData& data, Backend& backend);

}  // namespace tarn
