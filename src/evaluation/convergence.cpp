#include "tarn/evaluation/convergence.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "tarn/core/error.hpp"
#include "tarn/evaluation/moments.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t fewest_draws = 4;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// First and second half of each chain as chains of their own; the middle draw of an odd number belongs to neither.
Matrix<double> split(MatrixView<const float> draws) {
  const std::int64_t half = draws.cols / 2;
  Matrix<double> halves(2 * draws.rows, half);
  for (std::int64_t i = 0; i < draws.rows; ++i) {
    std::copy_n(draws.row(i), half, halves.row(i));
    std::copy_n(draws.row(i) + draws.cols - half, half, halves.row(draws.rows + i));
  }
  return halves;
}

bool has_spread(const Matrix<double>& x) {
  return x.size() > 0 && std::any_of(x.data(), x.data() + x.size(), [&](double v) { return v != x.data()[0]; });
}

// Each value by the normal quantile of its rank among all, ties by their mean rank (Blom's plotting positions).
Matrix<double> rank_normalised(const Matrix<double>& x) {
  const std::int64_t n = x.size();
  std::vector<std::int64_t> order(at(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return x.data()[a] < x.data()[b]; });
  Matrix<double> z(x.rows(), x.cols());
  for (std::int64_t first = 0; first < n;) {
    std::int64_t end = first + 1;
    while (end < n && x.data()[order[at(end)]] == x.data()[order[at(first)]]) ++end;
    const double rank = 0.5 * static_cast<double>(first + 1 + end);  // ranks first + 1 to end
    const double p = (rank - 0.375) / (static_cast<double>(n) + 0.25);
    const double quantile = -std::sqrt(2.0) * boost::math::erfc_inv(2.0 * p);
    for (; first < end; ++first) z.data()[order[at(first)]] = quantile;
  }
  return z;
}

double mean_of(const double* x, std::int64_t n) { return std::accumulate(x, x + n, 0.0) / static_cast<double>(n); }

// Divisor n - 1.
double variance_of(const double* x, std::int64_t n) {
  const double mean = mean_of(x, n);
  double sum = 0.0;
  for (std::int64_t i = 0; i < n; ++i) sum += (x[i] - mean) * (x[i] - mean);
  return sum / static_cast<double>(n - 1);
}

double plain_r_hat(const Matrix<double>& x) {
  if (!has_spread(x)) return nan;
  std::vector<double> means;
  double within = 0.0;
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    means.push_back(mean_of(x.row(i), x.cols()));
    within += variance_of(x.row(i), x.cols()) / static_cast<double>(x.rows());
  }
  const double between = variance_of(means.data(), x.rows());  // of the means: n draws' worth less than B of the paper
  const double n = static_cast<double>(x.cols());
  return std::sqrt(between / within + (n - 1.0) / n);
}

double folded_r_hat(const Matrix<double>& halves) {
  std::vector<double> sorted(halves.data(), halves.data() + halves.size());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  double median = *middle;
  if (sorted.size() % 2 == 0) median = 0.5 * (median + *std::max_element(sorted.begin(), middle));
  Matrix<double> folded(halves.rows(), halves.cols());
  std::transform(halves.data(), halves.data() + halves.size(), folded.data(),
                 [&](double v) { return std::abs(v - median); });
  return plain_r_hat(rank_normalised(folded));
}

// For the probability of being at or below the quantile `p`.
double quantile_ess(MatrixView<const float> draws, const Matrix<double>& halves, double p) {
  const double probability[] = {p};
  const double threshold = quantiles(std::span<const float>(draws.data, at(draws.rows * draws.cols)), probability)[0];
  Matrix<double> below(halves.rows(), halves.cols());
  std::transform(halves.data(), halves.data() + halves.size(), below.data(),
                 [&](double v) { return v <= threshold ? 1.0 : 0.0; });
  return effective_sample_size(below.view());
}

