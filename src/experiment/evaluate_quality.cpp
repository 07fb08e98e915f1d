#include "classifier_quality.hpp"
#include "quality_outcome.hpp"

namespace tarn {

void evaluate_quality(const EvaluationInput& in, MatrixView<const float> continued, EvaluationOutcome& out) {
  const Matrix<float>& draws = in.sampling.result.last_draw;
  const Matrix<float> real = outputs_of(in.data);
  if (real.rows() < 4 || draws.rows() == in.sampling.result.n_quarantined) return;
  const QualitySettings settings = quality_settings(in.config);
  const ReferenceLaws laws = fit_reference_laws(real, settings);
  const ComparedSets sets = compared_sets(draws, real, laws, settings);
  add_quality({"filter_space", fmt::format("filter space, D = {}", in.data.n_outputs)}, quality_figures(sets, settings),
              laws, sets.n_not_finite, in.folder.figures(), out);

  std::vector<JudgedDraws> judged{{draws, "classifier", ""}};
  if (continued.rows > 0)
    judged.push_back({continued, "classifier_continued", ", after further steps at the last level"});
  judge_by_classifier({in.config, in.data, in.folder, laws}, judged, out);
}

}  // namespace tarn
