#include "tarn/report/field_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr double pi = std::numbers::pi;
const double gap = std::numeric_limits<double>::quiet_NaN();

Series points(const std::string& name, const std::string& color) {
  return {name, {}, {}, Mark::points, color, 3.4, {}};
}

void add(Series& s, double x, double y) { s.x.push_back(x), s.y.push_back(y); }

double round_up(double value, double step) { return std::ceil(value / step) * step; }

Panel widths_panel(const std::vector<FieldShape>& fields) {
  Panel p;
  p.title = std::string("Envelope in periods of the carrier");
  p.x_label = std::string("n_x: across the bars");
  p.y_label = std::string("n_y: along the bars");
  // Roughly where most cells of Ringach 2002 (J. Neurophysiol. 88:455) lie: an outline for orientation, none of its data.
  constexpr double low = 0.1, high_x = 0.8, high_y = 1.3;
  Series range{"rough range of macaque V1 cells (after Ringach 2002)", {}, {}, Mark::dashed, colors::third, 1.6, {}};
  for (const auto& [x, y] : {std::pair(low, low), {high_x, low}, {high_x, high_y}, {low, high_y}, {low, low}})
    add(range, x, y);
  Series other = points("fields that fail", colors::faint),
         passing = points("fields that pass both criteria", colors::learned);
  double most_x = 1.0, most_y = 1.4;
  constexpr double farthest = 2.0;  // a field that fills its patch has no width; it must not flatten the others
  for (const FieldShape& f : fields) {
    add(f.passes ? passing : other, std::min(f.n_x, farthest), std::min(f.n_y, farthest));
    if (!f.passes) continue;
    most_x = std::max(most_x, std::min(f.n_x, farthest));
    most_y = std::max(most_y, std::min(f.n_y, farthest));
  }
  p.x_range = AxisRange{0.0, round_up(most_x, 0.2)};
  p.y_range = AxisRange{0.0, round_up(most_y, 0.2)};
  p.series = {std::move(range), std::move(other), std::move(passing)};
  return p;
}

Panel frequency_panel(const std::vector<FieldShape>& fields) {
  Panel p;
  p.title = std::string("Frequency (radius) and orientation (angle) of the bars");
  p.x_label = std::string("cycles / pixel");
  double most = 0.3;
  Series other = points("fields that fail", colors::faint),
         passing = points("fields that pass both criteria", colors::learned);
  for (const FieldShape& f : fields) {
    const double c = f.frequency * std::cos(f.orientation), s = f.frequency * std::sin(f.orientation);
    for (const double sign : {1.0, -1.0}) add(f.passes ? passing : other, sign * c, sign * s);
    if (f.passes) most = std::max(most, f.frequency);
  }
  most = std::min(round_up(most, 0.05), 0.75);
  Series circles{"", {}, {}, Mark::line, colors::faint, 1.0, {}};
  for (double radius = 0.1; radius < most; radius += 0.1) {
    for (int k = 0; k <= 90; ++k) add(circles, radius * std::cos(pi * k / 45), radius * std::sin(pi * k / 45));
    add(circles, gap, gap);
  }
  p.x_range = p.y_range = AxisRange{-most, most};
  p.series = {std::move(circles), std::move(other), std::move(passing)};
  return p;
}

Panel orientation_panel(const std::vector<FieldShape>& fields) {
  Panel p;
  p.title = std::string("Orientation of the bars, fields that pass");
  p.x_label = std::string("degrees from horizontal");
  p.y_label = std::string("fields");
  constexpr std::size_t n_bins = 8;
  Series bars{"", {}, std::vector<double>(n_bins, 0.0), Mark::bars, colors::draws, 1.0, {}};
  for (std::size_t k = 0; k < n_bins; ++k) bars.x.push_back(22.5 * static_cast<double>(k));
  for (const FieldShape& f : fields) {
    if (f.passes) bars.y[static_cast<std::size_t>(std::floor(f.orientation / pi * n_bins + 0.5)) % n_bins] += 1.0;
  }
  p.x_range = AxisRange{-11.25, 168.75};
  p.y_range = AxisRange{0.0, 1.1 * std::max(1.0, *std::max_element(bars.y.begin(), bars.y.end()))};
  p.series.push_back(std::move(bars));
  return p;
}

