// The stages of an HEE run: training, posterior chains, judgement. The counterparts of stages.hpp and evaluation_stage.hpp.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/experiment/checkpoint.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/experiment/hee_model.hpp"
#include "tarn/sampling/live_diagnostics.hpp"

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

/// Layers `first` to `last` are looked at after every `every` steps behind the first `begin`.
struct HeeLooks {
  int first = 1, last = 1;
  std::int64_t begin = 0, every = 0;  ///< `every` 0: never
  WatchPlan plan;

  bool is_on() const { return every > 0 && plan.n_outputs > 0; }
  bool due(std::int64_t done) const { return is_on() && done > begin && (done - begin) % every == 0; }
  /// Steps until the next one; the largest number where there is none.
  std::int64_t steps_to_next(std::int64_t done) const;
};

/// What live diagnostics saw of a run's chains.
struct HeeSeen {
  LiveDiagnostics diagnostics;
  HeeLooks looks;
  std::int64_t first_chain = 0;
  std::int64_t stopped_at = -1;  ///< steps after which `sampling.until` held; -1: it never did
};

struct HeeSamplingOutcome {
  std::vector<Matrix<float>> last_draw;  ///< `[n_chains, n_l]` for l = 0..L; layer 0 holds the observations
  std::vector<std::int64_t> first_bad_step;
  std::int64_t n_quarantined = 0;
  std::int64_t n_draws = 0;
  std::filesystem::path draws_file;  ///< all kept draws in one file; empty where they were not merged
  double chain_steps = 0.0;
  double seconds = 0.0;
  HeeSeen live;  ///< no looks where nothing was watched, and of a stored run
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
