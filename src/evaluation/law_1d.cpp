#include "tarn/evaluation/law_1d.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr double drop = 40.0;  // exp(-40) = 4e-18: below the rounding of a probability
constexpr std::int64_t first_cells = 1 << 10, most_cells = 1 << 18;
constexpr double infinity = std::numeric_limits<double>::infinity();

// The parabola through the density at a cell's start, middle and end, over t in [0, 1].
struct Parabola {
  double c0, c1, c2;
  Parabola(double start, double middle, double end)
      : c0(start), c1(-3.0 * start + 4.0 * middle - end), c2(2.0 * (start - 2.0 * middle + end)) {}
  double value(double t) const { return c0 + t * (c1 + t * c2); }
  double integral(double t) const { return t * (c0 + t * (c1 / 2.0 + t * c2 / 3.0)); }
  double second_integral(double t) const { return t * t * (c0 / 2.0 + t * (c1 / 6.0 + t * c2 / 12.0)); }
};

double checked(const LogDensity1d& log_density, double x) {
  const double value = log_density(x);
  require(!std::isnan(value) && value < infinity, "log density at x = {} is {}: expected a finite number or -inf", x,
          value);
  return value;
}

// Moves `edge` outward until the log density there is `drop` below the largest value met.
double find_limit(const LogDensity1d& log_density, double centre, double edge, double& largest) {
  const double start = edge - centre;
  double last = checked(log_density, edge);
  while (last > largest - drop) {
    const double from = edge;
    edge = centre + (edge - centre) * 1.25;
    require(std::abs(edge - centre) < std::abs(start) * 0x1p30,
            "log density has not fallen by {} between x = {} and x = {}: not a law that can be tabulated", drop, centre,
            edge);
    for (int i = 1; i <= 16; ++i) {
      last = checked(log_density, from + (edge - from) * i / 16.0);
      largest = std::max(largest, last);
    }
  }
  return edge;
}

}  // namespace

Law1d::Law1d(double low, double high, std::vector<double> log_density)
    : low_(low), high_(high), log_density_(std::move(log_density)) {
  require(std::isfinite(low) && std::isfinite(high) && low < high,
          "limits of a law must be finite and increasing, found {} and {}", low, high);
  require(log_density_.size() >= 3 && log_density_.size() % 2 == 1,
          "a law on the line needs an odd number of nodes, 3 or more; found {}", log_density_.size());
  const std::size_t n = log_density_.size() / 2;
  step_ = (high - low) / static_cast<double>(n);
  double largest = -infinity;
  nodes_.resize(2 * n + 1);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i] = low + (high - low) * static_cast<double>(i) / static_cast<double>(2 * n);
    require(!std::isnan(log_density_[i]) && log_density_[i] < infinity,
            "log density at x = {} is {}: expected a finite number or -inf", nodes_[i], log_density_[i]);
    largest = std::max(largest, log_density_[i]);
  }
  require(largest > -infinity, "the density is zero everywhere between {} and {}", low, high);

  density_.resize(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) density_[i] = std::exp(log_density_[i] - largest);
  double mass = 0.0;
  for (std::size_t i = 0; i < n; ++i) mass += density_[2 * i] + 4.0 * density_[2 * i + 1] + density_[2 * i + 2];
  mass *= step_ / 6.0;
  log_mass_ = largest + std::log(mass);
  weights_.assign(nodes_.size(), 0.0);
  cdf_.assign(n + 1, 0.0);
  integrated_.assign(n + 1, 0.0);
  for (double& value : log_density_) value -= log_mass_;
  for (double& value : density_) value /= mass;
  for (std::size_t i = 0; i < n; ++i) {
    const Parabola p(density_[2 * i], density_[2 * i + 1], density_[2 * i + 2]);
    weights_[2 * i] += density_[2 * i] * step_ / 6.0;
    weights_[2 * i + 1] = density_[2 * i + 1] * step_ * 4.0 / 6.0;
    weights_[2 * i + 2] = density_[2 * i + 2] * step_ / 6.0;
    cdf_[i + 1] = cdf_[i] + step_ * p.integral(1.0);
    integrated_[i + 1] = integrated_[i] + step_ * (cdf_[i] + step_ * p.second_integral(1.0));
  }
  cdf_[n] = 1.0;
}

