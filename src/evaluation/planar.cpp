#include "tarn/evaluation/planar.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "evaluation_noise.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

std::vector<float> sorted_finite(std::span<const float> values) {
  std::vector<float> sorted;
  sorted.reserve(values.size());
  std::copy_if(values.begin(), values.end(), std::back_inserter(sorted), [](float x) { return std::isfinite(x); });
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// int_0^1 |F_a^-1 - F_b^-1|^p: both quantile functions are steps, at multiples of 1/n and of 1/m.
template <int p>
double wasserstein_power(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.empty() || b.empty()) return nan;
  const std::size_t n = a.size(), m = b.size();
  double sum = 0.0;
  for (std::size_t i = 0, j = 0, at = 0; i < n && j < m;) {  // `at` counts in units of 1/(n m)
    const std::size_t end_a = (i + 1) * m, end_b = (j + 1) * n, end = std::min(end_a, end_b);
    const double d = static_cast<double>(a[i]) - b[j];
    sum += static_cast<double>(end - at) * (p == 1 ? std::abs(d) : d * d);
    at = end;
    if (end == end_a) ++i;
    if (end == end_b) ++j;
  }
  return sum / (static_cast<double>(n) * static_cast<double>(m));
}

}  // namespace

std::vector<float> projection(MatrixView<const float> draws, std::span<const double> direction) {
  require(static_cast<std::int64_t>(direction.size()) == draws.cols, "a direction of {} components for {} columns",
          direction.size(), draws.cols);
  std::vector<float> result(static_cast<std::size_t>(draws.rows));
  for (std::int64_t i = 0; i < draws.rows; ++i) {
    double sum = 0.0;
    for (std::int64_t j = 0; j < draws.cols; ++j) sum += direction[static_cast<std::size_t>(j)] * draws(i, j);
    result[static_cast<std::size_t>(i)] = static_cast<float>(sum);
  }
  return result;
}

Matrix<float> smoothed_draws(const Target& target, double sigma, std::int64_t n, std::uint64_t seed,
                             std::uint64_t first) {
  require(n >= 1 && sigma >= 0.0, "reference draws need a count and a noise level, found {} and {}", n, sigma);
  Matrix<float> x(n, target.dimension()), xi(sigma > 0.0 ? n : 0, target.dimension());
  const std::uint64_t chain = evaluation_chain(EvaluationNoise::reference, first);
  target.draw(seed, chain, x.view());
  fill_normals(seed, Stream::evaluation, chain, 0, 1, xi.view());
  for (std::int64_t i = 0; i < xi.size(); ++i) x.data()[i] += static_cast<float>(sigma) * xi.data()[i];
  return x;
}

MarginalDistance::MarginalDistance(MatrixView<const float> reference, std::vector<std::vector<double>> directions)
    : directions_(std::move(directions)) {
  require(reference.rows >= 1, "a distance needs reference draws");
  for (const auto& direction : directions_) sorted_.push_back(sorted_finite(projection(reference, direction)));
}

double MarginalDistance::operator()(MatrixView<const float> draws, std::size_t k) const {
  return wasserstein_power<1>(sorted_finite(projection(draws, directions_[k])), sorted_[k]);
}

double wasserstein_2(std::span<const float> a, std::span<const float> b) {
  return std::sqrt(wasserstein_power<2>(sorted_finite(a), sorted_finite(b)));
}

SlicedDistance::SlicedDistance(MatrixView<const float> reference, std::int64_t n_directions, std::uint64_t seed) {
  require(reference.rows >= 1 && reference.cols >= 1 && n_directions >= 1,
          "a sliced distance needs reference draws and directions, found {} x {} and {}", reference.rows,
          reference.cols, n_directions);
  const std::int64_t D = reference.cols;
  Matrix<float> normal(D == 2 ? 0 : n_directions, D);
  fill_normals(seed, Stream::evaluation, evaluation_chain(EvaluationNoise::directions, 0), 0, 1, normal.view());
  for (std::int64_t k = 0; k < n_directions; ++k) {
    std::vector<double> d(static_cast<std::size_t>(D));
    if (D == 2) {
      const double angle = std::numbers::pi * (static_cast<double>(k) + 0.5) / static_cast<double>(n_directions);
      d = {std::cos(angle), std::sin(angle)};
    } else {
      double square = 0.0;
      for (std::int64_t j = 0; j < D; ++j) square += static_cast<double>(normal(k, j)) * normal(k, j);
      for (std::int64_t j = 0; j < D; ++j) d[static_cast<std::size_t>(j)] = normal(k, j) / std::sqrt(square);
    }
    sorted_.push_back(sorted_finite(projection(reference, d)));
    directions_.push_back(std::move(d));
  }
}

double SlicedDistance::operator()(MatrixView<const float> draws) const {
  std::vector<std::vector<float>> projections;
  for (const auto& direction : directions_) projections.push_back(sorted_finite(projection(draws, direction)));
  return from_sorted(projections);
}

double SlicedDistance::from_sorted(const std::vector<std::vector<float>>& projections) const {
  require(projections.size() == directions_.size(), "projections on {} directions, expected {}", projections.size(),
          directions_.size());
  double sum = 0.0;
  for (std::size_t k = 0; k < directions_.size(); ++k) sum += wasserstein_power<2>(projections[k], sorted_[k]);
  return std::sqrt(sum / static_cast<double>(directions_.size()));
}

