// How evaluations of every model estimate likelihoods, and when they do not trust the estimate. Private to them.
#pragma once

#include "tarn/experiment/config.hpp"
#include "tarn/models/hee_likelihood.hpp"

namespace tarn {

/// `evaluation.likelihood_*` as the models take them.
inline Annealing annealing_of(const EvaluationConfig& config) {
  Annealing annealing;
  annealing.n_temperatures = config.likelihood_temperatures;
  annealing.chains_per_datum = config.likelihood_chains;
  return annealing;
}

/// Fewer than so many importance weights carry an estimate: too few for its error to be trusted.
inline constexpr double fewest_effective = 5.0;

}  // namespace tarn
