#include "tarn/evaluation/neuron_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct MeanDeviation {
  double mean = nan, deviation = nan;
};

MeanDeviation mean_deviation(std::span<const double> values) {
  if (values.empty()) return {};
  const auto n = static_cast<double>(values.size());
  MeanDeviation r{0.0, 0.0};
  for (const double v : values) r.mean += v / n;
  for (const double v : values) r.deviation += (v - r.mean) * (v - r.mean) / n;
  r.deviation = std::sqrt(r.deviation);
  return r;
}

double dot(const float* a, const float* b, std::size_t n) {
  double part[4] = {};  // four sums, so that one addition need not wait for the last
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (std::size_t k = 0; k < 4; ++k) part[k] += static_cast<double>(a[i + k]) * b[i + k];
  }
  for (; i < n; ++i) part[0] += static_cast<double>(a[i]) * b[i];
  return (part[0] + part[1]) + (part[2] + part[3]);
}

// 1 - a over 1 - 1/n, of sums over n rates.
double sparseness(double sum, double squares, double n) {
  if (!(squares > 0.0) || n < 2.0) return nan;
  return (1.0 - sum * sum / (n * squares)) / (1.0 - 1.0 / n);
}

// Spread that is more than rounding of the values that it is taken from.
bool is_constant(double deviation, double mean) { return !(deviation > 1e-6 * std::abs(mean)); }

}  // namespace

Activity::Activity(MatrixView<const float> rates, std::int64_t n_chains, std::span<const std::int64_t> group)
    : n_neurons_(rates.cols) {
  require(n_chains >= 1 && rates.cols >= 1 && rates.rows >= n_chains && rates.rows % n_chains == 0,
          "activity of {} rows and {} neurons is not that of {} chains", rates.rows, rates.cols, n_chains);
  require(group.empty() || static_cast<std::int64_t>(group.size()) == n_chains, "{} groups for {} chains", group.size(),
          n_chains);
  n_draws_ = rates.rows / n_chains;
  for (std::int64_t c = 0; c < n_chains; ++c) {
    const float* begin = rates.row(c * n_draws_);
    if (!std::all_of(begin, begin + n_draws_ * n_neurons_, [](float v) { return std::isfinite(v); })) {
      ++n_spoiled_;
      continue;
    }
    chains_.push_back(c);
    groups_.push_back(group.empty() ? 0 : group[static_cast<std::size_t>(c)]);
  }
  values_.resize(static_cast<std::size_t>(n_neurons_ * this->n_chains() * n_draws_));
  for (std::int64_t i = 0; i < this->n_chains(); ++i) {
    for (std::int64_t t = 0; t < n_draws_; ++t) {
      const float* row = rates.row(chain(i) * n_draws_ + t);
      for (std::int64_t j = 0; j < n_neurons_; ++j)
        values_[static_cast<std::size_t>((j * this->n_chains() + i) * n_draws_ + t)] = row[j];
    }
  }
}

Matrix<float> Activity::residuals(std::int64_t j) const {
  const std::span<const float> rates = neuron(j);
  struct Sum {
    double sum = 0.0, n = 0.0;
  };
  std::map<std::int64_t, Sum> sums;
  for (std::int64_t i = 0; i < n_chains(); ++i) {
    Sum& s = sums[group(i)];
    for (std::int64_t t = 0; t < n_draws_; ++t) s.sum += rates[static_cast<std::size_t>(i * n_draws_ + t)];
    s.n += static_cast<double>(n_draws_);
  }
  Matrix<float> result(n_chains(), n_draws_);
  for (std::int64_t i = 0; i < n_chains(); ++i) {
    const Sum& s = sums.at(group(i));
    for (std::int64_t t = 0; t < n_draws_; ++t)
      result(i, t) = static_cast<float>(rates[static_cast<std::size_t>(i * n_draws_ + t)] - s.sum / s.n);
  }
  return result;
}

