#include "tarn/evaluation/column_figures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "judged_sets.hpp"
#include "sorted_columns.hpp"
#include "tarn/core/error.hpp"
#include "tarn/evaluation/moments.hpp"
#include "tarn/evaluation/one_dimensional.hpp"

namespace tarn {
namespace {

constexpr std::int64_t most_reference = 10000, most_bins = 30, rows_a_bin = 10;

constexpr std::array<std::pair<const char*, const char*>, 5> kinds{{{"mean", "mean"},
                                                                    {"variance", "variance"},
                                                                    {"excess_kurtosis", "excess kurtosis"},
                                                                    {"w1", "W1"},
                                                                    {"kl", "KL of histograms"}}};

using Columns = std::vector<std::vector<float>>;

// The figures of all columns, in the order of `kinds` in each.
std::vector<double> statistics(const Columns& set, const Columns& reference, std::int64_t n_bins) {
  std::vector<double> values;
  for (std::size_t d = 0; d < set.size(); ++d) {
    const Moments m = moments(set[d]);
    values.insert(values.end(), {m.mean, m.variance, m.excess_kurtosis, wasserstein_1(set[d], reference[d]).value,
                                 equal_share_kl(set[d], reference[d], n_bins)});
  }
  return values;
}

}  // namespace

double equal_share_kl(std::span<const float> draws, std::span<const float> reference, std::int64_t n_bins) {
  require(n_bins >= 1, "a histogram needs a bin or more, found {}", n_bins);
  if (draws.empty() || reference.empty() || reference.front() == reference.back())
    return std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<double>(draws.size()), m = static_cast<double>(reference.size());
  // Shares of both in the bin that ends below `edge`, and where the next begins.
  std::span<const float> q = draws, p = reference;
  double kl = 0.0;
  const auto add = [&](std::size_t of_draws, std::size_t of_reference) {
    const double a = static_cast<double>(of_draws) / n, b = static_cast<double>(of_reference) / m;
    if (a > 0.0) kl += a * std::log(a / b);
    q = q.subspan(of_draws);
    p = p.subspan(of_reference);
  };
  for (std::int64_t k = 1; k < n_bins; ++k) {
    const float edge = reference[reference.size() * static_cast<std::size_t>(k) / static_cast<std::size_t>(n_bins)];
    if (edge == p.front()) continue;  // ties: the bin would have no row of the reference
    add(static_cast<std::size_t>(std::ranges::lower_bound(q, edge) - q.begin()),
        static_cast<std::size_t>(std::ranges::lower_bound(p, edge) - p.begin()));
  }
  add(q.size(), p.size());
  return kl;
}

std::vector<QualityFigure> column_figures(const ComparedSets& sets, std::int64_t most_columns,
                                          const QualitySettings& settings) {
  const auto sorted = [&](const Matrix<float>& rows) {
    return SortedColumns(rows.rows(), static_cast<std::size_t>(std::min(most_columns, rows.cols())),
                         [&](std::size_t d) { return column(rows, static_cast<std::int64_t>(d)); });
  };
  const SortedColumns reference = sorted(head(sets.reference, most_reference));
  const std::int64_t n_bins = std::clamp<std::int64_t>(reference.n_rows() / rows_a_bin, 1, most_bins);
  std::vector<QualityFigure> figures;
  for (std::size_t d = 0; d < reference.all().size(); ++d) {
    for (const auto& [name, label] : kinds)
      figures.push_back(empty_figure(fmt::format("{}_{}", name, d), fmt::format("{} of x_{}", label, d),
                                     sets.draws.rows(), reference.n_rows()));
  }
  for (const Judged& set : judged(sets)) {
    if (set.rows.rows() < 1) continue;
    const SortedColumns columns = sorted(set.rows);
    const std::int64_t n_rows[] = {columns.n_rows(), reference.n_rows()};
    const std::vector<Interval> intervals = half_sample_intervals(
        statistics(columns.all(), reference.all(), n_bins), n_rows, settings.seed, set.number, settings.n_resamples,
        [&](const HalfSample& half) { return statistics(columns.some(half[0]), reference.some(half[1]), n_bins); });
    for (std::size_t k = 0; k < figures.size(); ++k) figures[k].*set.figure = intervals[k];
  }
  return figures;
}

}  // namespace tarn
