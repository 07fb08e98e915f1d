#include <algorithm>
#include <cmath>

#include "tarn/core/error.hpp"
#include "tarn/report/chain_figures.hpp"

namespace tarn {
namespace {

const std::vector<std::string> curve_colors{colors::learned, colors::other, colors::third, colors::fourth,
                                            "#56b4e9",       "#e69f00",     "#7a5195",     "#8c6d31"};

}  // namespace

Figure figure_curves(const std::string& name, const std::string& title, const std::vector<ReportCurve>& curves) {
  require(!curves.empty(), "figure {}: no curves", name);
  Figure f;
  f.name = name;
  f.title = title;
  f.width = 900;
  f.height = 420;
  Panel p;
  p.x_label = curves[0].x_label;
  p.y_label = curves[0].y_label;
  p.log_y = curves[0].log_y;
  double low = INFINITY, high = -INFINITY, left = INFINITY, right = -INFINITY;
  std::size_t color = 0;
  std::vector<Series> references;
  for (const ReportCurve& c : curves) {
    require(c.x.size() == c.y.size(), "figure {}: curve {} has {} x and {} y", name, c.name, c.x.size(), c.y.size());
    Series s{c.name, c.x, c.y, c.reference ? Mark::dashed : Mark::line, colors::truth, c.reference ? 1.4 : 2.0, {}};
    if (!c.reference) s.color = curve_colors[color++ % curve_colors.size()];
    for (std::size_t i = 0; i < c.x.size(); ++i) {
      if (!std::isfinite(c.y[i]) || (p.log_y && c.y[i] <= 0.0)) {
        s.y[i] = std::nan("");
        continue;
      }
      low = std::min(low, c.y[i]), high = std::max(high, c.y[i]);
      left = std::min(left, c.x[i]), right = std::max(right, c.x[i]);
    }
    (c.reference ? references : p.series).push_back(std::move(s));
  }
  p.series.insert(p.series.end(), references.begin(), references.end());
  if (left > 0.0 && left < 0.1 * right) left = 0.0;
  if (left < right) p.x_range = AxisRange{left, right};
  if (p.log_y && low < high) p.y_range = AxisRange{low / 1.3, high * 1.3};
  if (!p.log_y && low < high) {
    const double margin = 0.06 * (high - low);
    p.y_range = AxisRange{low >= 0.0 ? std::max(0.0, low - margin) : low - margin, high + margin};
  }
  f.panels.push_back(std::move(p));
  return f;
}

}  // namespace tarn
