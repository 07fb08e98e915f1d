#include "tarn/evaluation/sampler_speed.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Draws of one stretch, by coordinate: `[n_chains, n_draws]` each, and those of the energy last.
struct Stretch {
  std::vector<Matrix<float>> draws;
  std::vector<bool> lost;  // chains
};

Stretch take(RunningChains& chains, std::int64_t n_draws, std::int64_t spacing) {
  const std::int64_t n = chains.n_chains(), d = chains.n_coordinates();
  Stretch s;
  for (std::int64_t k = 0; k <= d; ++k) s.draws.emplace_back(n, n_draws);
  s.lost.assign(static_cast<std::size_t>(n), false);
  Matrix<float> x(n, d);
  std::vector<float> energy(static_cast<std::size_t>(n));
  for (std::int64_t t = 0; t < n_draws; ++t) {
    chains.advance(spacing);
    chains.read(x, energy);
    for (std::int64_t i = 0; i < n; ++i) {
      const float e = energy[static_cast<std::size_t>(i)];
      bool well = std::isfinite(e);
      for (std::int64_t k = 0; k < d; ++k) {
        s.draws[static_cast<std::size_t>(k)](i, t) = x(i, k);
        well = well && std::isfinite(x(i, k));
      }
      s.draws.back()(i, t) = e;
      if (!well) s.lost[static_cast<std::size_t>(i)] = true;
    }
  }
  return s;
}

// Takes each law's mean off and returns it, `[n_laws]`; lost chains read NaN. `spread` is the mean square of what is left.
std::vector<double> centre(Matrix<float>& draws, std::int64_t chains_a_law, const std::vector<bool>& lost,
                           double& spread) {
  std::vector<double> means;
  double squares = 0.0, n_all = 0.0;
  for (std::int64_t begin = 0; begin < draws.rows(); begin += chains_a_law) {
    double sum = 0.0, n = 0.0;
    const auto each = [&](auto f) {
      for (std::int64_t i = begin; i < begin + chains_a_law; ++i) {
        if (!lost[static_cast<std::size_t>(i)]) std::for_each(draws.row(i), draws.row(i) + draws.cols(), f);
      }
    };
    each([&](float v) { sum += v, n += 1.0; });
    const double mean = n > 0.0 ? sum / n : nan;
    each([&](float& v) {
      v = static_cast<float>(v - mean);
      squares += static_cast<double>(v) * v;
    });
    n_all += n;
    means.push_back(mean);
  }
  for (std::int64_t i = 0; i < draws.rows(); ++i) {
    if (lost[static_cast<std::size_t>(i)])
      std::fill_n(draws.row(i), draws.cols(), std::numeric_limits<float>::quiet_NaN());
  }
  spread = squares / n_all;
  return means;
}

// The slowest of the first `n` entries, in draws.
struct Slowest {
  SpeedOf speed{-1, 0.0, 0.0};
  bool settled = true;
  void add(const AutocorrelationTime& t, std::int64_t coordinate) {
    settled = settled && t.settled;
    if (std::isnan(speed.time) || t.time <= speed.time) return;  // a NaN stays
    speed = {coordinate, t.time, t.standard_error};
  }
};

// Of a stretch whose means are taken off already; times in draws.
struct Times {
  Slowest x, square, energy;
  double longest() const {
    const double a = x.speed.time, b = square.speed.time, c = energy.speed.time;
    return std::isnan(a + b + c) ? nan : std::max({a, b, c});
  }
  bool settled() const { return x.settled && square.settled && energy.settled; }
};

Times times_of(const std::vector<Matrix<float>>& draws, std::int64_t chains_a_law, const std::vector<bool>& lost) {
  const auto d = static_cast<std::int64_t>(draws.size()) - 1;
  std::vector<AutocorrelationTime> of_x(static_cast<std::size_t>(d)), of_square(static_cast<std::size_t>(d));
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t k = 0; k < d; ++k) {
    const auto at = static_cast<std::size_t>(k);
    Matrix<float> values = draws[at];
    of_x[at] = integrated_autocorrelation_time(values.view());
    for (std::int64_t i = 0; i < values.size(); ++i) values.data()[i] *= values.data()[i];
    double spread = 0.0;
    centre(values, chains_a_law, lost, spread);  // laws differ in their variance
    of_square[at] = integrated_autocorrelation_time(values.view());
  }
  Times times;
  for (std::int64_t k = 0; k < d; ++k) {
    times.x.add(of_x[static_cast<std::size_t>(k)], k);
    times.square.add(of_square[static_cast<std::size_t>(k)], k);
  }
  times.energy.add(integrated_autocorrelation_time(draws.back().view()), -1);
  return times;
}

SpeedOf in_steps(SpeedOf speed, std::int64_t spacing) {
  speed.time *= static_cast<double>(spacing);
  speed.standard_error *= static_cast<double>(spacing);
  return speed;
}

}  // namespace

