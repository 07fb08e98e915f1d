// The parts of an HEE run's evaluation; private to it.
#pragma once

#include "tarn/experiment/hee_stages.hpp"

namespace tarn {

/// One latent layer, both Gaussian, no nonlinearity: everything has a closed form.
bool is_linear_gaussian(const HeeParameters& parameters);

/// Posterior chains against the exact posterior, learned weights against the principal subspace and the best likelihood of any model of
/// this size (probabilistic PCA; Tipping and Bishop 1999).
void judge_linear_gaussian(const HeeEvaluationInput& input, EvaluationOutcome& outcome);

}  // namespace tarn
