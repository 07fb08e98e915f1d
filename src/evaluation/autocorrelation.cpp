#include "tarn/evaluation/autocorrelation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

// The chains without a draw that is not finite, less the mean over all of them.
class CentredChains {
 public:
  explicit CentredChains(MatrixView<const float> draws) : T_(draws.cols) {
    std::vector<const float*> chains;
    double mean = 0.0;
    for (std::int64_t i = 0; i < draws.rows; ++i) {
      const float* x = draws.row(i);
      if (!std::all_of(x, x + T_, [](float v) { return std::isfinite(v); })) {
        ++n_spoiled_;
        continue;
      }
      chains.push_back(x);
      for (std::int64_t t = 0; t < T_; ++t) mean += x[t];
    }
    n_ = static_cast<std::int64_t>(chains.size());
    if (n_ == 0 || T_ == 0) return;
    mean /= static_cast<double>(n_) * static_cast<double>(T_);
    values_.resize(chains.size() * static_cast<std::size_t>(T_));
    for (std::size_t i = 0; i < chains.size(); ++i) {
      for (std::int64_t t = 0; t < T_; ++t)
        values_[i * static_cast<std::size_t>(T_) + static_cast<std::size_t>(t)] =
            static_cast<float>(static_cast<double>(chains[i][t]) - mean);
    }
  }

  std::int64_t n_chains() const { return n_; }
  std::int64_t n_spoiled() const { return n_spoiled_; }

  double autocovariance(std::int64_t lag) const {
    double sum = 0.0;
    for (std::int64_t i = 0; i < n_; ++i) {
      const float* x = values_.data() + i * T_;
      double part[4] = {};  // four sums, so that one addition need not wait for the last
      std::int64_t t = 0;
      for (; t + 4 <= T_ - lag; t += 4) {
        for (int k = 0; k < 4; ++k) part[k] += static_cast<double>(x[t + k]) * x[t + lag + k];
      }
      for (; t < T_ - lag; ++t) part[0] += static_cast<double>(x[t]) * x[t + lag];
      sum += (part[0] + part[1]) + (part[2] + part[3]);
    }
    return sum / (static_cast<double>(n_) * static_cast<double>(T_ - lag));
  }

 private:
  std::int64_t T_, n_ = 0, n_spoiled_ = 0;
  std::vector<float> values_;
};

}  // namespace

AutocorrelationTime integrated_autocorrelation_time(MatrixView<const float> draws, double window_factor) {
  require(window_factor > 0.0, "the factor of an autocorrelation window must be above 0, found {}", window_factor);
  AutocorrelationTime result;
  result.time = result.standard_error = std::numeric_limits<double>::quiet_NaN();
  const std::int64_t T = draws.cols;
  const CentredChains chains(draws);
  result.n_spoiled = chains.n_spoiled();
  result.n_chains = chains.n_chains();
  const double n = static_cast<double>(result.n_chains) * static_cast<double>(T);
  if (T < 2 || result.n_chains == 0) return result;
  const double variance = chains.autocovariance(0);
  if (!(variance > 0.0)) return result;

  double sum = 1.0, largest = 1.0;
  for (std::int64_t lag = 1; lag < T; ++lag) {
    sum += 2.0 * chains.autocovariance(lag) / variance;
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

std::vector<double> autocorrelation(MatrixView<const float> draws, std::int64_t max_lag) {
  std::vector<double> result;
  const CentredChains chains(draws);
  if (chains.n_chains() == 0 || draws.cols < 2) return result;
  const double variance = chains.autocovariance(0);
  if (!(variance > 0.0)) return result;
  for (std::int64_t lag = 0; lag <= std::min(max_lag, draws.cols - 1); ++lag)
    result.push_back(chains.autocovariance(lag) / variance);
  return result;
}

}  // namespace tarn
