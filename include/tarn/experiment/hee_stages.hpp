// The stages of an HEE run: training, posterior chains, judgement. The counterparts of stages.hpp and evaluation_stage.hpp.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/experiment/checkpoint.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/experiment/hee_model.hpp"

namespace tarn {

struct HeeTrainingOutcome {
  HeeModel model;
  std::vector<HeeRecord> records;
  std::int64_t n_steps = 0;
  double seconds = 0.0;
};

/// Trains, shows progress, writes metrics.jsonl and weights.safetensors. Goes on where the checkpoint says. Throws `Error`, and
/// `Interrupted` after a save.
HeeTrainingOutcome hee_training_stage(const Config& config, const PreparedData& data, Backend& backend,
                                      const RunFolder& folder, const Continuation& continuation = {});

struct HeeSamplingOutcome {
  std::vector<Matrix<float>> last_draw;  ///< `[n_chains, n_l]` for l = 0..L; layer 0 holds the observations
  std::vector<std::int64_t> first_bad_step;
  std::int64_t n_quarantined = 0;
  std::int64_t n_draws = 0;
  std::filesystem::path draws_file;  ///< all kept draws in one file; empty where they were not merged
  double chain_steps = 0.0;
  double seconds = 0.0;
};

/// Posterior chains: chain c has as its observation datum `c / chains_per_datum` of the training rows, from the first on. Draws of the
/// latents, layer after layer in a row, go to `<folder>/samples` and where merging is on and all chains are here to
/// `<folder>/samples.nc`. Step n of a chain takes the noise of step 2^32 + n, so that none of training's is used again. Throws `Error`, and
/// `Interrupted` after a save.
HeeSamplingOutcome hee_sampling_stage(const Config& config, const PreparedData& data, const HeeModel& model,
                                      Backend& backend, const std::filesystem::path& folder,
                                      const ChainRange& range = {}, const Continuation& continuation = {});

struct HeeEvaluationInput {
  const Config& config;
  const PreparedData& data;
  const HeeTrainingOutcome& training;
  const HeeSamplingOutcome& sampling;
  Backend& backend;
  const RunFolder& folder;
};

/// All that applies to the run. Writes figures and lines of metrics.jsonl.
EvaluationOutcome evaluate_hee(const HeeEvaluationInput& input);

/// report.html of a run; the same for equal runs.
Report make_hee_report(const HeeEvaluationInput& input, const EvaluationOutcome& outcome,
                       const std::string& resolved_config);

}  // namespace tarn
