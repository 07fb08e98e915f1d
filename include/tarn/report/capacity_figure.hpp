// How well a network does against its size, beside networks that have none: the figure of a sweep.
#pragma once

#include <string>
#include <vector>

#include "tarn/report/gnuplot.hpp"

namespace tarn {

/// Median over seeds, and the smallest and largest value.
struct Spread {
  double median = 0.0, low = 0.0, high = 0.0;
};

/// A network without a reservoir: one value whatever N.
struct CapacityRival {
  std::string name;
  Spread trained;
  double best_fit = 0.0;  ///< of its class; NaN: not known
};

/// One figure of merit on one law. What is not finite leaves a gap; what lies below the floor is drawn on it.
struct CapacityCurve {
  std::vector<double> neurons;  ///< N, ascending
  std::vector<Spread> reservoir;
  std::vector<CapacityRival> rivals;
  double floor = 0.0;  ///< what exact draws reach; NaN: none
};

struct CapacityLaw {
  std::string name;
  CapacityCurve kl, score_error;
};

/// A column a law: KL divergence above, score error below, against N, all logarithmic.
Figure figure_capacity(const std::vector<CapacityLaw>& laws);

}  // namespace tarn