ArmOccupancy arm_occupancy(MatrixView<const float> draws, std::span<const double> centre, double core_radius) {
  require(draws.cols == 2 && centre.size() == 2, "arms are counted in the plane, found {} columns", draws.cols);
  ArmOccupancy result;
  std::array<std::int64_t, 4> count{};
  std::int64_t core = 0;
  for (std::int64_t i = 0; i < draws.rows; ++i) {
    const double x = draws(i, 0) - centre[0], y = draws(i, 1) - centre[1];
    if (!std::isfinite(x) || !std::isfinite(y)) {
      ++result.n_not_finite;
      continue;
    }
    ++result.n;
    if (x * x + y * y <= core_radius * core_radius) {
      ++core;
    } else {
      ++count[static_cast<std::size_t>(y >= 0.0 ? (x >= 0.0 ? 0 : 1) : (x < 0.0 ? 2 : 3))];
    }
  }
  const auto n = static_cast<double>(result.n);
  result.core = static_cast<double>(core) / n;
  for (std::size_t k = 0; k < 4; ++k) result.share[k] = static_cast<double>(count[k]) / n;
  return result;
}

PlanarHistogram planar_histogram(MatrixView<const float> draws, std::int64_t n_bins, const double (&low)[2],
                                 const double (&high)[2]) {
  require(draws.cols == 2 && n_bins >= 1 && low[0] < high[0] && low[1] < high[1],
          "a histogram of the plane needs two columns, bins and a range; found {} columns, {} bins, {} to {} and {} to "
          "{}",
          draws.cols, n_bins, low[0], high[0], low[1], high[1]);
  PlanarHistogram h;
  h.n = n_bins;
  std::copy_n(low, 2, h.low);
  std::copy_n(high, 2, h.high);
  h.densities.assign(static_cast<std::size_t>(n_bins * n_bins), 0.0);
  for (std::int64_t i = 0; i < draws.rows; ++i) {
    std::int64_t bin[2] = {0, 0};
    bool inside = true, finite = true;
    for (std::int64_t d = 0; d < 2; ++d) {
      const double x = draws(i, d);
      finite = finite && std::isfinite(x);
      if (!(x >= low[d] && x < high[d])) {
        inside = false;
      } else {
        bin[d] = std::min(static_cast<std::int64_t>((x - low[d]) / (high[d] - low[d]) * static_cast<double>(n_bins)),
                          n_bins - 1);
      }
    }
    if (!finite) {
      ++h.n_not_finite;
    } else if (!inside) {
      ++h.n_outside;
    } else {
      ++h.n_inside;
      h.densities[static_cast<std::size_t>(bin[1] * n_bins + bin[0])] += 1.0;
    }
  }
  const double area = (high[0] - low[0]) * (high[1] - low[1]) / static_cast<double>(n_bins * n_bins);
  for (double& value : h.densities) value /= static_cast<double>(h.n_inside + h.n_outside) * area;
  return h;
}

Interval excess_kurtosis_interval(std::span<const float> values, std::uint64_t seed, std::uint64_t which,
                                  std::int64_t n_resamples) {
  require(n_resamples >= 2, "a bootstrap interval needs two resamples or more, found {}", n_resamples);
  const std::vector<float> x = sorted_finite(values);
  Interval result{nan, nan, nan};
  if (x.size() < 2) return result;
  const auto n = static_cast<double>(x.size());
  double mean = 0.0;
  for (const float v : x) mean += v / n;
  // Powers about one common point, so that a resample is four sums.
  struct Powers {
    double p[4];
  };
  std::vector<Powers> powers;
  powers.reserve(x.size());
  for (const float v : x) {
    const double d = v - mean;
    powers.push_back({{d, d * d, d * d * d, d * d * d * d}});
  }
  const auto kurtosis = [&](const double(&s)[4]) {
    const double m = s[0] / n, m2 = s[1] / n - m * m;
    const double m4 = s[3] / n - 4.0 * m * s[2] / n + 6.0 * m * m * s[1] / n - 3.0 * m * m * m * m;
    return m2 > 0.0 ? m4 / (m2 * m2) - 3.0 : nan;
  };
  double sums[4] = {};
  for (const Powers& value : powers) {
    for (int k = 0; k < 4; ++k) sums[k] += value.p[k];
  }
  result.value = kurtosis(sums);
  std::vector<double> resampled;
  Matrix<std::uint32_t> words(1, static_cast<std::int64_t>(x.size()));
  for (std::int64_t r = 0; r < n_resamples; ++r) {
    fill_words(seed, Stream::evaluation, evaluation_chain(EvaluationNoise::bootstrap, which),
               static_cast<std::uint64_t>(r), 1, words.view());
    double resum[4] = {};
    for (std::int64_t i = 0; i < words.size(); ++i) {
      const std::uint64_t pick = static_cast<std::uint64_t>(words.data()[i]) * x.size() >> 32;
      for (int k = 0; k < 4; ++k) resum[k] += powers[pick].p[k];
    }
    resampled.push_back(kurtosis(resum));
  }
  std::sort(resampled.begin(), resampled.end());
  const auto at = [&](double p) {
    return resampled[static_cast<std::size_t>(std::lround(p * static_cast<double>(n_resamples - 1)))];
  };
  result.low = at(0.025);
  result.high = at(0.975);
  return result;
}

}  // namespace tarn