TuningCurves tuning_curves(const Activity& activity, std::span<const float> stimulus, std::int64_t n_bins) {
  require(n_bins >= 1, "a tuning curve needs bins, found {}", n_bins);
  const std::int64_t C = activity.n_chains(), T = activity.n_draws(), J = activity.n_neurons();
  require(static_cast<std::int64_t>(stimulus.size()) == (C + activity.n_spoiled()) * T,
          "{} values of the stimulus for {} chains of {} draws", stimulus.size(), C + activity.n_spoiled(), T);
  // draws with a stimulus, in the order of the activity
  std::vector<float> s;
  s.reserve(static_cast<std::size_t>(C * T));
  for (std::int64_t i = 0; i < C; ++i) {
    for (std::int64_t t = 0; t < T; ++t) s.push_back(stimulus[static_cast<std::size_t>(activity.chain(i) * T + t)]);
  }
  std::vector<float> sorted;
  std::copy_if(s.begin(), s.end(), std::back_inserter(sorted), [](float v) { return std::isfinite(v); });
  std::sort(sorted.begin(), sorted.end());
  TuningCurves curves;
  if (sorted.empty()) {
    curves.mean = curves.error = Matrix<double>(J, 0);
    return curves;
  }
  std::vector<float> edges;  // first value of each bin but the first
  for (std::int64_t k = 1; k < n_bins; ++k) {
    const float edge = sorted[sorted.size() * static_cast<std::size_t>(k) / static_cast<std::size_t>(n_bins)];
    if (edge > (edges.empty() ? sorted.front() : edges.back())) edges.push_back(edge);
  }
  const auto B = static_cast<std::int64_t>(edges.size()) + 1;
  std::vector<std::int64_t> bin(s.size(), -1);
  curves.stimulus.assign(static_cast<std::size_t>(B), 0.0);
  curves.counts.assign(static_cast<std::size_t>(B), 0);
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (!std::isfinite(s[i])) continue;
    bin[i] = std::upper_bound(edges.begin(), edges.end(), s[i]) - edges.begin();
    curves.stimulus[static_cast<std::size_t>(bin[i])] += s[i];
    ++curves.counts[static_cast<std::size_t>(bin[i])];
  }
  for (std::size_t b = 0; b < curves.counts.size(); ++b) curves.stimulus[b] /= static_cast<double>(curves.counts[b]);

  curves.mean = curves.error = Matrix<double>(J, B);
  Matrix<double> sum(C, B), count(C, B);
  for (std::int64_t i = 0; i < C; ++i) {
    for (std::int64_t t = 0; t < T; ++t) {
      if (const std::int64_t b = bin[static_cast<std::size_t>(i * T + t)]; b >= 0) count(i, b) += 1.0;
    }
  }
  for (std::int64_t j = 0; j < J; ++j) {
    const std::span<const float> rates = activity.neuron(j);
    std::fill_n(sum.data(), sum.size(), 0.0);
    for (std::int64_t i = 0; i < C; ++i) {
      for (std::int64_t t = 0; t < T; ++t) {
        const auto at = static_cast<std::size_t>(i * T + t);
        if (bin[at] >= 0) sum(i, bin[at]) += rates[at];
      }
    }
    for (std::int64_t b = 0; b < B; ++b) {
      double total = 0.0, n = 0.0, square = 0.0, n_chains = 0.0;
      for (std::int64_t i = 0; i < C; ++i) {
        total += sum(i, b);
        n += count(i, b);
      }
      const double mean = total / n;
      for (std::int64_t i = 0; i < C; ++i) {
        if (count(i, b) == 0.0) continue;
        const double e = sum(i, b) - mean * count(i, b);
        square += e * e;
        n_chains += 1.0;
      }
      curves.mean(j, b) = mean;
      curves.error(j, b) = n_chains > 1.0 ? std::sqrt(square * n_chains / (n_chains - 1.0)) / n : nan;
    }
  }
  return curves;
}

std::vector<double> selectivity(const TuningCurves& curves) {
  std::vector<double> result;
  for (std::int64_t j = 0; j < curves.mean.rows(); ++j) {
    double low = HUGE_VAL, high = -HUGE_VAL, square = 0.0;
    for (std::int64_t b = 0; b < curves.mean.cols(); ++b) {
      low = std::min(low, curves.mean(j, b));
      high = std::max(high, curves.mean(j, b));
      square += curves.error(j, b) * curves.error(j, b) / static_cast<double>(curves.mean.cols());
    }
    result.push_back(square > 0.0 ? (high - low) / std::sqrt(square) : nan);
  }
  return result;
}

RateStatistics rate_statistics(const Activity& activity) {
  const std::int64_t J = activity.n_neurons();
  const auto n = static_cast<std::size_t>(activity.n_chains() * activity.n_draws());
  RateStatistics r;
  std::vector<double> sums(n, 0.0), squares(n, 0.0), size;  // over neurons, of each draw
  double negative = 0.0;
  for (std::int64_t j = 0; j < J; ++j) {
    const std::span<const float> rates = activity.neuron(j);
    double sum = 0.0, absolute = 0.0, positive = 0.0, square = 0.0, variance = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      const double v = rates[i], p = std::max(v, 0.0);
      sum += v;
      absolute += std::abs(v);
      positive += p;
      square += p * p;
      sums[i] += p;
      squares[i] += p * p;
      negative += v < 0.0 ? 1.0 : 0.0;
    }
    const auto count = static_cast<double>(n);
    r.mean.push_back(n > 0 ? sum / count : nan);
    for (std::size_t i = 0; i < n; ++i) variance += (rates[i] - r.mean.back()) * (rates[i] - r.mean.back());
    r.deviation.push_back(n > 0 ? std::sqrt(variance / count) : nan);
    r.lifetime_sparseness.push_back(sparseness(positive, square, count));
    size.push_back(n > 0 ? absolute / count : nan);
    r.n_constant += n > 0 && is_constant(r.deviation.back(), r.mean.back()) ? 1 : 0;
  }
  double population = 0.0, counted = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double s = sparseness(sums[i], squares[i], static_cast<double>(J));
    if (std::isnan(s)) continue;  // no neuron is active at this draw
    population += s;
    counted += 1.0;
  }
  r.population_sparseness = counted > 0.0 ? population / counted : nan;
  r.negative_share = n > 0 ? negative / (static_cast<double>(n) * static_cast<double>(J)) : nan;
  const double typical = std::accumulate(size.begin(), size.end(), 0.0) / static_cast<double>(J);
  r.n_silent = std::count_if(size.begin(), size.end(), [&](double v) { return v <= 0.01 * typical; });
  return r;
}

