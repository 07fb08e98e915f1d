// How a run of any kind of model ends; private to the runner.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "tarn/experiment/checkpoint.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/experiment/runner.hpp"

namespace tarn {

double seconds_since(std::chrono::steady_clock::time_point start);

/// What timing.jsonl holds of a run; seconds of the wall clock.
struct RunTimes {
  double prepare = 0.0, training = 0.0, sampling = 0.0, chain_steps = 0.0;
  std::int64_t training_steps = 0;
  int n_threads = 0;
  bool resumed = false;
};

/// Writes report, timing and DONE, in this order, and lets the checkpoints go. Throws `Error` where a file cannot be written.
RunOutcome end_run(const RunFolder& folder, Checkpoints& checkpoints, const Report& report,
                   const std::vector<Metric>& metrics, const RunTimes& times,
                   std::chrono::steady_clock::time_point start);

}  // namespace tarn
