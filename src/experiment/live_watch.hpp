// Live diagnostics of a run: what is watched, how often, and what is written while chains run.
#pragma once

#include <string>
#include <vector>

#include "tarn/experiment/stages.hpp"

namespace tarn {

/// Steps between looks at the chains: `sampling.diagnostics.every`, or where that is 0 as many as keep looks well under 3 % of the work of
/// `last` (64 or more, fewer where the stage is short), and such that draws and looks coincide where they can.
std::int64_t look_interval(const SamplingConfig& config, const Stage& last, std::int64_t n_quantities);

/// Fills in what `run` watches, in its last stage, and its rule to stop by.
void watch_chains(const Config& config, const PreparedData& data, SamplingRun& run);

/// "R-hat 1.02, ESS 340".
std::string summary(const LiveDiagnostics& diagnostics);
/// "x_0", and "|x|^2" for the last one where D > 1.
std::string live_name(const LiveDiagnostics& diagnostics, std::size_t quantity);
/// A line of metrics.jsonl: what was seen after so many steps.
std::string json_line(std::int64_t step, const LiveDiagnostics& diagnostics);
/// Lines at the end: the same, then one for each quantity, in scaled filter space, and one for each mode.
std::vector<std::string> json_lines_at_end(std::int64_t step, const LiveDiagnostics& diagnostics);

}  // namespace tarn
