// Live diagnostics of a run: what is watched, how often, and what is written while chains run.
#pragma once

#include <string>
#include <vector>

#include "tarn/experiment/stages.hpp"

namespace tarn {

/// Operations of a chain.
struct LookCost {
  double a_step = 0.0, a_look = 0.0;
};
/// Steps between looks at chains that take `n_steps` and keep a draw every `thin` (0: none): as many as keep looks well under 3 % of the work (64 or
/// more, fewer where the steps are few), and such that draws and looks coincide where they can.
std::int64_t look_interval(std::int64_t n_steps, std::int64_t thin, bool has_rule, const LookCost& cost);

/// Means of the data's components in scaled filter space, where they tell modes apart; else empty.
Matrix<float> mode_centers(const PreparedData& data);

/// Fills in what `run` watches, in its last stage, and its rule to stop by.
void watch_chains(const Config& config, const PreparedData& data, SamplingRun& run);

/// "R-hat 1.02, ESS 340".
std::string summary(const LiveDiagnostics& diagnostics);
/// "x_0", ..., and "|x|^2" for the last one where D > 1.
std::vector<std::string> live_names(const LiveDiagnostics& diagnostics);
/// A line of metrics.jsonl: what was seen after so many steps.
std::string json_line(std::int64_t step, const LiveDiagnostics& diagnostics);
/// Lines at the end: the same, then one for each quantity, in scaled filter space, and one for each mode.
std::vector<std::string> json_lines_at_end(std::int64_t step, const LiveDiagnostics& diagnostics,
                                           const std::vector<std::string>& names);

}  // namespace tarn
