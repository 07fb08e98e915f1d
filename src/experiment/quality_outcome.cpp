#include "quality_outcome.hpp"

#include <cmath>

#include "tarn/report/quality_figures.hpp"

namespace tarn {
namespace {

// Standard deviation behind a 95 % interval.
double deviation_of(const Interval& interval) { return (interval.high - interval.low) / (2.0 * 1.96); }

std::string name_of_mixture(const ReferenceLaws& laws) {
  return laws.mixture ? fmt::format("mixture of {}", laws.mixture->weights.size()) : std::string("mixture");
}

std::string text_of(double value) { return std::isnan(value) ? "n/a" : fmt::format("{:.3g}", value); }

ScaleBar bar(const Interval& interval) { return {interval.value, interval.low, interval.high}; }

}  // namespace

QualitySettings quality_settings(const Config& config) {
  QualitySettings settings;
  settings.seed = config.run.seed;
  settings.n_components = config.evaluation.mixture;
  return settings;
}

std::string interval_text(const Interval& i) {
  if (std::isnan(i.value)) return "n/a";
  return std::isnan(i.low) ? fmt::format("{:.3g}", i.value)
                           : fmt::format("{:.3g} [{:.3g},\u00a0{:.3g}]", i.value, i.low, i.high);
}

Metric quality_metric(const QualityFigure& f, std::string name, std::string label, const ReferenceLaws& laws) {
  std::string note = std::isnan(f.draws.low) ? "" : fmt::format("[{:.3g}, {:.3g}]; ", f.draws.low, f.draws.high);
  if (laws.mixture) note += fmt::format("{} {}, ", name_of_mixture(laws), text_of(f.mixture.value));
  note += fmt::format("one Gaussian {}; {} rows against {}", text_of(f.gaussian.value), f.n, f.n_reference);
  return {std::move(name), std::move(label), f.draws.value, f.real.value, deviation_of(f.real), std::move(note), f};
}

std::vector<std::string> quality_columns(const std::string& draws, const ReferenceLaws& laws) {
  std::vector<std::string> columns{"figure of merit", draws, "real data"};
  if (laws.mixture) columns.push_back(name_of_mixture(laws));
  columns.insert(columns.end(), {"one Gaussian", "rows", "reference rows"});
  return columns;
}

std::vector<std::string> quality_row(const QualityFigure& f, const ReferenceLaws& laws) {
  std::vector<std::string> row{f.label, interval_text(f.draws), interval_text(f.real)};
  if (laws.mixture) row.push_back(interval_text(f.mixture));
  row.insert(row.end(), {interval_text(f.gaussian), fmt::format("{}", f.n), fmt::format("{}", f.n_reference)});
  return row;
}

void add_quality(const QualitySpace& space, const std::vector<QualityFigure>& found, const ReferenceLaws& laws,
                 std::int64_t n_not_finite, const std::filesystem::path& figures, EvaluationOutcome& outcome) {
  ReportTable table;
  table.caption = fmt::format("Quality in {}", space.label);
  table.columns = quality_columns(space.draws, laws);
  QualityScale scale;
  scale.name = "quality_" + space.name;
  scale.title = table.caption;
  scale.sets = {space.draws, "real data", name_of_mixture(laws), "one Gaussian"};
  for (const QualityFigure& f : found) {
    outcome.metrics.push_back(
        quality_metric(f, f.name + "_" + space.name, fmt::format("{} in {}", f.label, space.label), laws));
    table.rows.push_back(quality_row(f, laws));
    scale.panels.push_back({f.label, {bar(f.draws), bar(f.real), bar(f.mixture), bar(f.gaussian)}});
  }
  table.note =
      "All columns against the same data, which the real data of the second column are not among; in brackets 95 % "
      "intervals by half-samples. Near 0 is good for distances, near the real data's value for the others.";
  if (laws.mixture) {
    table.note += fmt::format(" The mixture has full covariances, fitted to {} rows by {} steps of EM.",
                              laws.mixture->n_rows, laws.mixture->n_iterations);
  }
  if (n_not_finite > 0) table.note += fmt::format(" {} draws are not finite and were left out.", n_not_finite);
  outcome.tables.push_back(std::move(table));
  if (const FigureFile file = draw(figure_quality_scale(scale), figures)) {
    outcome.figures.push_back(
        {file.svg, fmt::format("Where {} lies in {}: between other data and one Gaussian with the "
                               "data's moments. Lines are 95 % intervals.",
                               space.draws, space.label)});
  }
}

}  // namespace tarn