Law1d Law1d::from_log_density(LogDensity1d log_density, double centre, double scale) {
  require(std::isfinite(centre) && std::isfinite(scale) && scale > 0.0,
          "centre and scale of a law must be finite, scale above 0; found {} and {}", centre, scale);
  double largest = -infinity;
  for (int i = 0; i <= 256; ++i) {
    largest = std::max(largest, checked(log_density, centre + scale * (i - 128) / 32.0));
  }
  require(largest > -infinity, "the density is zero everywhere within 4 x {} of {}", scale, centre);
  const double high = find_limit(log_density, centre, centre + 4.0 * scale, largest);
  const double low = find_limit(log_density, centre, centre - 4.0 * scale, largest);

  const auto node = [&](std::int64_t i, std::int64_t n_cells) {
    return low + (high - low) * static_cast<double>(i) / static_cast<double>(2 * n_cells);
  };
  std::int64_t n_cells = first_cells;
  std::vector<double> values;
  for (std::int64_t i = 0; i <= 2 * n_cells; ++i) values.push_back(checked(log_density, node(i, n_cells)));
  Law1d law(low, high, values);
  while (n_cells < most_cells) {
    n_cells *= 2;
    std::vector<double> finer;
    finer.reserve(static_cast<std::size_t>(2 * n_cells + 1));
    for (std::int64_t i = 0; i <= 2 * n_cells; ++i) {
      finer.push_back(i % 2 == 0 ? values[static_cast<std::size_t>(i / 2)] : checked(log_density, node(i, n_cells)));
    }
    values = std::move(finer);
    Law1d refined(low, high, values);
    double change = 0.0;
    for (std::size_t i = 0; i < law.cdf_.size(); ++i) {
      change = std::max(change, std::abs(refined.cdf_[2 * i] - law.cdf_[i]));
    }
    law = std::move(refined);
    if (change < 1e-10) break;
  }
  law.function_ = std::move(log_density);
  return law;
}

Law1d Law1d::from_target(const Target& target, double sigma) {
  require(target.dimension() == 1, "a law on the line needs a target of dimension 1; {} has dimension {}",
          target.name(), target.dimension());
  require(target.has_density(sigma), "{} has no density at sigma = {}", target.name(), sigma);
  const double scale = std::sqrt(target.total_variance() + sigma * sigma);
  return from_log_density([&target, sigma](double x) { return target.log_density(&x, sigma); }, target.mean()[0],
                          scale);
}

std::size_t Law1d::cell_of(double x) const {
  const auto last = static_cast<double>(n_cells() - 1);
  return static_cast<std::size_t>(std::clamp(std::floor((x - low_) / step_), 0.0, last));
}

double Law1d::density(double x) const {
  if (!(x >= low_ && x <= high_)) return std::isnan(x) ? x : 0.0;
  const std::size_t i = cell_of(x);
  const Parabola p(density_[2 * i], density_[2 * i + 1], density_[2 * i + 2]);
  return std::max(0.0, p.value((x - nodes_[2 * i]) / step_));
}

double Law1d::log_density(double x) const {
  if (function_) return function_(x) - log_mass_;
  const std::size_t n = log_density_.size();
  if (x < low_) return log_density_[0] + (x - low_) * (log_density_[1] - log_density_[0]) / (step_ / 2.0);
  if (x > high_) return log_density_[n - 1] + (x - high_) * (log_density_[n - 1] - log_density_[n - 2]) / (step_ / 2.0);
  const std::size_t i = cell_of(x);
  const Parabola p(log_density_[2 * i], log_density_[2 * i + 1], log_density_[2 * i + 2]);
  const double value = p.value((x - nodes_[2 * i]) / step_);
  return std::isfinite(value) ? value : std::log(density(x));
}

