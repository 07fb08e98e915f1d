// Two files of features judged against one another, whatever they came from.
#pragma once

#include <cstdint>
#include <filesystem>

#include "tarn/experiment/evaluate_run.hpp"

namespace tarn {

struct EvaluateFeaturesOptions {
  std::filesystem::path out = "runs";  ///< where the folder `features-1` (or the next free number) is made
  std::uint64_t seed = 3407;           ///< of all random subsets and draws
  std::int64_t mixture = 100;          ///< components of the mixture at most; 0 = none
  int n_threads = 0;                   ///< 0 = all cores
};

/// All figures of docs/quality.md of the rows of `fake` against those of `real`, each an `.npy` array `[n, D]`, those of the first eight
/// columns too. Rows that are not finite are counted and left out. Writes metrics.jsonl, figures and report.html. Throws `UsageError` where
/// columns differ in number or finite rows are too few, `Error` for files that cannot be read.
EvaluatedRun evaluate_features(const std::filesystem::path& real, const std::filesystem::path& fake,
                               const EvaluateFeaturesOptions& options = {});

}  // namespace tarn
