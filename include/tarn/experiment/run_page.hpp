// The page of a run, made of what lies in its folder: report.json and the figures, timing.jsonl, metrics.jsonl, config.toml.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tarn/experiment/run_folder.hpp"

namespace tarn {

/// The last line of timing.jsonl. Seconds of the wall clock; 0 where a field is missing, as in files of older versions.
struct RunClock {
  double prepare = 0.0, training = 0.0, sampling = 0.0, total = 0.0;
  double training_steps = 0.0, chain_steps = 0.0;
  double operations = 0.0;  ///< multiplications and additions of a chain-step's products
  double nominal_peak =
      0.0;  ///< operations a second that the CPU's threads could do at the clock that the system states; 0: not known
  int n_threads = 0;
  bool resumed = false;  ///< of the part since the last resume only
  std::string device;    ///< "cpu", "cuda"
  std::string hardware;  ///< what the device is, in words
};
/// Empty where the run has no times yet.
std::optional<RunClock> read_clock(const RunFolder& folder);

/// Writes the page of a run to `out`. A run without report.json, unfinished or of an older version, is shown by its metrics and figures; one
/// that is not `finished` is called so. Throws `Error`.
void write_run_page(const RunFolder& folder, const std::filesystem::path& out, bool finished);

}  // namespace tarn
