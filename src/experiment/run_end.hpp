// How a run of any kind of model ends; private to the runner.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tarn/core/isa.hpp"
#include "tarn/experiment/checkpoint.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/experiment/runner.hpp"

namespace tarn {

/// The comment on top of a run's config.toml: version, device, instruction set.
std::vector<std::string> config_header(const Config& config, const Backend& backend);

double seconds_since(std::chrono::steady_clock::time_point start);

/// What timing.jsonl holds of a run; seconds of the wall clock.
struct RunTimes {
  double prepare = 0.0, training = 0.0, sampling = 0.0, chain_steps = 0.0;
  std::int64_t training_steps = 0;
  int n_threads = 0;
  bool resumed = false;
  double operations_per_chain_step = 0.0;  ///< of its products; 0: not stated
};

/// Processor, cores and memory of this machine in one line, as far as /proc tells.
std::string host_description();

/// Float32 operations a second of `n_threads` threads at the clock that the system states, two fused multiply-add units each; 0 where vectors are
/// not fused (the baseline instruction set) or the clock is not stated. A nominal figure: real clocks move, and threads may share a core.
double nominal_peak(int n_threads, Isa isa);

/// Writes report.json, timing, the page and DONE, in this order, and lets the checkpoints go. Throws `Error` where a file cannot be written.
RunOutcome end_run(const RunFolder& folder, Checkpoints& checkpoints, const Backend& backend, const Report& report,
                   const std::vector<Metric>& metrics, const RunTimes& times,
                   std::chrono::steady_clock::time_point start);

}  // namespace tarn
