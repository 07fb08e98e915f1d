// Which numbers are held against a threshold, and what they must be; private to the report.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tarn/experiment/evaluation_stage.hpp"

namespace tarn {

/// A diagnostic beside its threshold.
struct Judgement {
  Verdict verdict = Verdict::none;
  std::string threshold;  ///< e.g. "at most 1.01"
};

/// By the metric's name: R-hat, effective sample sizes, lost chains, the checks of the drift. Empty for a metric without a threshold.
std::optional<Judgement> judge(const Metric& metric);

/// Of distances "at the floor", "below the floor" or "1.9 × the floor", of others "as exact draws" or "4.2 deviations off"; empty without a floor. Within three
/// standard deviations a value is at its floor.
std::string beside_floor(const Metric& metric);

/// Which of several runs' values of one metric are the best (numbered from 1, as the columns of a table behind the name); empty where
/// neither less nor more is better, where fewer than two are finite, or where all are the same.
std::vector<std::size_t> best_of(const std::string& name, const std::vector<double>& values);

/// What a run says of itself in a few clauses: converged or not, chains lost, and its foremost distance beside the floor.
std::vector<ReportStatement> statements(const EvaluationOutcome& outcome);

}  // namespace tarn
