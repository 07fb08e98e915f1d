// What training told of itself, step by step: for models whose training has no noise levels. Private to the evaluations.
#pragma once

#include <string>
#include <vector>

#include "tarn/experiment/evaluation_stage.hpp"

namespace tarn {

struct TrainingCourse {
  std::string name, label;     ///< "energy", and in words
  std::vector<double> values;  ///< one for each of the steps
};

/// A panel for each course, and its curve for pages about several runs; nothing where there are fewer than two steps.
void add_training_courses(const std::string& step_label, const std::vector<double>& steps,
                          const std::vector<TrainingCourse>& courses, const std::string& caption,
                          const RunFolder& folder, EvaluationOutcome& outcome);

}  // namespace tarn
