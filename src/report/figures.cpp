#include "tarn/report/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

// Texts are assigned as std::string(...): GCC 12 warns of an overlap that is not there otherwise (GCC bug 105651).
constexpr std::size_t most_levels = 12;

Series curve(const std::string& name, const Curve& c, Mark mark, const std::string& color, double width = 2.0) {
  return {name, c.x, c.y, mark, color, width, {}};
}

// Smallest range that holds the finite values of `y`.
struct Extent {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void take(const std::vector<double>& values) {
    for (const double v : values) {
      if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
    }
  }
  bool empty() const { return !(low <= high); }
  std::optional<AxisRange> widened(double share) const {
    if (empty()) return {};
    const double margin = high > low ? (high - low) * share : std::max(std::abs(low) * share, 1e-3);
    return AxisRange{low - margin, high + margin};
  }
};

std::vector<std::size_t> spread(std::size_t n) {
  std::vector<std::size_t> chosen;
  const std::size_t count = std::min(n, most_levels);
  for (std::size_t i = 0; i < count; ++i)
    chosen.push_back(count == n ? i : (i * (n - 1) + (count - 1) / 2) / (count - 1));
  return chosen;
}

}  // namespace

Figure figure_score_levels(const std::vector<ScoreLevel>& levels) {
  require(!levels.empty(), "a figure of score levels needs one level or more");
  std::vector<ScoreLevel> sorted = levels;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.sigma > b.sigma; });
  const std::vector<std::size_t> chosen = spread(sorted.size());
  // the true scores set the scale: one level that went wrong must not flatten the others
  Extent x, y, y_learned;
  for (const std::size_t i : chosen) {
    x.take(sorted[i].learned.x);
    y.take(sorted[i].truth.y);
    y_learned.take(sorted[i].learned.y);
  }
  Figure f;
  f.name = std::string("score_levels");
  f.title = std::string("Learned score at each noise level");
  const int n = static_cast<int>(chosen.size());
  f.columns = n <= 4 ? n : n == 5 || n == 6 || n == 9 ? 3 : n <= 8 || n > 10 ? 4 : 5;
  const int rows = (n + f.columns - 1) / f.columns;
  f.width = f.columns >= 3 ? 950 : f.columns == 2 ? 760 : 560;
  f.height = (f.columns >= 4 ? 205 : 250) * rows + (rows == 1 ? 130 : 90);
  for (int k = 0; k < n; ++k) {
    const ScoreLevel& level = sorted[chosen[static_cast<std::size_t>(k)]];
    Panel p;
    p.title = fmt::format("σ = {:.3g}", level.sigma);
    if (k + f.columns >= n) p.x_label = std::string("x");
    if (k % f.columns == 0) p.y_label = std::string("score");
    if (!x.empty()) p.x_range = AxisRange{x.low, x.high};
    p.y_range = (y.empty() ? y_learned : y).widened(0.12);
    p.series = {curve("learned", level.learned, Mark::line, colors::learned, 3.0),
                curve("true score of the data smoothed by σ", level.truth, Mark::dashed, colors::truth, 1.3)};
    f.panels.push_back(std::move(p));
  }
  return f;
}

Figure figure_density(const DensityCurves& c) {
  Figure f;
  f.name = std::string("density");
  f.title = std::string("Density");
  Panel p;
  p.x_label = c.x_label;
  p.y_label = std::string("probability density");
  Extent x, y;
  for (const Curve* curve : {&c.bars, &c.target, &c.smoothed, &c.stationary}) y.take(curve->y);
  x.take(c.bars.empty() ? c.target.x : c.bars.x);
  if (!x.empty()) p.x_range = AxisRange{x.low, x.high};
  if (!c.bars.empty() && c.bars.x.size() > 1 && p.x_range) {
    const double half = (c.bars.x[1] - c.bars.x[0]) / 2.0;
    p.x_range->first -= half;
    p.x_range->second += half;
  }
  if (!y.empty()) p.y_range = AxisRange{0.0, y.high * 1.06 + 1e-12};
  const auto add = [&](const std::string& name, const Curve& data, Mark mark, const std::string& color, double width) {
    if (!data.empty()) p.series.push_back(curve(name, data, mark, color, width));
  };
  add(c.bars_name, c.bars, Mark::bars, colors::draws, 1.0);
  add("data", c.target, Mark::line, colors::truth, 1.6);
  add("data smoothed by the last σ", c.smoothed, Mark::dashed, colors::third, 2.4);
  add("stationary law of the learned score", c.stationary, Mark::line, colors::other, 1.8);
  f.panels.push_back(std::move(p));
  return f;
}

