// Small pieces that the evaluations on the line share.
#pragma once

#include <cstdint>
#include <string>

#include "tarn/compute/backend.hpp"
#include "tarn/evaluation/law_1d.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/models/sampling_network.hpp"
#include "tarn/report/figures.hpp"

namespace tarn {

/// `n` even points of a function, or of a law's density.
Curve curve_of(const BatchFunction1d& f, double low, double high, int n);
Curve density_of(const Law1d& law, double low, double high);

/// The network's score in the data's own units. Network and backend must outlive it.
BatchFunction1d learned_score(Backend& backend, const SamplingNetwork& network);

/// The best that a sampler-only class can do for this score.
struct BestFit {
  double error = 0.0;
  std::string text;  ///< its drift, in a formula
  Curve curve;       ///< over 2.8 standard deviations of the law on either side
};
BestFit best_fit(ModelKind kind, Nonlinearity phi, const Law1d& law, const BatchFunction1d& true_score,
                 std::uint64_t seed);

/// Trains and runs the networks of `evaluation.compare` on the same data and draws them beside this run's.
void compare_networks(const EvaluationInput& input, EvaluationOutcome& outcome);

}  // namespace tarn
