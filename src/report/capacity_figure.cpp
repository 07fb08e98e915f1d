#include "tarn/report/capacity_figure.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

const std::string band_color = "#cfe3f1", floor_color = "#6b7680";

struct Shade {
  std::string line, band;
};
const std::vector<Shade>& rival_shades() {
  static const std::vector<Shade> shades{{colors::other, "#f8dfcc"}, {colors::third, "#cfe9e0"}};
  return shades;
}

Panel panel_of(const CapacityCurve& curve, const std::string& title, const std::string& x_label) {
  Panel panel;
  panel.title = title;
  panel.x_label = x_label;
  panel.log_x = 2;
  panel.log_y = true;
  const auto drawn = [&](double value) {
    if (!std::isfinite(value)) return nan;
    const double low = std::isnan(curve.floor) ? 0.0 : curve.floor;
    const double y = std::max(value, low);
    return y > 0.0 ? y : nan;
  };
  if (curve.neurons.empty()) return panel;
  const std::vector<double> ends{curve.neurons.front(), curve.neurons.back()};
  panel.x_range = {ends[0] / 1.15, ends[1] * 1.15};
  const auto level = [&](const std::string& name, double value, Mark mark, const std::string& color, double width) {
    if (std::isnan(drawn(value))) return;
    panel.series.push_back({name, ends, {drawn(value), drawn(value)}, mark, color, width, {}});
  };
  for (std::size_t i = 0; i < curve.rivals.size(); ++i) {
    const Spread& s = curve.rivals[i].trained;
    if (std::isnan(drawn(s.low)) || std::isnan(drawn(s.high))) continue;
    panel.series.push_back({"",
                            ends,
                            {drawn(s.low), drawn(s.low)},
                            Mark::band,
                            rival_shades()[i % rival_shades().size()].band,
                            1.0,
                            {drawn(s.high), drawn(s.high)}});
  }
  Series band{"", curve.neurons, {}, Mark::band, band_color, 1.0, {}},
      line{"reservoir_sampler", curve.neurons, {}, Mark::line, colors::learned, 2.4, {}},
      dots{"", curve.neurons, {}, Mark::points, colors::learned, 4.0, {}};
  for (const Spread& s : curve.reservoir) {
    band.y.push_back(drawn(s.low));
    band.y2.push_back(drawn(s.high));
    line.y.push_back(drawn(s.median));
  }
  dots.y = line.y;
  panel.series.push_back(std::move(band));
  for (std::size_t i = 0; i < curve.rivals.size(); ++i) {
    const CapacityRival& r = curve.rivals[i];
    const std::string& color = rival_shades()[i % rival_shades().size()].line;
    level(r.name, r.trained.median, Mark::line, color, 1.8);
    level(r.name + ", best fit", r.best_fit, Mark::dashed, color, 1.8);
  }
  level("exact draws", curve.floor, Mark::dashed, floor_color, 1.2);
  panel.series.push_back(std::move(line));
  panel.series.push_back(std::move(dots));
  return panel;
}

}  // namespace

Figure figure_capacity(const std::vector<CapacityLaw>& laws) {
  Figure figure;
  figure.name = "capacity";
  figure.title = "Distance to the law against the size of the network";
  figure.columns = static_cast<int>(std::max<std::size_t>(laws.size(), 1));
  figure.width = std::max(420, 340 * figure.columns);
  figure.height = 660;
  for (const CapacityLaw& law : laws) figure.panels.push_back(panel_of(law.kl, law.name + ": KL divergence", ""));
  for (const CapacityLaw& law : laws)
    figure.panels.push_back(panel_of(law.score_error, law.name + ": score error E|s - s*|²", "neurons N"));
  if (figure.panels.empty()) figure.panels.emplace_back();
  return figure;
}

}  // namespace tarn