NoiseCorrelations noise_correlations(const Activity& activity, std::int64_t most_neurons) {
  require(most_neurons >= 1, "noise correlations need neurons, found {}", most_neurons);
  const std::int64_t C = activity.n_chains(), T = activity.n_draws(), J = std::min(most_neurons, activity.n_neurons());
  NoiseCorrelations result;
  result.n_neurons = J;
  // chains of one group, in order
  std::map<std::int64_t, std::vector<std::int64_t>> members;
  for (std::int64_t i = 0; i < C; ++i) members[activity.group(i)].push_back(i);
  std::size_t smallest = members.empty() ? 0 : static_cast<std::size_t>(C);
  for (const auto& [group, chains] : members) smallest = std::min(smallest, chains.size());
  const bool turn_time = smallest < 2;
  const std::int64_t turns = std::max<std::int64_t>(turn_time ? T : static_cast<std::int64_t>(smallest), 1);
  // in time by golden sections of the chain, which lie apart however many there are
  const auto turn_of = [&](std::int64_t k) {
    return (turn_time ? k * std::max<std::int64_t>(std::llround(0.618 * static_cast<double>(T)), 1) : k) % turns;
  };
  const auto apart = [&](std::int64_t a, std::int64_t b) {
    const std::int64_t gap = std::abs(a - b);
    return turn_time ? 10 * std::min(gap, T - gap) >= T : gap > 0;
  };

  struct Neuron {
    Matrix<float> z, turned;  // standardised residuals, as they are and turned
    std::int64_t turn = 0;
  };
  std::vector<Neuron> neurons;
  for (std::int64_t k = 0; k < J; ++k) {
    const std::int64_t j = k * activity.n_neurons() / J;
    Neuron neuron{activity.residuals(j), Matrix<float>(C, T), turn_of(k)};
    const auto n = static_cast<double>(C * T);
    const std::span<const float> rates = activity.neuron(j);
    double mean = 0.0, square = 0.0;
    for (const float v : rates) mean += v / n;
    for (std::int64_t i = 0; i < neuron.z.size(); ++i) square += std::pow(neuron.z.data()[i], 2.0) / n;
    if (is_constant(std::sqrt(square), mean)) {
      ++result.n_constant;
      continue;
    }
    const auto scale = static_cast<float>(1.0 / std::sqrt(square));
    for (std::int64_t i = 0; i < neuron.z.size(); ++i) neuron.z.data()[i] *= scale;
    for (const auto& [group, chains] : members) {
      const auto size = static_cast<std::int64_t>(chains.size());
      for (std::int64_t i = 0; i < size; ++i) {
        const float* from = neuron.z.row(chains[static_cast<std::size_t>(turn_time ? i : (i + neuron.turn) % size)]);
        float* to = neuron.turned.row(chains[static_cast<std::size_t>(i)]);
        for (std::int64_t t = 0; t < T; ++t) to[t] = from[turn_time ? (t + neuron.turn) % T : t];
      }
    }
    neurons.push_back(std::move(neuron));
  }
  const auto size = static_cast<std::size_t>(C * T);
  for (std::size_t a = 0; a < neurons.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      const auto pearson = [&](const Matrix<float>& x, const Matrix<float>& y) {
        return std::clamp(dot(x.data(), y.data(), size) / static_cast<double>(size), -1.0, 1.0);
      };
      result.pairs.push_back(pearson(neurons[a].z, neurons[b].z));
      if (apart(neurons[a].turn, neurons[b].turn))
        result.shuffled.push_back(pearson(neurons[a].turned, neurons[b].turned));
    }
  }
  const MeanDeviation own = mean_deviation(result.pairs), chance = mean_deviation(result.shuffled);
  result.mean = own.mean;
  result.deviation = own.deviation;
  result.shuffled_mean = chance.mean;
  result.shuffled_deviation = chance.deviation;
  return result;
}

}  // namespace tarn
