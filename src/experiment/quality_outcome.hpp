// Figures of merit on the scale of docs/quality.md, as lines of metrics.jsonl, a table and a figure of the report.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tarn/evaluation/quality.hpp"
#include "tarn/experiment/evaluation_stage.hpp"

namespace tarn {

/// Where sets were compared.
struct QualitySpace {
  std::string name;   ///< what the names of metrics end in: "filter_space"
  std::string label;  ///< for people: "filter space, D = 100"
  std::string draws = "this run";
};

/// The settings of a run: its seed, `evaluation.mixture` components.
QualitySettings quality_settings(const Config& config);

/// Adds the figures to the metrics, as one table, and as a figure in `figures`; what was left out goes to the table's note.
void add_quality(const QualitySpace& space, const std::vector<QualityFigure>& found, const ReferenceLaws& laws,
                 std::int64_t n_not_finite, const std::filesystem::path& figures, EvaluationOutcome& outcome);

/// A figure as a line of metrics.jsonl: its interval, count, floor and what mixture and Gaussian reach.
Metric quality_metric(const QualityFigure& figure, std::string name, std::string label, const ReferenceLaws& laws);
/// ... and as the row of a table, whose columns these are; `draws` names what is judged.
std::vector<std::string> quality_columns(const std::string& draws, const ReferenceLaws& laws);
std::vector<std::string> quality_row(const QualityFigure& figure, const ReferenceLaws& laws);

/// "4.57 [4.31, 4.84]", where a line may break after the value only; "n/a" where there is no value.
std::string interval_text(const Interval& interval);

}  // namespace tarn
