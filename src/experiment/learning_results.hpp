// What a learning study found, for people and for programs; private to the study.
#pragma once

#include <string>
#include <vector>

#include "learning_point.hpp"
#include "tarn/experiment/evaluation_stage.hpp"

namespace tarn {

/// All seeds of each model, and what they are read against.
struct LearningStudy {
  std::vector<std::vector<LearningResult>> results;  ///< `[targets][seeds]`
  double independent = 0.0;  ///< log likelihood of independent normals with the training data's moments
  double frechet_floor = 0.0, sliced_w2_floor = 0.0;        ///< real data against real data
  double frechet_gaussian = 0.0, sliced_w2_gaussian = 0.0;  ///< one Gaussian with the data's moments
};

/// One line a look: model, seed, step, seconds and what was found.
std::string learning_csv(const Config& sweep, const LearningStudy& study);

/// Medians over seeds as metrics, tables at the end of training and at equal time, warnings for seeds that diverged and for estimates
/// that rest on few weights.
EvaluationOutcome learning_outcome(const Config& sweep, const LearningStudy& study);

/// Likelihood, reconstruction error and sliced W2 over updates and over seconds: medians and ranges over the seeds that did not diverge.
Figure figure_learning(const Config& sweep, const LearningStudy& study);

/// The first step (or second) at which a level is reached; infinite where it never is.
struct FirstReach {
  double step = 0.0, seconds = 0.0;
};
FirstReach first_reach(const LearningResult& result, double log_likelihood);

}  // namespace tarn