Figure figure_training(const TrainingCurve& c) {
  const std::size_t n = c.step.size();
  require(c.excess.size() == n && c.sigma.size() == n && (c.exact.empty() || c.exact.size() == n) && c.dimension >= 1,
          "a training curve needs an excess loss and a noise level a step, found {} steps, {}, {} and {} exact values",
          n, c.excess.size(), c.sigma.size(), c.exact.size());
  const bool scaled = c.dimension > 2;
  const auto shown = [&](double excess, double sigma) {
    return scaled ? 1.0 + 2.0 * sigma * sigma * excess / static_cast<double>(c.dimension) : excess;
  };
  Figure f;
  f.name = std::string("training");
  f.title = std::string(scaled ? "Training: share of the noise left unexplained" : "Training: excess loss");
  f.height = 400;
  Panel p;
  p.x_label = std::string("training step");
  p.y_label = std::string(scaled ? "1 + 2 σ² excess loss / D" : "excess loss");
  Series mean{"mean", {}, {}, Mark::line, colors::learned, 2.0, {}};
  Series band{"10-90 % of the steps", {}, {}, Mark::band, "#d6e6f4", 1.0, {}};
  Series exact{"exact score", {}, {}, Mark::dashed, colors::truth, 1.3, {}};
  std::vector<std::pair<double, double>> starts;  // step and sigma of each level
  Extent y;
  const std::size_t stretches = scaled ? 300 : 120;  // in few dimensions the loss is noisier
  const std::size_t stretch = std::max<std::size_t>(1, (n + stretches - 1) / stretches);
  std::vector<double> values;
  for (std::size_t begin = 0; begin < n;) {
    if (starts.empty() || c.sigma[begin] != starts.back().second) {
      // a gap, so that no line joins two levels
      if (!starts.empty()) {
        for (Series* s : {&mean, &band, &exact}) s->x.push_back(c.step[begin]), s->y.push_back(std::nan(""));
        band.y2.push_back(std::nan(""));
      }
      starts.emplace_back(c.step[begin], c.sigma[begin]);
    }
    values.clear();
    std::size_t end = begin;
    while (end < n && end - begin < stretch && c.sigma[end] == c.sigma[begin]) {
      values.push_back(shown(c.excess[end], c.sigma[end]));
      ++end;
    }
    const double middle = (c.step[begin] + c.step[end - 1]) / 2.0;
    for (Series* s : {&mean, &band}) s->x.push_back(middle);
    if (!c.exact.empty()) {
      for (const std::size_t i : {begin, end - 1}) {
        exact.x.push_back(c.step[i]);
        exact.y.push_back(shown(c.exact[i], c.sigma[i]));
      }
    }
    // a loss that is not finite leaves a gap
    if (std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); })) {
      double sum = 0.0;
      for (const double v : values) sum += v;
      std::sort(values.begin(), values.end());
      const auto quantile = [&](double share) {
        return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
      };
      mean.y.push_back(sum / static_cast<double>(values.size()));
      band.y.push_back(quantile(0.1));
      band.y2.push_back(quantile(0.9));
    } else {
      for (std::vector<double>* v : {&mean.y, &band.y, &band.y2}) v->push_back(std::nan(""));
    }
    begin = end;
  }
  if (c.exact.empty()) exact = {};
  // the bulk of the means sets the scale, not the first steps of a level
  std::vector<double> sorted;
  std::copy_if(mean.y.begin(), mean.y.end(), std::back_inserter(sorted), [](double v) { return std::isfinite(v); });
  std::sort(sorted.begin(), sorted.end());
  const std::size_t cut = sorted.size() / 40;
  y.take({sorted.begin() + static_cast<std::ptrdiff_t>(cut), sorted.end() - static_cast<std::ptrdiff_t>(cut)});
  y.take(exact.y);
  if (const auto range = y.widened(0.25)) p.y_range = range;
  if (n > 0) p.x_range = AxisRange{0.0, std::max(c.step.back(), 1.0)};
  const std::size_t every = std::max<std::size_t>(1, (starts.size() + 9) / 10);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    p.markers.push_back({starts[i].first, i % every == 0 ? fmt::format("σ {:.2g}", starts[i].second) : ""});
  }
  if (stretch > 1) p.series.push_back(std::move(band));
  p.series.push_back(std::move(mean));
  if (!exact.x.empty()) p.series.push_back(std::move(exact));
  f.panels.push_back(std::move(p));
  return f;
}

Figure figure_comparison(const std::vector<ComparedModel>& models, const Curve& true_score, const Curve& true_density) {
  require(!models.empty() && models.size() <= 8, "a comparison shows 1 to 8 networks, found {}", models.size());
  const int n = static_cast<int>(models.size());
  Figure f;
  f.name = std::string("comparison");
  f.title = std::string("What each network can represent");
  f.columns = n;
  f.width = n <= 1 ? 560 : n == 2 ? 760 : n == 3 ? 950 : 270 * n + 80;
  f.height = 640;
  Extent x, score, density;
  x.take(true_score.x);
  score.take(true_score.y);
  density.take(true_density.y);
  double tallest = density.empty() ? 0.0 : density.high * 1.1;
  for (const ComparedModel& m : models) {
    Extent own;
    own.take(m.bars.y);
    own.take(m.density.y);
    if (own.empty()) continue;
    tallest = density.empty() ? std::max(tallest, own.high * 1.1)
                              : std::max(tallest, std::min(own.high, 2.0 * density.high) * 1.1);
  }
  for (int row = 0; row < 2; ++row) {
    for (int k = 0; k < n; ++k) {
      const ComparedModel& m = models[static_cast<std::size_t>(k)];
      Panel p;
      if (!x.empty()) p.x_range = AxisRange{x.low, x.high};
      if (row == 0) {
        p.title = m.name;
        if (k == 0) p.y_label = std::string("score");
        p.y_range = score.widened(0.15);
        p.series.push_back(curve("learned score", m.score, Mark::line, colors::learned, 3.0));
        if (!m.best_fit.empty())
          p.series.push_back(curve("best score of its class", m.best_fit, Mark::dashed, colors::other, 2.0));
        p.series.push_back(curve("truth", true_score, Mark::dashed, colors::truth, 1.3));
      } else {
        p.title = m.verdict;
        p.x_label = std::string("x");
        if (k == 0) p.y_label = std::string("probability density");
        if (tallest > 0.0) p.y_range = AxisRange{0.0, tallest};
        if (!m.bars.empty()) p.series.push_back(curve("draws", m.bars, Mark::bars, colors::draws));
        if (!m.density.empty()) p.series.push_back(curve("stationary law", m.density, Mark::line, colors::third, 2.0));
        p.series.push_back(curve("truth", true_density, Mark::dashed, colors::truth, 1.3));
      }
      f.panels.push_back(std::move(p));
    }
  }
  return f;
}

}  // namespace tarn
