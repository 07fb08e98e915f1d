// Checks that hold for every target.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "tarn/core/target.hpp"

namespace tarn::test {

/// Sum of `f` over a square grid times its cell area: for smooth f that vanishes at the border, exact to rounding.
inline double integrate_plane(const std::function<double(const double*)>& f, double half_width, int n) {
  const double step = 2.0 * half_width / n;
  double sum = 0.0;
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      const double x[2] = {-half_width + (i + 0.5) * step, -half_width + (j + 0.5) * step};
      sum += f(x);
    }
  }
  return sum * step * step;
}

/// Central difference of fourth order of log_density against score, to `tolerance` relative to the score's size plus
/// one.
inline void expect_score_is_gradient(const Target& target, const std::vector<double>& at, double sigma, double step,
                                     double tolerance) {
  const auto n = at.size();
  std::vector<double> score(n), x = at;
  target.score(at.data(), sigma, score.data());
  double size = 1.0;
  for (const double s : score) size = std::max(size, std::abs(s));
  for (std::size_t k = 0; k < n; ++k) {
    const auto value = [&](double offset) {
      x[k] = at[k] + offset;
      const double result = target.log_density(x.data(), sigma);
      x[k] = at[k];
      return result;
    };
    const double slope = (8.0 * (value(step) - value(-step)) - (value(2 * step) - value(-2 * step))) / (12.0 * step);
    EXPECT_NEAR(score[k], slope, tolerance * size)
        << target.name() << ", sigma " << sigma << ", coordinate " << k << " of " << ::testing::PrintToString(at);
  }
}

}  // namespace tarn::test
