// What lies in a run folder, read back for pages; private to them.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/experiment/run_folder.hpp"

namespace tarn {

/// The lines of a JSON-lines file that are objects; none where it is missing. A line that was broken off is passed over.
std::vector<nlohmann::json> json_lines(const std::filesystem::path& path);

/// Figures of merit as metrics.jsonl holds them, the last of each name; labels are made of the names.
std::vector<Metric> stored_metrics(const RunFolder& folder);

/// The course of training as metrics.jsonl holds it, over the training step.
std::vector<ReportCurve> stored_training(const RunFolder& folder);

/// A page for a run without report.json, of its metrics and whatever figures lie there; new ones are drawn into `scratch`.
Report report_from_files(const RunFolder& folder, const std::filesystem::path& scratch);

}  // namespace tarn
