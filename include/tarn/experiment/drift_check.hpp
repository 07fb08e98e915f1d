// What is said about a sampling run before it starts: whether the step is stable, and whether the drift confines.
#pragma once

#include <string>
#include <vector>

#include "tarn/experiment/config.hpp"
#include "tarn/sampling/chain_engine.hpp"

namespace tarn {

/// Findings on the networks of a run (models/drift.hpp), for the log, metrics and the report.
struct DriftCheck {
  double stable_dt = 0.0;  ///< largest stable step of the last stage's network, the smallest over the points looked at
  double dt = 0.0;         ///< the step it is run with
  double outward_rate = 0.0;  ///< of the same network
  std::vector<std::string> warnings;
};

/// Looks at every stage of a run. Points are rows of `rows` `[n, D+U]` (training data) with noise of the level's sigma added; where there are
/// none, normals of RMS norm 1 as scaled data have, with the run's first inputs. 32 of them for the last stage, 4 for those before it,
/// fewer for large networks.
/// `rows` may be empty. Pure: the same for the same run.
DriftCheck check_drift(const Config& config, const SamplingRun& run, MatrixView<const float> rows);

/// The smallest stable step over `n` such points of one network, fewer where it is so large that they would take long; in reservoir mode at most 2. NaN where weights are not finite.
double smallest_stable_step(const NetworkView& network, double sigma, MatrixView<const float> rows, std::int64_t n,
                            bool reservoir = false, MatrixView<const float> inputs = {});

/// `outward_growth(network).rate` from 16 starts, fewer likewise.
double largest_outward_rate(const NetworkView& network);

/// What can be said before there are weights, in lines for a person. The score of data smoothed by sigma is nowhere stiffer than 1/sigma^2,
/// so for an exact score every step below `2 sigma^2` is stable.
std::vector<std::string> drift_forecast(const Config& config, std::int64_t n_outputs);

}  // namespace tarn
