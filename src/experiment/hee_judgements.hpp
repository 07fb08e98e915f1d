// The parts of an HEE run's evaluation; private to it.
#pragma once

#include "tarn/experiment/hee_stages.hpp"

namespace tarn {

/// One latent layer, both Gaussian, no nonlinearity: everything has a closed form.
bool is_linear_gaussian(const HeeParameters& parameters);

/// What live diagnostics saw while the chains ran; warnings name chains that stand still or are copies.
void evaluate_live(const HeeEvaluationInput& input, EvaluationOutcome& outcome);

/// Ancestral draws of the model against the data: Frechet distance and sliced W2, each with its floor; in the plane a figure.
void judge_generation(const HeeEvaluationInput& input, EvaluationOutcome& outcome);

/// The ways to generate of `evaluation.generation` against ancestral draws over budgets of matrix products: a figure, a table, image grids.
void judge_generation_modes(const HeeEvaluationInput& input, EvaluationOutcome& outcome);

/// Posterior chains against the exact posterior, learned weights against the principal subspace and the best likelihood of any model of
/// this size (probabilistic PCA; Tipping and Bishop 1999).
void judge_linear_gaussian(const HeeEvaluationInput& input, EvaluationOutcome& outcome);

/// Inference with adaptation as momentum beside Euler-Maruyama and Leimkuhler-Matthews on the laws of `evaluation.adaptation`: worst
/// autocorrelation times, each method at its best step, the way to the law from zero, and what becomes of means and variances.
void judge_adaptation(const HeeEvaluationInput& input, EvaluationOutcome& outcome);

/// log p(x_0) of the first `evaluation.likelihood_data` data by annealed importance sampling, with its interval and, where there is one, the
/// closed form; and A(eta) as the interneurons of a posterior sample have it, against the exact one.
void judge_likelihood(const HeeEvaluationInput& input, EvaluationOutcome& outcome);

/// Images of which a half is hidden, or that noise was put on, restored by posterior means: errors beside those of one Gaussian, a table,
/// a figure, and the restored images as `restored_*.npy`.
void judge_restoration(const HeeEvaluationInput& input, EvaluationOutcome& outcome);

/// Runs on patches: what the first layer's units respond to, by a Gabor fit and in the frequency domain, beside V1; what units of a second
/// layer pool. Writes receptive_fields.csv, a line a unit. On other gray images only the grid of fields is drawn.
void judge_receptive_fields(const HeeEvaluationInput& input, EvaluationOutcome& outcome);

}  // namespace tarn
