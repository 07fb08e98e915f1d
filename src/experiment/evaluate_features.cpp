#include "tarn/experiment/evaluate_features.hpp"

#include "quality_outcome.hpp"
#include "tarn/compute/backend.hpp"
#include "tarn/core/isa.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/version.hpp"
#include "tarn/evaluation/column_figures.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {
namespace {

constexpr std::int64_t most_columns = 8;

FiniteRows read_rows(const std::filesystem::path& path, std::int64_t least, EvaluationOutcome& out) {
  FiniteRows rows = finite_rows(read_npy_matrix(path));
  const std::int64_t n = rows.rows.rows();
  if (n < least)
    fail_usage("{}: has {} finite rows and {} others; a comparison needs {} or more", path.string(), n,
               rows.n_not_finite, least);
  if (rows.n_not_finite > 0) {
    out.warnings.push_back(fmt::format("{}: {} of {} rows are not finite and were left out", path.string(),
                                       rows.n_not_finite, n + rows.n_not_finite));
  }
  return rows;
}

// The first columns one by one, beside the same sets as the figures of all columns.
void add_columns(const ComparedSets& sets, const ReferenceLaws& laws, const QualitySettings& settings,
                 EvaluationOutcome& out) {
  ReportTable table;
  table.caption = "Columns";
  table.columns = quality_columns("draws", laws);
  for (const QualityFigure& figure : column_figures(sets, most_columns, settings)) {
    out.metrics.push_back(quality_metric(figure, figure.name, figure.label, laws));
    table.rows.push_back(quality_row(figure, laws));
  }
  table.note =
      "W1 and KL against the reference, and near 0 where draws are as the data are; the others beside real data's "
      "value. Histograms have up "
      "to 30 bins of one share of the reference each, the outer ones open, so that all draws are in them. In brackets "
      "95 % intervals by "
      "half-samples.";
  const std::int64_t n = sets.reference.cols();
  if (n > most_columns) table.note += fmt::format(" The first {} of {} columns.", most_columns, n);
  out.tables.push_back(std::move(table));
}

}  // namespace

EvaluatedRun evaluate_features(const std::filesystem::path& real_path, const std::filesystem::path& fake_path,
                               const EvaluateFeaturesOptions& options) {
  EvaluationOutcome outcome;
  const FiniteRows real = read_rows(real_path, 4, outcome), fake = read_rows(fake_path, 2, outcome);
  if (real.rows.cols() != fake.rows.cols()) {
    fail_usage("{}: has {} columns, {} has {}; allowed: two arrays [n, D] of the same features", fake_path.string(),
               fake.rows.cols(), real_path.string(), real.rows.cols());
  }
  const auto backend = make_backend("cpu", options.n_threads);  // for the number of threads
  QualitySettings settings;
  settings.seed = options.seed;
  settings.n_components = options.mixture;
  outcome.add("rows_not_finite", "rows of draws that are not finite", static_cast<double>(fake.n_not_finite),
              fmt::format("of {}", fake.rows.rows() + fake.n_not_finite));
  outcome.add("rows_not_finite_real", "rows of real features that are not finite",
              static_cast<double>(real.n_not_finite), fmt::format("of {}", real.rows.rows() + real.n_not_finite));
  const ReferenceLaws laws = fit_reference_laws(real.rows, settings);
  const ComparedSets sets = compared_sets(fake.rows, real.rows, laws, settings);

  const RunFolder folder = RunFolder::create_numbered(options.out, "features");
  try {
    const QualitySpace space{"features", fmt::format("features, D = {}", real.rows.cols()), "draws"};
    add_quality(space, quality_figures(sets, settings), laws, fake.n_not_finite, folder.figures(), outcome);
    add_columns(sets, laws, settings, outcome);
    write_metrics(folder, outcome);
    Report report;
    report.title = "Features";
    report.summary = fmt::format("{} ({} rows) against {} ({} rows), D = {}.", fake_path.filename().string(),
                                 fake.rows.rows(), real_path.filename().string(), real.rows.rows(), real.rows.cols());
    report.warnings = outcome.warnings;
    report.sections.push_back(
        {.heading = "Results", .text = {}, .tables = outcome.tables, .figures = outcome.figures, .preformatted = {}});
    report.footer =
        fmt::format("tarn {}, seed {}, {}, {}", version(), options.seed, backend->name(), name_of(current_isa()));
    write_report(folder.report(), report);
  } catch (...) {
    std::filesystem::remove_all(folder.path());  // nothing half-written
    throw;
  }
  info("the report is {}", folder.report().string());
  return {folder.path(), outcome.metrics};
}

}  // namespace tarn
