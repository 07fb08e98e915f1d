// Draws of labelled images judged by what a classifier says of them (docs/quality.md); private to evaluation.
#pragma once

#include <string>
#include <vector>

#include "tarn/evaluation/quality.hpp"
#include "tarn/experiment/evaluation_stage.hpp"

namespace tarn {

struct ClassifierInput {
  const Config& config;
  const PreparedData& data;
  const RunFolder& folder;    ///< gets classifier.safetensors where one is trained here
  const ReferenceLaws& laws;  ///< of the data in scaled filter space
};

/// Draws `[n, D]` in scaled filter space; rows that are not finite are left out and counted.
struct JudgedDraws {
  MatrixView<const float> rows;
  std::string name;   ///< what the names of metrics end in
  std::string label;  ///< ", x_0": what a table's caption ends in
};

/// The outputs of the data's rows, without inputs.
Matrix<float> outputs_of(const PreparedData& data);

/// By the classifier of `evaluation.classifier` and data that it has not seen: Frechet distance of features, total variation of classes, confidence, beside
/// real data, mixture and one Gaussian; a table of classes for each set of draws. Nothing where no classifier is named. Throws `UsageError` for one that
/// does not fit.
void judge_by_classifier(const ClassifierInput& input, const std::vector<JudgedDraws>& draws,
                         EvaluationOutcome& outcome);

}  // namespace tarn
