#include "tarn/evaluation/autocorrelation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tarn/core/error.hpp"

namespace tarn {

AutocorrelationTime integrated_autocorrelation_time(MatrixView<const float> draws, double window_factor) {
  require(window_factor > 0.0, "the factor of an autocorrelation window must be above 0, found {}", window_factor);
  AutocorrelationTime result;
  result.time = result.standard_error = std::numeric_limits<double>::quiet_NaN();
  const std::int64_t T = draws.cols;
  std::vector<const float*> chains;
  double mean = 0.0;
  for (std::int64_t i = 0; i < draws.rows; ++i) {
    const float* x = draws.row(i);
    if (!std::all_of(x, x + T, [](float v) { return std::isfinite(v); })) {
      ++result.n_spoiled;
      continue;
    }
    chains.push_back(x);
    for (std::int64_t t = 0; t < T; ++t) mean += x[t];
  }
  result.n_chains = static_cast<std::int64_t>(chains.size());
  const double n = static_cast<double>(result.n_chains) * static_cast<double>(T);
  if (T < 2 || chains.empty()) return result;
  mean /= n;

  std::vector<float> centred(chains.size() * static_cast<std::size_t>(T));
  for (std::size_t i = 0; i < chains.size(); ++i) {
    for (std::int64_t t = 0; t < T; ++t)
      centred[i * static_cast<std::size_t>(T) + static_cast<std::size_t>(t)] =
          static_cast<float>(static_cast<double>(chains[i][t]) - mean);
  }
  const auto autocovariance = [&](std::int64_t lag) {
    double sum = 0.0;
    for (std::size_t i = 0; i < chains.size(); ++i) {
      const float* x = centred.data() + i * static_cast<std::size_t>(T);
      double part[4] = {};  // four sums, so that one addition need not wait for the last
      std::int64_t t = 0;
      for (; t + 4 <= T - lag; t += 4) {
        for (int k = 0; k < 4; ++k) part[k] += static_cast<double>(x[t + k]) * x[t + lag + k];
      }
      for (; t < T - lag; ++t) part[0] += static_cast<double>(x[t]) * x[t + lag];
      sum += (part[0] + part[1]) + (part[2] + part[3]);
    }
    return sum / (static_cast<double>(chains.size()) * static_cast<double>(T - lag));
  };
  const double variance = autocovariance(0);
  if (!(variance > 0.0)) return result;

  double sum = 1.0, largest = 1.0;
  for (std::int64_t lag = 1; lag < T; ++lag) {
    sum += 2.0 * autocovariance(lag) / variance;
    largest = std::max(largest, sum);
    result.window = lag;
    if (static_cast<double>(lag) >= window_factor * largest) {
      result.settled = true;
      break;
    }
  }
  result.time = sum;
  result.standard_error = std::abs(sum) * std::sqrt(2.0 * (2.0 * static_cast<double>(result.window) + 1.0) / n);
  return result;
}

}  // namespace tarn