// Chains without a draw that is not finite, one after another.
Matrix<float> finite_chains(MatrixView<const float> draws) {
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < draws.rows; ++i) {
    if (std::all_of(draws.row(i), draws.row(i) + draws.cols, [](float v) { return std::isfinite(v); }))
      kept.push_back(i);
  }
  Matrix<float> chains(std::ssize(kept), draws.cols);
  for (std::int64_t i = 0; i < chains.rows(); ++i) std::copy_n(draws.row(kept[at(i)]), draws.cols, chains.row(i));
  return chains;
}

std::int64_t count_duplicates(const Matrix<float>& chains) {
  std::unordered_set<std::string_view> seen;
  std::int64_t n = 0;
  for (std::int64_t i = 0; i < chains.rows(); ++i) {
    const std::string_view bits(reinterpret_cast<const char*>(chains.row(i)), at(chains.cols()) * sizeof(float));
    n += seen.insert(bits).second ? 0 : 1;
  }
  return n;
}

}  // namespace

double effective_sample_size(MatrixView<const double> x) {
  const std::int64_t T = x.cols, C = x.rows;
  if (T < 2 || C == 0) return nan;
  Matrix<double> centred(C, T);
  std::vector<double> means;
  double smallest = x(0, 0), largest = smallest;
  for (std::int64_t i = 0; i < C; ++i) {
    means.push_back(mean_of(x.row(i), T));
    for (std::int64_t t = 0; t < T; ++t) {
      centred(i, t) = x(i, t) - means.back();
      smallest = std::min(smallest, x(i, t));
      largest = std::max(largest, x(i, t));
    }
  }
  if (!(largest > smallest)) return 0.0;
  const auto n = static_cast<double>(T);
  const auto autocovariance = [&](std::int64_t lag) {  // mean over chains, divisor n
    double sum = 0.0;
    for (std::int64_t i = 0; i < C; ++i) {
      const double* row = centred.row(i);
      for (std::int64_t t = 0; t < T - lag; ++t) sum += row[t] * row[t + lag];
    }
    return sum / (n * static_cast<double>(C));
  };
  const double biased = autocovariance(0), within = biased * n / (n - 1.0);
  const double total = biased + (C > 1 ? variance_of(means.data(), C) : 0.0);
  const auto rho = [&](std::int64_t lag) { return 1.0 - (within - autocovariance(lag)) / total; };

  // Geyer 1992: pairs of lags are summed while the sum is positive, and made to fall.
  std::vector<double> kept{1.0, rho(1)};
  double even = 1.0, odd = kept[1];
  std::int64_t t = 1;
  while (t < T - 3 && even + odd > 0.0) {
    even = rho(t + 1);
    odd = rho(t + 2);
    kept.resize(at(t + 3), 0.0);
    if (even + odd >= 0.0) {
      kept[at(t + 1)] = even;
      kept[at(t + 2)] = odd;
    }
    t += 2;
  }
  const std::int64_t last = t - 2;
  kept.resize(std::max(kept.size(), at(last + 2)), 0.0);
  if (even > 0.0) kept[at(last + 1)] = even;  // half of a pair lowers the variance of the estimate
  for (t = 1; t <= last - 2; t += 2) {
    const double before = kept[at(t - 1)] + kept[at(t)];
    if (kept[at(t + 1)] + kept[at(t + 2)] > before) kept[at(t + 1)] = kept[at(t + 2)] = 0.5 * before;
  }
  double time = -1.0 + kept[at(last + 1)];
  for (std::int64_t k = 0; k <= last; ++k) time += 2.0 * kept[at(k)];
  const double all = n * static_cast<double>(C);
  return all / std::max(time, 1.0 / std::log10(all));
}

double rank_r_hat(MatrixView<const float> draws) {
  if (draws.cols < fewest_draws || draws.rows == 0) return nan;
  const Matrix<double> halves = split(draws);
  if (!has_spread(halves)) return nan;
  return std::max(plain_r_hat(rank_normalised(halves)), folded_r_hat(halves));
}

