// An HEE run from training to the report; private to the runner.
#pragma once

#include <chrono>

#include "tarn/experiment/evaluate_run.hpp"
#include "tarn/experiment/hee_stages.hpp"
#include "tarn/experiment/runner.hpp"

namespace tarn {

/// What `run_experiment` does once data, folder and backend stand, or what of that is left to do.
RunOutcome perform_hee(const Config& config, const std::string& resolved, const PreparedData& data, Backend& backend,
                       const RunFolder& folder, Checkpoints& checkpoints, const TensorFile* from,
                       std::chrono::steady_clock::time_point start);

/// The same as `evaluate_run`, for an HEE run.
EvaluatedRun evaluate_hee_run(const std::filesystem::path& path, const EvaluateOptions& options);

/// What metrics.jsonl holds of training. Throws `Error` for lines that no run would have written.
std::vector<HeeRecord> hee_training_records(const RunFolder& folder);

/// States `[n_chains, n_l]`, l = 0..L, of draws `[n_chains, n_1 + ... + n_L]` that hold the latents side by side, beside the observations
/// of chains from number `first_chain` on.
std::vector<Matrix<float>> state_of(const Matrix<float>& latents, const Config& config, const PreparedData& data,
                                    const HeeParameters& model, std::int64_t first_chain = 0);

/// The lines of a dry run from the model on.
std::vector<std::string> hee_plan_lines(const Config& config, const PreparedData& data, Backend& backend);

}  // namespace tarn
