#include "tarn/evaluation/one_dimensional.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "batch_function.hpp"
#include "evaluation_noise.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

void check(const Bins& bins) {
  require(bins.n_bins >= 1 && bins.n_bins <= (1 << 24) && std::isfinite(bins.low) && std::isfinite(bins.high) &&
              bins.low < bins.high,
          "a histogram needs 1 to 2^24 bins between finite limits, found {} bins from {} to {}", bins.n_bins, bins.low,
          bins.high);
}

std::vector<double> sorted_finite(std::span<const float> draws) {
  std::vector<double> values;
  values.reserve(draws.size());
  for (const float x : draws) {
    if (std::isfinite(x)) values.push_back(x);
  }
  std::sort(values.begin(), values.end());
  return values;
}

Floor summarise(const std::vector<double>& values) {
  Floor floor;
  const auto n = static_cast<double>(values.size());
  for (const double v : values) {
    floor.mean += v / n;
    floor.largest = std::max(floor.largest, v);
  }
  for (const double v : values) floor.deviation += (v - floor.mean) * (v - floor.mean);
  floor.deviation = values.size() > 1 ? std::sqrt(floor.deviation / (n - 1.0)) : nan;
  return floor;
}

// `fill(replicate, draws)` writes exact draws.
template <class Fill>
SamplingFloors floors(const Law1d& law, std::int64_t n_draws, const Bins& bins, std::int64_t n_replicates, Fill fill) {
  require(n_draws >= 1 && n_replicates >= 1 && n_draws * n_replicates < std::int64_t{1} << 40,
          "floors need 1 or more draws and replicates, below 2^40 in all; found {} and {}", n_draws, n_replicates);
  std::vector<double> raw, corrected, w1;
  Matrix<float> draws(n_draws, 1);
  for (std::int64_t r = 0; r < n_replicates; ++r) {
    fill(r, draws.view());
    const std::span<const float> values(draws.data(), static_cast<std::size_t>(n_draws));
    const HistogramKl kl = histogram_kl(histogram(values, bins), law);
    raw.push_back(kl.raw);
    corrected.push_back(kl.corrected);
    w1.push_back(wasserstein_1(values, law).value);
  }
  return {n_draws, n_replicates, summarise(raw), summarise(corrected), summarise(w1)};
}

}  // namespace

std::vector<double> Histogram::densities() const {
  const auto total = static_cast<double>(n_inside + n_outside);
  std::vector<double> result;
  for (const auto count : counts) result.push_back(static_cast<double>(count) / total / bin_width());
  return result;
}

Histogram histogram(std::span<const float> draws, const Bins& bins) {
  check(bins);
  Histogram h{bins, std::vector<std::int64_t>(static_cast<std::size_t>(bins.n_bins)), 0, 0, 0, 0};
  h.n_draws = static_cast<std::int64_t>(draws.size());
  for (const float draw : draws) {
    const double x = draw;
    if (!std::isfinite(x)) {
      ++h.n_not_finite;
    } else if (x < bins.low || x > bins.high) {
      ++h.n_outside;
    } else {
      const double position = (x - bins.low) / (bins.high - bins.low) * static_cast<double>(bins.n_bins);
      ++h.counts[static_cast<std::size_t>(std::min(static_cast<std::int64_t>(position), bins.n_bins - 1))];
      ++h.n_inside;
    }
  }
  return h;
}

HistogramKl histogram_kl(const Histogram& q, const std::function<double(double)>& cdf) {
  check(q.bins);
  HistogramKl result;
  result.n_inside = q.n_inside;
  result.n_not_finite = q.n_not_finite;
  const auto n_finite = static_cast<double>(q.n_inside + q.n_outside);
  result.outside_share = n_finite > 0.0 ? static_cast<double>(q.n_outside) / n_finite : nan;
  const double bottom = cdf(q.bins.low), top = cdf(q.bins.high), mass = top - bottom;
  result.outside_law = 1.0 - mass;
  const auto n = static_cast<double>(q.n_inside);
  double left = bottom;
  for (std::int64_t i = 0; i < q.bins.n_bins; ++i) {
    const double share = static_cast<double>(i + 1) / static_cast<double>(q.bins.n_bins);
    const double right = i + 1 == q.bins.n_bins ? top : cdf(q.bins.low + (q.bins.high - q.bins.low) * share);
    const double p = right - left, count = static_cast<double>(q.counts[static_cast<std::size_t>(i)]);
    if (p > 0.0) ++result.n_possible;
    if (count > 0.0) result.raw += count / n * std::log(count / n * mass / std::max(p, 0.0));
    left = right;
  }
  if (q.n_inside == 0) result.raw = nan;
  result.corrected = result.raw - static_cast<double>(result.n_possible - 1) / (2.0 * n);
  return result;
}

HistogramKl histogram_kl(const Histogram& q, const Law1d& p) {
  return histogram_kl(q, [&p](double x) { return p.cdf(x); });
}

SampleDistance wasserstein_1(std::span<const float> draws, const Law1d& law) {
  const std::vector<double> x = sorted_finite(draws);
  SampleDistance result{nan, static_cast<std::int64_t>(draws.size()),
                        static_cast<std::int64_t>(draws.size() - x.size())};
  if (x.empty()) return result;
  const auto n = static_cast<double>(x.size());
  // Below the first draw F_n = 0, above the last F_n = 1; in between it is i / n from draw i - 1 to draw i.
  double integral_a = law.integrated_cdf(x.front()), cdf_a = law.cdf(x.front()), sum = integral_a;
  for (std::size_t i = 1; i < x.size(); ++i) {
    const double a = x[i - 1], b = x[i], level = static_cast<double>(i) / n;
    const double integral_b = law.integrated_cdf(b), cdf_b = law.cdf(b);
    if (cdf_a >= level || cdf_b <= level) {
      sum += std::abs(integral_b - integral_a - level * (b - a));
    } else {
      const double crossing = std::clamp(law.quantile(level), a, b), middle = law.integrated_cdf(crossing);
      sum += level * (crossing - a) - (middle - integral_a) + integral_b - middle - level * (b - crossing);
    }
    integral_a = integral_b;
    cdf_a = cdf_b;
  }
  const double end = std::max(law.high(), x.back());
  sum += (end - x.back()) - (law.integrated_cdf(end) - law.integrated_cdf(x.back()));
  result.value = sum;
  return result;
}

