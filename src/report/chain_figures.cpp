#include "tarn/report/chain_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr std::size_t most_shown = 1000;  // points of a trace
const std::vector<std::string> chain_colors{colors::learned, colors::other, colors::third, colors::fourth};
const std::vector<std::string> time_colors{"#c6dbef", "#6baed6", "#2171b5", "#08306b"};  // early to late

std::vector<double> middles(std::size_t n_bins) {
  std::vector<double> x;
  for (std::size_t i = 0; i < n_bins; ++i) x.push_back((static_cast<double>(i) + 0.5) / static_cast<double>(n_bins));
  return x;
}

Panel rank_panel(double top) {
  Panel p;
  p.x_range = AxisRange{0.0, 1.0};
  p.y_range = AxisRange{0.0, top};
  return p;
}

}  // namespace

Figure figure_traces(const std::vector<ChainTraces>& outputs, const std::vector<Marker>& levels) {
  require(!outputs.empty(), "a figure of traces needs an output");
  Figure f;
  f.name = std::string("traces");
  f.title = std::string("Traces");
  f.width = 950;
  f.height = 190 * static_cast<int>(outputs.size()) + 110;
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    const ChainTraces& output = outputs[k];
    Panel p;
    p.y_label = output.name;
    if (k + 1 == outputs.size()) p.x_label = std::string("step");
    if (!output.steps.empty()) p.x_range = AxisRange{0.0, std::max(output.steps.back(), 1.0)};
    p.markers = levels;
    if (k > 0) {
      for (Marker& m : p.markers) m.text.clear();
    }
    const std::size_t every = (output.steps.size() + most_shown - 1) / most_shown;
    double low = INFINITY, high = -INFINITY;
    for (std::size_t c = 0; c < std::min(output.chains.size(), chain_colors.size()); ++c) {
      require(output.chains[c].size() == output.steps.size(), "traces of {}: {} steps, {} draws", output.name,
              output.steps.size(), output.chains[c].size());
      Series s{fmt::format("chain {}", c), {}, {}, Mark::line, chain_colors[c], 1.0, {}};
      for (std::size_t i = 0; i < output.steps.size(); i += every) {
        s.x.push_back(output.steps[i]);
        s.y.push_back(output.chains[c][i]);
        if (std::isfinite(s.y.back())) low = std::min(low, s.y.back()), high = std::max(high, s.y.back());
      }
      p.series.push_back(std::move(s));
    }
    if (low < high) p.y_range = AxisRange{low - 0.06 * (high - low), high + 0.06 * (high - low)};
    f.panels.push_back(std::move(p));
  }
  return f;
}

Figure figure_ranks(const std::vector<RankPlot>& outputs) {
  require(!outputs.empty() && !outputs[0].chains.empty(), "a figure of ranks needs an output and a chain");
  Figure f;
  f.name = std::string("ranks");
  f.title = std::string("Ranks among all draws");
  f.width = 950;
  f.height = 190 * static_cast<int>(outputs.size()) + 130;
  f.columns = static_cast<int>(std::min<std::size_t>(outputs[0].chains.size(), 4)) + 1;
  double top = 2.0;
  for (const RankPlot& o : outputs) {
    for (const auto* shares : {&o.chains, &o.stretches}) {
      for (const RankShares& r : *shares)
        top = std::max(top, 1.08 * *std::max_element(r.shares.begin(), r.shares.end()));
    }
  }
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    const RankPlot& o = outputs[k];
    const bool last = k + 1 == outputs.size();
    for (std::size_t c = 0; c + 1 < static_cast<std::size_t>(f.columns) && c < o.chains.size(); ++c) {
      const RankShares& r = o.chains[c];
      Panel p = rank_panel(top);
      p.title = fmt::format("{}, {}", o.name, r.name);
      if (c == 0) p.y_label = std::string("relative frequency");
      if (last) p.x_label = std::string("rank / draws");
      p.series.push_back({"ranks", middles(r.shares.size()), r.shares, Mark::bars, colors::draws, 1.0, {}});
      const double half = 1.96 * r.deviation;
      for (const double at : {std::max(0.0, 1.0 - half), 1.0 + half})
        p.series.push_back({"95 % of even ranks", {0.0, 1.0}, {at, at}, Mark::dashed, colors::truth, 1.0, {}});
      f.panels.push_back(std::move(p));
    }
    Panel p = rank_panel(top);
    p.title = fmt::format("{}, by time", o.name);
    if (last) p.x_label = std::string("rank / draws");
    for (std::size_t s = 0; s < std::min(o.stretches.size(), time_colors.size()); ++s) {
      const RankShares& r = o.stretches[s];
      p.series.push_back({r.name, middles(r.shares.size()), r.shares, Mark::line, time_colors[s], 2.0, {}});
    }
    f.panels.push_back(std::move(p));
  }
  return f;
}

Figure figure_autocorrelation(const std::vector<ReportCurve>& outputs) {
  Figure f = figure_curves("autocorrelation", "Autocorrelation", outputs);
  Panel& p = f.panels[0];
  double low = 0.0;
  for (const ReportCurve& c : outputs) {
    for (const double y : c.y) {
      if (std::isfinite(y)) low = std::min(low, y);
    }
  }
  p.y_range = AxisRange{low - 0.05, 1.05};
  if (p.x_range)
    p.series.insert(p.series.begin(),
                    {"", {p.x_range->first, p.x_range->second}, {0.0, 0.0}, Mark::line, "#9aa5b1", 1.0, {}});
  f.height = 360;
  return f;
}

}  // namespace tarn
