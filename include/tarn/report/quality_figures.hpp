// The scale of quality: draws of a network between real data, a mixture and one Gaussian.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "tarn/report/gnuplot.hpp"

namespace tarn {

/// A value with the ends of its interval; NaN where there is none.
struct ScaleBar {
  double value = 0.0, low = 0.0, high = 0.0;
};

/// Bars side by side for each figure of merit.
struct QualityScale {
  std::string name;  ///< of the file
  std::string title;
  std::array<std::string, 4> sets;  ///< what the bars stand for: the judged draws, real data, the mixture, one Gaussian
  struct Panel {
    std::string title;
    std::array<ScaleBar, 4> bars;  ///< a NaN value leaves its place empty
  };
  std::vector<Panel> panels;
};
/// Up to four panels in a row. Sets without any value are not in the legend. Throws `Error` without panels.
Figure figure_quality_scale(const QualityScale& scale);

}  // namespace tarn