SampleDistance wasserstein_1(std::span<const float> a, std::span<const float> b) {
  const std::vector<double> x = sorted_finite(a), y = sorted_finite(b);
  SampleDistance result{nan, static_cast<std::int64_t>(a.size() + b.size()),
                        static_cast<std::int64_t>(a.size() + b.size() - x.size() - y.size())};
  if (x.empty() || y.empty()) return result;
  const auto n = static_cast<double>(x.size()), m = static_cast<double>(y.size());
  result.value = 0.0;
  std::size_t i = 0, j = 0;
  double last = std::min(x[0], y[0]);
  while (i < x.size() || j < y.size()) {
    const bool from_x = j == y.size() || (i < x.size() && x[i] <= y[j]);
    const double next = from_x ? x[i] : y[j];
    result.value += std::abs(static_cast<double>(i) / n - static_cast<double>(j) / m) * (next - last);
    last = next;
    ++(from_x ? i : j);
  }
  return result;
}

std::vector<double> ScoreGrid::points() const {
  require(step > 0.0 && high >= low && (high - low) / step < 1e7,
          "a score grid from {} to {} in steps of {} is not one", low, high, step);
  const auto n = static_cast<std::int64_t>(std::floor((high - low) / step + 1e-6));
  std::vector<double> x;
  for (std::int64_t i = 0; i <= n; ++i) x.push_back(low + step * static_cast<double>(i));
  return x;
}

double score_error_on_grid(const BatchFunction1d& score, const BatchFunction1d& true_score, const Law1d& law,
                           const ScoreGrid& grid) {
  const std::vector<double> x = grid.points(), s = evaluate(score, x), truth = evaluate(true_score, x);
  double sum = 0.0, mass = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double weight = std::exp(law.log_density(x[i]));
    mass += weight;
    sum += weight * (s[i] - truth[i]) * (s[i] - truth[i]);
  }
  return sum / mass;
}

double score_error(const BatchFunction1d& score, const BatchFunction1d& true_score, const Law1d& law) {
  const std::vector<double> s = evaluate(score, law.nodes()), truth = evaluate(true_score, law.nodes());
  double sum = 0.0;
  for (std::size_t i = 0; i < s.size(); ++i) sum += law.weights()[i] * (s[i] - truth[i]) * (s[i] - truth[i]);
  return sum;
}

BatchFunction1d score_of(const Target& target, double sigma) {
  require(target.dimension() == 1, "a score on the line needs a target of dimension 1; {} has dimension {}",
          target.name(), target.dimension());
  return [&target, sigma](std::span<const double> x, std::span<double> score) {
    for (std::size_t i = 0; i < x.size(); ++i) target.score(&x[i], sigma, &score[i]);
  };
}

BatchFunction1d from_float(std::function<void(MatrixView<const float> x, MatrixView<float> score)> score) {
  return [score = std::move(score)](std::span<const double> x, std::span<double> values) {
    const auto n = static_cast<std::int64_t>(x.size());
    Matrix<float> points(n, 1), result(n, 1);
    for (std::int64_t i = 0; i < n; ++i) points(i, 0) = static_cast<float>(x[static_cast<std::size_t>(i)]);
    score(points.view(), result.view());
    for (std::int64_t i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = result(i, 0);
  };
}

SamplingFloors sampling_floors(const Target& target, double sigma, std::int64_t n_draws, const Bins& bins,
                               std::uint64_t seed, std::int64_t n_replicates, double reference_sigma) {
  const Law1d law = Law1d::from_target(target, reference_sigma < 0.0 ? sigma : reference_sigma);
  Matrix<float> noise(sigma > 0.0 ? n_draws : 0, 1);
  return floors(law, n_draws, bins, n_replicates, [&](std::int64_t r, MatrixView<float> out) {
    const auto first = evaluation_chain(EvaluationNoise::floor_smoothing,
                                        static_cast<std::uint64_t>(r) * static_cast<std::uint64_t>(n_draws));
    target.draw(seed, first, out);
    if (noise.empty()) return;
    fill_normals(seed, Stream::evaluation, first, 0, 1, noise.view());
    for (std::int64_t i = 0; i < n_draws; ++i) out(i, 0) += static_cast<float>(sigma) * noise(i, 0);
  });
}

SamplingFloors sampling_floors(const Law1d& law, std::int64_t n_draws, const Bins& bins, std::uint64_t seed,
                               std::int64_t n_replicates) {
  Matrix<std::uint32_t> words(n_draws, 1);
  return floors(law, n_draws, bins, n_replicates, [&](std::int64_t r, MatrixView<float> out) {
    const auto first = evaluation_chain(EvaluationNoise::floor_uniform,
                                        static_cast<std::uint64_t>(r) * static_cast<std::uint64_t>(n_draws));
    fill_words(seed, Stream::evaluation, first, 0, 1, words.view());
    for (std::int64_t i = 0; i < n_draws; ++i) {
      out(i, 0) = static_cast<float>(law.quantile(uniform_from_word(words(i, 0))));
    }
  });
}

}  // namespace tarn
