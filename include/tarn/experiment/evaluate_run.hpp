// Judging a finished run again, or its draws against a file of data.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tarn/experiment/evaluation_stage.hpp"

namespace tarn {

struct EvaluateOptions {
  std::filesystem::path against;  ///< `.npy` `[n, P]`, the data's own units; empty: the run's own data
  std::vector<std::string>
      overrides;      ///< of the run's config, as in `load_config`; keys of [evaluation] and paths are of use
  int n_threads = 0;  ///< 0 = all cores
};

struct EvaluatedRun {
  std::filesystem::path folder;  ///< `<run>/evaluation-1` or the next free number: metrics.jsonl, figures, report.html
  std::vector<Metric> metrics;
};

/// Reads the final draws of a run from its samples.nc and evaluates them. Without `against`, as at the end of the run itself: the data
/// are read or drawn again, and where there is no filter the figures of merit are the same. With it, in any number of dimensions: moments,
/// W1 of the first components, Frechet distance and sliced W2 in PCA space (the run's own where its filter is PCA, else that
/// of the file), each with its floor and with what one Gaussian reaches. Throws `Error` for folders that are no finished
/// run, `UsageError` for a file whose columns do not fit.
EvaluatedRun evaluate_run(const std::filesystem::path& run, const EvaluateOptions& options = {});

}  // namespace tarn
