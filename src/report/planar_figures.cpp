// Figures of laws in the plane, and of distances that fall with time.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/error.hpp"
#include "tarn/report/figures.hpp"

namespace tarn {

Figure figure_planar_densities(const std::vector<PlanarDensity>& laws) {
  require(!laws.empty(), "a figure of planar densities needs one law or more");
  constexpr double decades = 3.0;
  double largest = 0.0;
  for (const PlanarDensity& law : laws) {
    require(law.n >= 1 && static_cast<std::int64_t>(law.densities.size()) == law.n * law.n,
            "the density of {} has {} values for {} cells a side", law.name, law.densities.size(), law.n);
    for (const double p : law.densities) {
      if (std::isfinite(p)) largest = std::max(largest, p);
    }
  }
  if (largest <= 0.0) largest = 1.0;
  Figure f;
  f.name = std::string("planar_density");
  f.title = std::string("Density");
  f.columns = static_cast<int>(std::min<std::size_t>(laws.size(), 3));
  const int rows = (static_cast<int>(laws.size()) + f.columns - 1) / f.columns;
  // panels as high as they are wide
  f.width = 100 + 330 * f.columns;
  f.height = 44 + 390 * rows;
  for (std::size_t i = 0; i < laws.size(); ++i) {
    const PlanarDensity& law = laws[i];
    Panel p;
    p.title = law.name;
    p.x_label = std::string("x_0");
    if (i % static_cast<std::size_t>(f.columns) == 0) p.y_label = std::string("x_1");
    p.x_range = law.x;
    p.y_range = law.y;
    ColorMap map;
    map.n_x = map.n_y = law.n;
    map.x = law.x;
    map.y = law.y;
    map.high = std::log10(largest);
    map.low = map.high - decades;
    for (const double density : law.densities) {
      map.values.push_back(density > 0.0 ? std::log10(density) : density == 0.0 ? map.low : std::nan(""));
    }
    p.map = std::move(map);
    f.panels.push_back(std::move(p));
  }
  return f;
}

Figure figure_distance_over_time(const std::string& y_label, const std::vector<std::string>& panels,
                                 const std::vector<std::vector<DistanceCourse>>& courses,
                                 const std::vector<double>& floors) {
  require(!panels.empty() && panels.size() == courses.size() && panels.size() == floors.size(),
          "a figure of distances needs curves and a floor a panel, found {} panels, {} and {}", panels.size(),
          courses.size(), floors.size());
  const std::string palette[] = {colors::truth, colors::third, colors::learned, colors::other, colors::fourth};
  Figure f;
  f.name = std::string("distance_over_time");
  f.title = y_label + " against time";
  f.columns = panels.size() == 1 ? 1 : 2;
  f.height = 80 + 280 * ((static_cast<int>(panels.size()) + f.columns - 1) / f.columns);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    Panel p;
    p.title = panels[i];
    p.log_y = true;
    if (i + static_cast<std::size_t>(f.columns) >= panels.size()) p.x_label = std::string("time / τ");
    if (i % static_cast<std::size_t>(f.columns) == 0) p.y_label = y_label;
    double end = 0.0;
    for (std::size_t k = 0; k < courses[i].size(); ++k) {
      const DistanceCourse& course = courses[i][k];
      if (!course.distance.empty()) end = std::max(end, course.distance.x.back());
      p.series.push_back(
          {course.name, course.distance.x, course.distance.y, Mark::line, palette[k % std::size(palette)], 2.0, {}});
    }
    if (end > 0.0) p.x_range = AxisRange{0.0, end};
    p.series.push_back(
        {"floor: exact draws", {0.0, end}, {floors[i], floors[i]}, Mark::dashed, colors::fourth, 1.3, {}});
    f.panels.push_back(std::move(p));
  }
  return f;
}

}  // namespace tarn