SpeedOf SamplerSpeed::worst() const {
  SpeedOf slowest = x;
  for (const SpeedOf& other : {square, energy}) {
    if (std::isnan(slowest.time)) return slowest;
    if (!(other.time <= slowest.time)) slowest = other;
  }
  return slowest;
}

SamplerSpeed measure_speed(RunningChains& chains, const SpeedSettings& settings) {
  const std::int64_t n = chains.n_chains(), d = chains.n_coordinates(), a_law = chains.chains_a_law();
  require(n > 0 && d > 0 && a_law > 0 && n % a_law == 0, "sampler speed: {} chains, {} a law, {} coordinates", n, a_law,
          d);
  require(settings.n_draws >= 20 && settings.longest_spacing >= 1,
          "sampler speed: needs at least 20 draws and steps between them, found {} and {}", settings.n_draws,
          settings.longest_spacing);
  SamplerSpeed speed;
  // A run of which a time is more than this share asks for wider spacing.
  const double most = static_cast<double>(settings.n_draws) / settings.times_a_run;
  for (std::int64_t spacing = 1;;) {
    Stretch stretch = take(chains, settings.n_draws, spacing);
    speed.spacing = spacing;
    speed.n_lost = std::count(stretch.lost.begin(), stretch.lost.end(), true);
    speed.mean = Matrix<double>(n / a_law, d);
    speed.variance.assign(static_cast<std::size_t>(d), nan);
    for (std::int64_t k = 0; k <= d; ++k) {
      double spread = nan;
      const std::vector<double> means = centre(stretch.draws[static_cast<std::size_t>(k)], a_law, stretch.lost, spread);
      if (k == d) break;
      for (std::size_t law = 0; law < means.size(); ++law) speed.mean(static_cast<std::int64_t>(law), k) = means[law];
      speed.variance[static_cast<std::size_t>(k)] = spread;
    }
    const Times times = times_of(stretch.draws, a_law, stretch.lost);
    const double longest = times.longest();
    speed.x = in_steps(times.x.speed, spacing);
    speed.square = in_steps(times.square.speed, spacing);
    speed.energy = in_steps(times.energy.speed, spacing);
    speed.settled = times.settled() && longest <= most;
    if (speed.n_lost == n || speed.settled || 2 * spacing > settings.longest_spacing) return speed;
    // From a time that is known as far as the run is long, to one that is so many draws.
    const double wanted = std::isnan(longest) ? 2.0 : longest / settings.draws_a_time;
    const double factor = std::exp2(std::ceil(std::log2(std::max(2.0, wanted))));
    spacing = std::min(settings.longest_spacing, spacing * static_cast<std::int64_t>(factor));
  }
}

double variance_bias(std::span<const double> variance, std::span<const double> reference, int n_groups) {
  const auto n = static_cast<std::int64_t>(reference.size());
  require(n > 0 && variance.size() == reference.size() && n_groups > 0,
          "variance bias: {} variances beside {} to compare with", variance.size(), reference.size());
  std::vector<std::size_t> order(reference.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return reference[a] < reference[b]; });
  const std::int64_t groups = std::min<std::int64_t>(n, n_groups);
  double worst = 0.0;
  for (std::int64_t g = 0; g < groups; ++g) {
    double ratio = 0.0;
    const std::int64_t begin = g * n / groups, end = (g + 1) * n / groups;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::size_t at = order[static_cast<std::size_t>(i)];
      ratio += variance[at] / reference[at] / static_cast<double>(end - begin);
    }
    if (std::isnan(ratio)) return ratio;
    if (std::abs(ratio - 1.0) > std::abs(worst)) worst = ratio - 1.0;
  }
  return worst;
}

double distance_of_means(MatrixView<const float> x, std::int64_t chains_a_law, MatrixView<const double> mean,
                         std::span<const double> variance) {
  require(
      chains_a_law > 1 && x.rows == mean.rows * chains_a_law && x.cols == mean.cols && std::ssize(variance) == x.cols,
      "distance of means: {} x {} states of {} laws, {} chains each", x.rows, x.cols, mean.rows, chains_a_law);
  const auto C = static_cast<double>(chains_a_law);
  double sum = 0.0;
  for (std::int64_t law = 0; law < mean.rows; ++law) {
    for (std::int64_t k = 0; k < x.cols; ++k) {
      double first = 0.0, second = 0.0;
      for (std::int64_t c = 0; c < chains_a_law; ++c) {
        const double v = x(law * chains_a_law + c, k) - mean(law, k);
        first += v;
        second += v * v;
      }
      const double off = first / C, own = (second - first * first / C) / (C - 1.0) / C;
      sum += (off * off - own) / variance[static_cast<std::size_t>(k)];
    }
  }
  return std::sqrt(std::max(0.0, sum / static_cast<double>(mean.rows * x.cols)));
}

}  // namespace tarn
