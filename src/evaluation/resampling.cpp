#include "tarn/evaluation/resampling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "evaluation_noise.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
// Chain numbers: set in the bits from 26 up, row below.
constexpr std::uint64_t most_sets = 64;  // of one call
constexpr int row_bits = 26;

// Type 7 of Hyndman and Fan 1996; `sorted` is not empty.
double quantile(const std::vector<double>& sorted, double p) {
  const double at = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

FiniteRows finite_rows(MatrixView<const float> rows) {
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    if (std::all_of(rows.row(i), rows.row(i) + rows.cols, [](float x) { return std::isfinite(x); })) kept.push_back(i);
  }
  return {gather_rows(rows, kept), rows.rows - static_cast<std::int64_t>(kept.size())};
}

Matrix<float> gather_rows(MatrixView<const float> x, std::span<const std::int64_t> indices) {
  Matrix<float> out(static_cast<std::int64_t>(indices.size()), x.cols);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    std::copy_n(x.row(indices[i]), x.cols, out.row(static_cast<std::int64_t>(i)));
  }
  return out;
}

std::vector<std::int64_t> random_subset(std::int64_t n, std::int64_t n_rows, std::uint64_t seed, std::uint64_t set,
                                        std::uint64_t replicate) {
  require(n >= 0 && n <= n_rows, "a subset of {} rows cannot be drawn from {}", n, n_rows);
  require(n_rows <= std::int64_t{1} << row_bits && set < std::uint64_t{1} << 14,
          "subsets are drawn from up to 2^26 rows, of sets numbered below 2^14; found {} and {}", n_rows, set);
  std::vector<std::int64_t> order(static_cast<std::size_t>(n_rows));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  Matrix<std::uint32_t> words(n, 1);
  if (n > 0)
    fill_words(seed, Stream::evaluation, evaluation_chain(EvaluationNoise::half_samples, set << row_bits), replicate, 1,
               words.view());
  for (std::int64_t i = 0; i < n; ++i) {  // Fisher and Yates, as far as needed
    const auto j = i + static_cast<std::int64_t>(
                           static_cast<std::uint64_t>(words(i, 0)) * static_cast<std::uint64_t>(n_rows - i) >> 32);
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]);
  }
  order.resize(static_cast<std::size_t>(n));
  return order;
}

std::vector<Interval> half_sample_intervals(const std::vector<double>& values, std::span<const std::int64_t> n_rows,
                                            std::uint64_t seed, std::uint64_t sets, std::int64_t n_resamples,
                                            const std::function<std::vector<double>(const HalfSample&)>& statistics) {
  require(n_resamples >= 2, "an interval needs two resamples or more, found {}", n_resamples);
  require(!n_rows.empty() && n_rows.size() <= most_sets && sets < 128,
          "an interval needs 1 to {} sets, numbered below 128; found {} and number {}", most_sets, n_rows.size(), sets);
  std::vector<Interval> result;
  for (const double value : values) result.push_back({value, nan, nan});
  // Of an odd count a little less than half is kept, and the spread is a little too large by this factor.
  const std::int64_t fewest = *std::min_element(n_rows.begin(), n_rows.end());
  if (fewest < 4) return result;
  const double scale = std::sqrt(static_cast<double>(fewest / 2) / static_cast<double>(fewest - fewest / 2));

  std::vector<std::vector<double>> resampled(static_cast<std::size_t>(n_resamples));
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t r = 0; r < n_resamples; ++r) {
    HalfSample half;
    for (std::size_t s = 0; s < n_rows.size(); ++s)
      half.push_back(
          random_subset(n_rows[s] / 2, n_rows[s], seed, sets * most_sets + s, static_cast<std::uint64_t>(r)));
    resampled[static_cast<std::size_t>(r)] = statistics(half);
  }
  for (std::size_t k = 0; k < values.size(); ++k) {
    std::vector<double> deviations;
    double mean = 0.0;
    for (const auto& of_resample : resampled) {
      deviations.push_back(of_resample.at(k));
      mean += of_resample[k];
    }
    mean /= static_cast<double>(n_resamples);
    if (!std::isfinite(mean) || !std::isfinite(values[k])) continue;
    for (double& d : deviations) d = scale * (d - mean);
    std::sort(deviations.begin(), deviations.end());
    result[k].low = values[k] - quantile(deviations, 0.975);
    result[k].high = values[k] - quantile(deviations, 0.025);
  }
  return result;
}

}  // namespace tarn
