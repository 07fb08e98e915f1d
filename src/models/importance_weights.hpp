// What annealed importance sampling (Neal 2001) of every model shares: temperatures, and what weights say.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <span>

namespace tarn {

/// beta_k = (k/K)^{10/3}: dense at the beginning, where laws change most.
inline double inverse_temperature(std::int64_t k, std::int64_t n) {
  return std::pow(static_cast<double>(k) / static_cast<double>(n), 10.0 / 3.0);
}

/// The uniform number that a normal stands for.
inline double uniform_of_normal(float normal) {
  return 0.5 * std::erfc(-static_cast<double>(normal) / std::numbers::sqrt2);
}

/// Of weights given by their logarithms.
struct WeightSummary {
  double log_mean = 0.0;
  double squared_error = 0.0;  ///< of that log: variance of the mean weight over its square
  double effective = 0.0;      ///< (sum w)^2 / sum w^2
};
inline WeightSummary summary_of_weights(std::span<const double> log_weights) {
  const double largest = *std::max_element(log_weights.begin(), log_weights.end());
  const auto count = static_cast<double>(log_weights.size());
  double sum = 0.0, squares = 0.0;
  for (const double w : log_weights) {
    const double weight = largest == -std::numeric_limits<double>::infinity() ? 0.0 : std::exp(w - largest);
    sum += weight;
    squares += weight * weight;
  }
  return {largest + std::log(sum / count), std::max(0.0, squares / sum / sum * count - 1.0) / (count - 1.0),
          squares > 0.0 ? sum * sum / squares : 0.0};
}

}  // namespace tarn