Panel fit_panel(const std::vector<FieldShape>& fields, double least) {
  Panel p;
  p.title = std::string("Gabor fits, all fields");
  p.x_label = std::string("R²");
  p.y_label = std::string("fields");
  constexpr std::size_t n_bins = 25;
  Series bars{"", {}, std::vector<double>(n_bins, 0.0), Mark::bars, colors::draws, 1.0, {}};
  for (std::size_t k = 0; k < n_bins; ++k) bars.x.push_back((static_cast<double>(k) + 0.5) / n_bins);
  for (const FieldShape& f : fields)
    bars.y[std::min(static_cast<std::size_t>(std::clamp(f.r_squared, 0.0, 1.0) * n_bins), n_bins - 1)] += 1.0;
  p.x_range = AxisRange{0.0, 1.0};
  p.y_range = AxisRange{0.0, 1.1 * *std::max_element(bars.y.begin(), bars.y.end())};
  p.series.push_back(std::move(bars));
  p.markers.push_back({least, fmt::format("{:.2g}", least)});
  return p;
}

}  // namespace

Figure figure_receptive_fields(const std::vector<FieldShape>& fields, double least_r_squared) {
  require(!fields.empty(), "a figure of receptive fields needs one field or more");
  Figure f;
  f.name = std::string("receptive_field_population");
  f.title = std::string("Receptive fields of the first layer");
  f.columns = 2;
  f.width = 950;
  f.height = 990;  // panels as high as they are wide
  f.panels = {widths_panel(fields), frequency_panel(fields), orientation_panel(fields),
              fit_panel(fields, least_r_squared)};
  return f;
}

Figure figure_pooling(const std::vector<FieldShape>& fields, const std::vector<PoolingUnit>& units, double side,
                      std::size_t most) {
  require(!fields.empty() && !units.empty(), "a figure of pooling needs fields and units, found {} and {}",
          fields.size(), units.size());
  // From weak to strong; a step is a third of the largest weight.
  const std::string positive[] = {"#c6dbef", "#6baed6", colors::learned},
                    negative[] = {"#fdd0a2", "#fd8d3c", colors::other};
  constexpr std::size_t n_shades = 3;
  Figure figure;
  figure.name = std::string("pooling");
  figure.title = std::string("What units of the second layer pool");
  figure.columns = static_cast<int>(std::min<std::size_t>(units.size(), 6));
  const int rows = (static_cast<int>(units.size()) + figure.columns - 1) / figure.columns;
  figure.width = std::max(190 * figure.columns, 400);
  figure.height = 66 + (figure.width / figure.columns - 52 + 58) * rows;  // panels as high as they are wide
  for (const PoolingUnit& unit : units) {
    require(unit.weights.size() == fields.size(), "unit {} has {} weights for {} fields", unit.unit,
            unit.weights.size(), fields.size());
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].passes && std::isfinite(unit.weights[i])) order.push_back(i);
    }
    const auto weaker = [&](std::size_t a, std::size_t b) {
      return std::abs(unit.weights[a]) < std::abs(unit.weights[b]);
    };
    std::stable_sort(order.begin(), order.end(), weaker);
    if (order.size() > most) order.erase(order.begin(), order.end() - static_cast<std::ptrdiff_t>(most));
    const double largest = order.empty() ? 0.0 : std::abs(unit.weights[order.back()]);
    Panel panel;
    panel.title = fmt::format("unit {}", unit.unit);
    panel.bare = true;
    panel.x_range = panel.y_range = AxisRange{-0.5 * side, 0.5 * side};
    // One series a shade, weak ones below.
    for (std::size_t shade = 0; shade < n_shades; ++shade) {
      for (const bool is_positive : {true, false}) {
        Series lines{"", {}, {}, Mark::line, (is_positive ? positive : negative)[shade], 2.6, {}};
        if (shade + 1 == n_shades) lines.name = std::string(is_positive ? "positive weight" : "negative weight");
        for (const std::size_t i : order) {
          const double w = unit.weights[i];
          if (w == 0.0 || (w > 0.0) != is_positive) continue;
          const auto own = std::min(static_cast<std::size_t>(std::abs(w) / largest * n_shades), n_shades - 1);
          if (own != shade) continue;
          const FieldShape& f = fields[i];
          const double half = std::clamp(0.8 * f.sigma_y, 0.06 * side, 0.2 * side);
          const double dx = half * std::cos(f.orientation), dy = half * std::sin(f.orientation);
          add(lines, f.x - dx, f.y - dy);
          add(lines, f.x + dx, f.y + dy);
          add(lines, gap, gap);
        }
        panel.series.push_back(std::move(lines));
      }
    }
    figure.panels.push_back(std::move(panel));
  }
  return figure;
}

}  // namespace tarn
