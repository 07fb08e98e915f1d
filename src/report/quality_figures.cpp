#include "tarn/report/quality_figures.hpp"

#include <algorithm>
#include <cmath>

#include "tarn/core/error.hpp"

namespace tarn {

Figure figure_quality_scale(const QualityScale& scale) {
  require(!scale.panels.empty(), "a scale of quality needs one figure of merit or more");
  const std::string paint[] = {colors::learned, colors::truth, colors::third, colors::other};
  const std::size_t order[] = {1, 0, 2, 3};  // from left to right: real data, the draws, mixture, Gaussian
  Figure figure;
  figure.name = scale.name;
  figure.title = scale.title;
  figure.columns = static_cast<int>(std::min<std::size_t>(scale.panels.size(), 4));
  const int rows = (static_cast<int>(scale.panels.size()) + figure.columns - 1) / figure.columns;
  figure.width = figure.columns == 1 ? 420 : 40 + 240 * figure.columns;
  figure.height = 70 + 190 * rows;
  for (const QualityScale::Panel& of : scale.panels) {
    Panel panel;
    panel.title = of.title;
    panel.no_x_ticks = true;
    panel.x_range = AxisRange{0.3, 4.7};
    double low = 0.0, high = 0.0;
    for (std::size_t place = 0; place < 4; ++place) {
      const ScaleBar& bar = of.bars[order[place]];
      if (std::isnan(bar.value)) continue;
      const double x = static_cast<double>(place) + 1.0;
      Series box;
      box.name = scale.sets[order[place]];
      box.x = {x - 0.4, x + 0.4};
      box.y = {0.0, 0.0};
      box.y2 = {bar.value, bar.value};
      box.mark = Mark::band;
      box.color = paint[order[place]];
      panel.series.push_back(std::move(box));
      low = std::min(low, bar.value);
      high = std::max(high, bar.value);
      if (std::isnan(bar.low)) continue;
      Series line;
      line.x = {x, x};
      line.y = {bar.low, bar.high};
      line.color = "#888888";
      line.width = 2.5;
      panel.series.push_back(std::move(line));
      low = std::min(low, bar.low);
      high = std::max(high, bar.high);
    }
    if (high > low)
      panel.y_range = AxisRange{low - (low < 0.0 ? 0.05 * (high - low) : 0.0), high + 0.05 * (high - low)};
    figure.panels.push_back(std::move(panel));
  }
  return figure;
}

}  // namespace tarn
