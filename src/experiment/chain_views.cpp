#include "chain_views.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tarn/evaluation/autocorrelation.hpp"
#include "tarn/evaluation/rank_bins.hpp"

namespace tarn {
namespace {

constexpr std::int64_t n_bins = 20;           // as ArviZ's rank plots
constexpr std::size_t most_ranked = 2;        // outputs
constexpr std::size_t most_correlated = 4;    // outputs
constexpr std::int64_t n_parts = 4;           // chains, or blocks of them, and stretches of time
constexpr std::int64_t fewest_in_chain = 40;  // draws from which a histogram of one chain says something
constexpr std::int64_t most_values = std::int64_t{1} << 21;

// Chains that are finite throughout, as many as make up `most_values` draws.
Matrix<float> finite_chains(const Matrix<float>& draws) {
  const std::int64_t most = std::max<std::int64_t>(n_parts, most_values / std::max<std::int64_t>(draws.cols(), 1));
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = 0; i < draws.rows() && static_cast<std::int64_t>(chosen.size()) < most; ++i) {
    const float* x = draws.row(i);
    if (std::all_of(x, x + draws.cols(), [](float v) { return std::isfinite(v); })) chosen.push_back(i);
  }
  Matrix<float> out(static_cast<std::int64_t>(chosen.size()), draws.cols());
  for (std::int64_t i = 0; i < out.rows(); ++i)
    std::copy_n(draws.row(chosen[static_cast<std::size_t>(i)]), out.cols(), out.row(i));
  return out;
}

RankShares shares_of(const Matrix<int>& bins, std::string name, std::int64_t chain_begin, std::int64_t chain_end,
                     std::int64_t draw_begin, std::int64_t draw_end) {
  RankShares r{std::move(name), std::vector<double>(n_bins, 0.0), 0.0};
  const double m = static_cast<double>((chain_end - chain_begin) * (draw_end - draw_begin));
  for (std::int64_t i = chain_begin; i < chain_end; ++i) {
    for (std::int64_t t = draw_begin; t < draw_end; ++t)
      r.shares[static_cast<std::size_t>(bins(i, t))] += static_cast<double>(n_bins) / m;
  }
  r.deviation = std::sqrt(static_cast<double>(n_bins - 1) / m);
  return r;
}

RankPlot rank_plot(const std::string& name, const Matrix<float>& draws) {
  const Matrix<int> bins = rank_bins(draws, n_bins);
  const std::int64_t n = draws.rows(), T = draws.cols(), parts = std::min(n_parts, n);
  RankPlot plot{name, {}, {}};
  for (std::int64_t k = 0; k < parts; ++k) {
    if (T >= fewest_in_chain) {
      plot.chains.push_back(shares_of(bins, fmt::format("chain {}", k), k, k + 1, 0, T));
    } else {
      const std::int64_t a = k * n / parts, b = (k + 1) * n / parts;
      plot.chains.push_back(shares_of(bins, fmt::format("chains {} to {}", a, b - 1), a, b, 0, T));
    }
  }
  const char* const words[n_parts] = {"first quarter", "second", "third", "last"};
  for (std::int64_t k = 0; k < n_parts; ++k)
    plot.stretches.push_back(shares_of(bins, words[k], 0, n, k * T / n_parts, (k + 1) * T / n_parts));
  return plot;
}

double spacing(const std::vector<double>& times) {
  std::vector<double> gaps;
  for (std::size_t i = 1; i < times.size(); ++i) gaps.push_back(times[i] - times[i - 1]);
  std::nth_element(gaps.begin(), gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2), gaps.end());
  return gaps[gaps.size() / 2];
}

}  // namespace

void add_rank_and_autocorrelation(const ChainView& view, const std::string& source, const RunFolder& folder,
                                  EvaluationOutcome& out) {
  std::vector<RankPlot> ranks;
  std::vector<ReportCurve> correlations;
  const std::int64_t T = static_cast<std::int64_t>(view.steps.size());
  if (T < n_parts) return;
  const double gap = spacing(view.times);
  std::int64_t lags = 10;
  for (std::size_t k = 0; k < std::min(view.outputs.size(), most_correlated); ++k) {
    const AutocorrelationTime time = integrated_autocorrelation_time(view.outputs[k].view());
    if (std::isfinite(time.time)) lags = std::max(lags, static_cast<std::int64_t>(4.0 * time.time));
  }
  lags = std::min({lags, T / 2, std::int64_t{400}});
  for (std::size_t k = 0; k < view.outputs.size(); ++k) {
    if (k < most_ranked) {
      const Matrix<float> finite = finite_chains(view.outputs[k]);
      if (finite.rows() > 0) ranks.push_back(rank_plot(view.names[k], finite));
    }
    if (k >= most_correlated) continue;
    const std::vector<double> rho = autocorrelation(view.outputs[k].view(), lags);
    if (rho.empty()) continue;
    const AutocorrelationTime time = integrated_autocorrelation_time(view.outputs[k].view());
    ReportCurve c;
    c.plot = "autocorrelation";
    c.name = fmt::format("{}, integrated {:.3g} τ{}", view.names[k], gap * time.time, time.settled ? "" : " or more");
    c.x_label = "lag / τ";
    c.y_label = "autocorrelation";
    for (std::size_t lag = 0; lag < rho.size(); ++lag) c.x.push_back(gap * static_cast<double>(lag));
    c.y = rho;
    correlations.push_back(std::move(c));
  }
  if (!ranks.empty()) {
    if (const FigureFile file = draw(figure_ranks(ranks), folder.figures())) {
      out.figures.push_back(
          {file.svg,
           fmt::format("Rank plots of {}: where a part's draws rank among all of them. Parts that follow one law are "
                       "even; draws of one chain depend on each other and may stray further than the band. On the "
                       "right all chains, by quarters of the time: a quarter of another shape says that the law still "
                       "changes.",
                       source),
           false, convergence_heading});
    }
  }
  if (!correlations.empty()) {
    if (const FigureFile file = draw(figure_autocorrelation(correlations), folder.figures())) {
      out.figures.push_back({file.svg,
                             fmt::format("Autocorrelation along {}, in the mean over them; the integrated time is "
                                         "that after which a further draw is worth an independent one.",
                                         source),
                             false, convergence_heading});
    }
  }
}

void add_traces(const ChainView& view, const std::vector<Marker>& levels, const std::string& caption,
                const RunFolder& folder, EvaluationOutcome& out) {
  constexpr std::size_t most_traced = 2, most_lines = 4;
  std::vector<ChainTraces> traces;
  for (std::size_t k = 0; k < std::min(view.outputs.size(), most_traced); ++k) {
    const Matrix<float>& x = view.outputs[k];
    ChainTraces t{view.names[k], {}, {}};
    for (const std::int64_t step : view.steps) t.steps.push_back(static_cast<double>(step));
    for (std::int64_t i = 0; i < std::min<std::int64_t>(x.rows(), most_lines); ++i)
      t.chains.emplace_back(x.row(i), x.row(i) + x.cols());
    traces.push_back(std::move(t));
  }
  if (traces.empty()) return;
  if (const FigureFile file = draw(figure_traces(traces, levels), folder.figures()))
    out.figures.push_back({file.svg, caption, false, convergence_heading});
}

}  // namespace tarn