double Law1d::cdf(double x) const {
  if (std::isnan(x)) return x;
  if (x <= low_) return 0.0;
  if (x >= high_) return 1.0;
  const std::size_t i = cell_of(x);
  const Parabola p(density_[2 * i], density_[2 * i + 1], density_[2 * i + 2]);
  return std::clamp(cdf_[i] + step_ * p.integral((x - nodes_[2 * i]) / step_), 0.0, 1.0);
}

double Law1d::integrated_cdf(double x) const {
  if (std::isnan(x)) return x;
  if (x <= low_) return 0.0;
  if (x >= high_) return integrated_.back() + (x - high_);
  const std::size_t i = cell_of(x);
  const Parabola p(density_[2 * i], density_[2 * i + 1], density_[2 * i + 2]);
  const double t = (x - nodes_[2 * i]) / step_;
  return integrated_[i] + step_ * (cdf_[i] * t + step_ * p.second_integral(t));
}

double Law1d::quantile(double u) const {
  if (std::isnan(u)) return u;
  if (u <= 0.0) return low_;
  if (u >= 1.0) return high_;
  // the first cell whose end reaches u
  const auto end = std::lower_bound(cdf_.begin() + 1, cdf_.end(), u);
  const auto i = static_cast<std::size_t>(end - cdf_.begin()) - 1;
  const Parabola p(density_[2 * i], density_[2 * i + 1], density_[2 * i + 2]);
  const double wanted = (u - cdf_[i]) / step_, total = p.integral(1.0);
  double left = 0.0, right = 1.0, t = total > 0.0 ? std::clamp(wanted / total, 0.0, 1.0) : 1.0;
  for (int k = 0; k < 60 && right - left > 1e-15; ++k) {
    const double excess = p.integral(t) - wanted;
    (excess < 0.0 ? left : right) = t;
    const double slope = p.value(t);
    double next = slope > 0.0 ? t - excess / slope : left;
    if (!(next > left && next < right)) next = (left + right) / 2.0;
    if (std::abs(next - t) < 1e-15) break;
    t = next;
  }
  return nodes_[2 * i] + step_ * t;
}

double Law1d::mean() const {
  double sum = 0.0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) sum += weights_[i] * nodes_[i];
  return sum;
}

double Law1d::variance() const {
  const double m = mean();
  double sum = 0.0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) sum += weights_[i] * (nodes_[i] - m) * (nodes_[i] - m);
  return sum;
}

double kl_divergence(const Law1d& q, const Law1d& p) {
  double sum = 0.0;
  for (std::size_t i = 0; i < q.nodes().size(); ++i) {
    if (q.weights()[i] > 0.0) sum += q.weights()[i] * (q.log_density_at_nodes()[i] - p.log_density(q.nodes()[i]));
  }
  return sum;
}

double wasserstein_1(const Law1d& a, const Law1d& b) {
  const double low = std::min(a.low(), b.low()), high = std::max(a.high(), b.high());
  const double step = std::min((a.high() - a.low()) / static_cast<double>(a.n_cells()),
                               (b.high() - b.low()) / static_cast<double>(b.n_cells()));
  const auto n = static_cast<std::int64_t>(std::clamp(std::ceil((high - low) / step), 2.0, 0x1p20));
  const double width = (high - low) / static_cast<double>(n);
  const auto gap = [&](double x) { return std::abs(a.cdf(x) - b.cdf(x)); };
  double sum = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double x = low + width * static_cast<double>(i);
    sum += gap(x) + 4.0 * gap(x + width / 2.0) + gap(x + width);
  }
  return sum * width / 6.0;
}

}  // namespace tarn
