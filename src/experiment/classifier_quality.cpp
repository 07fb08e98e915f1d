#include "classifier_quality.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "labelled_images.hpp"
#include "quality_outcome.hpp"
#include "tarn/core/log.hpp"
#include "tarn/training/classifier.hpp"

namespace tarn {
namespace {

// The run's own classifier, or that of a file; images of the run must be such as it takes.
Classifier classifier_of(const ClassifierInput& in) {
  const std::string& source = in.config.evaluation.classifier;
  if (source != "auto") {
    Classifier classifier = load_classifier(source);
    if (classifier.n_inputs() != in.data.filter->n_inputs()) {
      fail_usage("{}: takes images of {} values, those of the run have {}", source, classifier.n_inputs(),
                 in.data.filter->n_inputs());
    }
    return classifier;
  }
  const Dataset set = read_items(in.config);
  ClassifierFit fit;
  fit.batch_size = std::min(fit.batch_size, set.x.rows() - set.x.rows() / 2);
  Classifier classifier = fit_classifier(set.x, set.labels, fit, in.config.run.seed);
  save_classifier(classifier, in.folder.path() / "classifier.safetensors");
  return classifier;
}

// What the classifier says of the sets of a comparison.
struct JudgedSets {
  ComparedSets features;
  ImageJudgement draws, real, mixture, gaussian, reference;
};

JudgedSets judge(const ComparedSets& sets, const PreparedData& data, const Classifier& classifier) {
  JudgedSets result;
  const auto of = [&](const Matrix<float>& rows, ImageJudgement& judgement, Matrix<float>& features) {
    if (rows.rows() == 0) return;
    judgement = classifier.judge(data.to_data_units(rows));
    features = judgement.features;
  };
  of(sets.draws, result.draws, result.features.draws);
  of(sets.real, result.real, result.features.real);
  of(sets.mixture, result.mixture, result.features.mixture);
  of(sets.gaussian, result.gaussian, result.features.gaussian);
  of(sets.reference, result.reference, result.features.reference);
  return result;
}

using Statistic = std::function<double(const ImageJudgement&, std::span<const std::int64_t>)>;

// A statistic of classes or confidences, for each set with its interval.
QualityFigure figure_of(const std::string& name, const std::string& label, const JudgedSets& sets,
                        const QualitySettings& settings, const Statistic& statistic) {
  const Interval none{std::nan(""), std::nan(""), std::nan("")};
  QualityFigure figure{name, label, none, none, none, none, sets.features.draws.rows(), sets.features.reference.rows()};
  std::uint64_t number = 0;
  for (const auto& pair : {std::pair(&sets.draws, &figure.draws), std::pair(&sets.real, &figure.real),
                           std::pair(&sets.mixture, &figure.mixture), std::pair(&sets.gaussian, &figure.gaussian)}) {
    const ImageJudgement* const set = pair.first;
    const std::int64_t n_rows[] = {static_cast<std::int64_t>(set->classes.size())};
    std::vector<std::int64_t> all;
    for (std::int64_t i = 0; i < n_rows[0]; ++i) all.push_back(i);
    const std::uint64_t own = number++;
    if (all.empty()) continue;
    *pair.second =
        half_sample_intervals({statistic(*set, all)}, n_rows, settings.seed, own, settings.n_resamples,
                              [&](const HalfSample& half) { return std::vector{statistic(*set, half[0])}; })[0];
  }
  return figure;
}

std::vector<double> shares(const ImageJudgement& judgement, std::span<const std::int64_t> rows, std::size_t n_classes) {
  std::vector<double> result(n_classes, 0.0);
  for (const std::int64_t i : rows) {
    const int k = judgement.classes[static_cast<std::size_t>(i)];
    if (k >= 0) result[static_cast<std::size_t>(k)] += 1.0 / static_cast<double>(rows.size());
  }
  return result;
}

std::vector<double> all_shares(const ImageJudgement& judgement, std::size_t n_classes) {
  std::vector<std::int64_t> all;
  for (std::size_t i = 0; i < judgement.classes.size(); ++i) all.push_back(static_cast<std::int64_t>(i));
  return shares(judgement, all, n_classes);
}

void class_table(const std::string& caption, const Classifier& classifier, const JudgedSets& sets,
                 EvaluationOutcome& out) {
  ReportTable table;
  table.caption = caption;
  table.columns = {"class", "this run", "real data"};
  const bool has_mixture = !sets.mixture.classes.empty();
  if (has_mixture) table.columns.emplace_back("mixture");
  table.columns.emplace_back("one Gaussian");
  const std::size_t n = classifier.labels.size();
  std::vector<std::vector<double>> columns{all_shares(sets.draws, n), all_shares(sets.reference, n)};
  if (has_mixture) columns.push_back(all_shares(sets.mixture, n));
  columns.push_back(all_shares(sets.gaussian, n));
  for (std::size_t k = 0; k < n; ++k) {
    table.rows.push_back({fmt::format("{}", classifier.labels[k])});
    for (const auto& column : columns) table.rows.back().push_back(fmt::format("{:.2f} %", 100.0 * column[k]));
  }
  table.note = fmt::format(
      "What the classifier names {} draws. It was trained on {} images with seed {} and names {:.2f} % of {} "
      "others as they are labelled.",
      sets.draws.classes.size(), classifier.n_rows - classifier.n_rows / 2, classifier.seed,
      100.0 * classifier.accuracy, classifier.n_rows / 2);
  out.tables.push_back(std::move(table));
}

}  // namespace

// The outputs of the data's rows, without inputs.
Matrix<float> outputs_of(const PreparedData& data) {
  Matrix<float> rows(data.rows.rows(), data.n_outputs);
  for (std::int64_t i = 0; i < rows.rows(); ++i) std::copy_n(data.rows.row(i), rows.cols(), rows.row(i));
  return rows;
}

void judge_by_classifier(const ClassifierInput& in, const std::vector<JudgedDraws>& all_draws, EvaluationOutcome& out) {
  if (in.config.evaluation.classifier.empty()) return;
  const Matrix<float> real = outputs_of(in.data);
  const QualitySettings settings = quality_settings(in.config);
  const bool own = in.config.evaluation.classifier == "auto";
  if (own && (in.data.labels.empty() || in.data.patches)) {
    out.warnings.push_back("evaluation.classifier = \"auto\": the images have no labels, so none was trained");
    return;
  }
  const Classifier classifier = classifier_of(in);
  info("classifier: names {:.2f} % of {} images that it has not seen as they are labelled", 100.0 * classifier.accuracy,
       classifier.n_rows / 2);
  out.add("classifier_accuracy", "accuracy of the classifier on images not trained on", classifier.accuracy,
          fmt::format("{} images", classifier.n_rows / 2));
  // Real images that the classifier was not trained on, seen through the run's filter as the draws are.
  const bool same_set = classifier.n_rows == real.rows();
  if (!same_set) {
    out.warnings.push_back(
        fmt::format("the classifier was trained on a set of {} images, the run has {}: images that it "
                    "has seen may be among the real ones",
                    classifier.n_rows, real.rows()));
  }
  const Matrix<float> unseen = same_set ? gather_rows(real, classifier.held_out_rows()) : real;
  if (unseen.rows() < 4) {
    out.warnings.push_back(
        fmt::format("evaluation.classifier: only {} images are left to compare with", unseen.rows()));
    return;
  }
  const std::size_t n_classes = classifier.labels.size();
  for (const JudgedDraws& draws : all_draws) {
    const ComparedSets compared = compared_sets(draws.rows, unseen, in.laws, settings);
    if (compared.draws.rows() < 2) continue;
    const JudgedSets judged = judge(compared, in.data, classifier);
    const std::vector<double> expected = all_shares(judged.reference, n_classes);
    std::vector<QualityFigure> figures{frechet_figure(judged.features, settings)};
    figures.push_back(figure_of("class_tv", "classes: total variation", judged, settings,
                                [&](const ImageJudgement& set, std::span<const std::int64_t> rows) {
                                  const std::vector<double> found = shares(set, rows, n_classes);
                                  double sum = 0.0;
                                  for (std::size_t k = 0; k < n_classes; ++k)
                                    sum += 0.5 * std::abs(found[k] - expected[k]);
                                  return sum;
                                }));
    figures.push_back(figure_of("confidence", "mean confidence", judged, settings,
                                [](const ImageJudgement& set, std::span<const std::int64_t> rows) {
                                  double sum = 0.0;
                                  for (const std::int64_t i : rows) sum += set.confidence[static_cast<std::size_t>(i)];
                                  return sum / static_cast<double>(rows.size());
                                }));
    const std::string label =
        fmt::format("the features of a classifier, D = {}{}", classifier.n_features(), draws.label);
    add_quality({draws.name, label}, figures, in.laws, compared.n_not_finite, in.folder.figures(), out);
    class_table(fmt::format("Classes, {}", label), classifier, judged, out);
  }
}

}  // namespace tarn
