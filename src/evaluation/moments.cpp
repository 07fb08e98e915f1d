#include "tarn/evaluation/moments.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

Moments moments(std::span<const float> values) {
  Moments m;
  double sum = 0.0;
  m.smallest = m.largest = nan;
  for (const float x : values) {
    if (!std::isfinite(x)) {
      ++m.n_not_finite;
      continue;
    }
    sum += x;
    m.smallest = m.n == 0 ? x : std::min(m.smallest, static_cast<double>(x));
    m.largest = m.n == 0 ? x : std::max(m.largest, static_cast<double>(x));
    ++m.n;
  }
  const auto n = static_cast<double>(m.n);
  m.mean = m.n > 0 ? sum / n : nan;
  double m2 = 0.0, m3 = 0.0, m4 = 0.0;
  for (const float x : values) {
    if (!std::isfinite(x)) continue;
    const double d = x - m.mean, square = d * d;
    m2 += square;
    m3 += square * d;
    m4 += square * square;
  }
  m.variance = m.n > 1 ? m2 / (n - 1.0) : nan;
  m2 /= n;
  m.skewness = m2 > 0.0 ? m3 / n / std::pow(m2, 1.5) : nan;
  m.excess_kurtosis = m2 > 0.0 ? m4 / n / (m2 * m2) - 3.0 : nan;
  return m;
}

std::vector<float> column(MatrixView<const float> draws, std::int64_t j) {
  require(j >= 0 && j < draws.cols, "column {} of a matrix with {} columns", j, draws.cols);
  std::vector<float> values(static_cast<std::size_t>(draws.rows));
  for (std::int64_t i = 0; i < draws.rows; ++i) values[static_cast<std::size_t>(i)] = draws(i, j);
  return values;
}

std::vector<Moments> column_moments(MatrixView<const float> draws) {
  std::vector<Moments> result;
  for (std::int64_t j = 0; j < draws.cols; ++j) result.push_back(moments(column(draws, j)));
  return result;
}

std::vector<double> quantiles(std::span<const float> values, std::span<const double> probabilities) {
  std::vector<float> sorted;
  sorted.reserve(values.size());
  std::copy_if(values.begin(), values.end(), std::back_inserter(sorted), [](float x) { return std::isfinite(x); });
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> result;
  for (const double p : probabilities) {
    require(p >= 0.0 && p <= 1.0, "a quantile needs a probability from 0 to 1, found {}", p);
    if (sorted.empty()) {
      result.push_back(nan);
      continue;
    }
    const double position = p * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    const double share = position - static_cast<double>(below);
    result.push_back(sorted[below] + share * (static_cast<double>(sorted[above]) - sorted[below]));
  }
  return result;
}

ChainsSummary summarise_chains(MatrixView<const float> draws) {
  ChainsSummary summary;
  std::vector<double> means;
  for (std::int64_t i = 0; i < draws.rows; ++i) {
    summary.chains.push_back(moments(std::span<const float>(draws.row(i), static_cast<std::size_t>(draws.cols))));
    if (summary.chains.back().n_not_finite > 0) ++summary.n_spoiled;
    if (summary.chains.back().n > 0) means.push_back(summary.chains.back().mean);
  }
  const auto n = static_cast<double>(means.size());
  double sum = 0.0, square = 0.0;
  for (const double m : means) sum += m;
  summary.mean = means.empty() ? nan : sum / n;
  for (const double m : means) square += (m - summary.mean) * (m - summary.mean);
  summary.standard_error = means.size() > 1 ? std::sqrt(square / (n - 1.0) / n) : nan;
  return summary;
}

}  // namespace tarn