double nested_r_hat(MatrixView<const float> draws, std::int64_t n_groups) {
  const std::int64_t a_group = n_groups > 0 ? draws.rows / n_groups : 0;
  require(n_groups >= 2 && a_group >= 2 && draws.cols >= 1,
          "nested R-hat needs two groups of two chains or more, found {} chains in {} groups", draws.rows, n_groups);
  std::vector<double> group_means;
  double within = 0.0;
  for (std::int64_t g = 0; g < n_groups; ++g) {
    std::vector<double> means;
    double inside = 0.0;
    for (std::int64_t i = g * a_group; i < (g + 1) * a_group; ++i) {
      const std::vector<double> chain(draws.row(i), draws.row(i) + draws.cols);
      means.push_back(mean_of(chain.data(), draws.cols));
      if (draws.cols > 1) inside += variance_of(chain.data(), draws.cols) / static_cast<double>(a_group);
    }
    within += (variance_of(means.data(), a_group) + inside) / static_cast<double>(n_groups);
    group_means.push_back(mean_of(means.data(), a_group));
  }
  return within > 0.0 ? std::sqrt(1.0 + variance_of(group_means.data(), n_groups) / within) : nan;
}

Convergence convergence(MatrixView<const float> all) {
  const Matrix<float> chains = finite_chains(all);
  const MatrixView<const float> draws = chains.view();
  Convergence c;
  c.n_chains = chains.rows();
  c.n_draws = chains.cols();
  c.n_spoiled = all.rows - chains.rows();
  const Moments m = moments(std::span<const float>(chains.data(), at(chains.size())));
  c.mean = m.mean;
  c.deviation = std::sqrt(m.variance);
  c.r_hat = c.ess_bulk = c.ess_tail = c.ess_mean = c.mcse_mean = c.nested_rhat = nan;
  if (c.n_draws > 1) {
    c.n_duplicate = count_duplicates(chains);
    for (std::int64_t i = 0; i < c.n_chains; ++i) {
      const float* x = chains.row(i);
      c.n_stuck += std::all_of(x, x + c.n_draws, [&](float v) { return v == x[0]; }) ? 1 : 0;
    }
  }
  if (c.n_chains >= 4) c.nested_rhat = nested_r_hat(draws, std::min<std::int64_t>(16, c.n_chains / 2));
  if (c.n_draws < fewest_draws || c.n_chains == 0) return c;
  const Matrix<double> halves = split(draws);
  c.r_hat = rank_r_hat(draws);
  c.ess_mean = effective_sample_size(halves.view());
  c.ess_bulk = has_spread(halves) ? effective_sample_size(rank_normalised(halves).view()) : 0.0;
  c.ess_tail = std::min(quantile_ess(draws, halves, 0.05), quantile_ess(draws, halves, 0.95));
  if (c.ess_mean > 0.0) c.mcse_mean = c.deviation / std::sqrt(c.ess_mean);
  return c;
}

std::string concerns(const Convergence& c) {
  std::string text;
  const auto add = [&](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
  if (c.n_spoiled > 0) add(fmt::format("{} chains hold a draw that is not finite", c.n_spoiled));
  if (c.n_stuck > 0) add(fmt::format("{} chains never move", c.n_stuck));
  if (c.n_duplicate > 0) add(fmt::format("{} chains repeat another one", c.n_duplicate));
  if (c.r_hat > 1.01) add(fmt::format("R-hat {:.3f} is above 1.01", c.r_hat));
  const double ess = std::min(c.ess_bulk, c.ess_tail);
  if (ess < 400.0) add(fmt::format("only {:.0f} effective draws", ess));
  if (std::isnan(c.r_hat) && c.nested_rhat > 1.01) add(fmt::format("nested R-hat {:.3f} is above 1.01", c.nested_rhat));
  return text;
}

}  // namespace tarn
