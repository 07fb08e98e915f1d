#include "tarn/experiment/evaluate_features.hpp"

#include <algorithm>
#include <cmath>

#include "quality_outcome.hpp"
#include "tarn/compute/backend.hpp"
#include "tarn/core/isa.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/version.hpp"
#include "tarn/evaluation/moments.hpp"
#include "tarn/evaluation/one_dimensional.hpp"
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

// The first columns one by one: moments, W1, and KL of histograms over the range of the real column.
void add_columns(MatrixView<const float> fake, MatrixView<const float> real, EvaluationOutcome& out) {
  ReportTable table;
  table.caption = "Columns";
  table.columns = {"column", "mean", "real", "variance", "real", "excess kurtosis", "real", "W1", "KL of histograms"};
  const auto text = [](double value) { return std::isnan(value) ? std::string("n/a") : fmt::format("{:.4g}", value); };
  for (std::int64_t d = 0; d < std::min(real.cols, most_columns); ++d) {
    const std::vector<float> ours = column(fake, d);
    std::vector<float> theirs = column(real, d);
    const Moments a = moments(ours), b = moments(theirs);
    const double w1 = wasserstein_1(ours, theirs).value;
    double kl = std::nan("");
    if (b.smallest < b.largest) {
      std::sort(theirs.begin(), theirs.end());
      const auto cdf = [&](double x) {
        const auto below = std::upper_bound(theirs.begin(), theirs.end(), x,
                                            [](double value, float element) { return value < element; });
        return static_cast<double>(below - theirs.begin()) / static_cast<double>(theirs.size());
      };
      const double edge = 1e-6 * (b.largest - b.smallest);  // the smallest value belongs to the first bin
      kl = histogram_kl(histogram(ours, {30, b.smallest - edge, b.largest}), cdf).raw;
    }
    table.rows.push_back({fmt::format("x_{}", d), text(a.mean), text(b.mean), text(a.variance), text(b.variance),
                          text(a.excess_kurtosis), text(b.excess_kurtosis), text(w1), text(kl)});
    out.add(fmt::format("w1_{}", d), fmt::format("W1 along x_{}", d), w1);
    out.add(fmt::format("kl_{}", d), fmt::format("KL of histograms of x_{}", d), kl);
    out.add(fmt::format("excess_kurtosis_{}", d), fmt::format("excess kurtosis of x_{}", d), a.excess_kurtosis,
            fmt::format("real: {:.4g}", b.excess_kurtosis));
  }
  table.note =
      "Histograms of 30 bins over the range of the real column; what lies outside is not in them. Infinite: draws lie "
      "in a "
      "bin without data.";
  if (real.cols > most_columns) table.note += fmt::format(" The first {} of {} columns.", most_columns, real.cols);
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
    add_columns(fake.rows, real.rows, outcome);
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
