// Least-squares fits of Gabor functions. The eight parameters of MINPACK are free numbers; widths and frequency are bounded functions of
// theirs: a field with fewer than two bars could else run off to an infinite amplitude at frequency zero.
#include <cminpack.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "spectrum.hpp"
#include "tarn/evaluation/receptive_fields.hpp"

namespace tarn {
namespace {

constexpr int n_parameters = 8;
enum Parameter { centre_x, centre_y, angle, log_frequency, log_sigma_x, log_sigma_y, even, odd };
using Parameters = std::array<double, n_parameters>;

// A number kept within (low, high) by a logistic curve in its logarithm.
struct Bounded {
  double low, high;  // logarithms
  Bounded(double smallest, double largest) : low(std::log(smallest)), high(std::log(largest)) {}
  double value(double free) const { return std::exp(low + (high - low) / (1.0 + std::exp(-free))); }
  /// d log(value) / d free
  double slope(double free) const {
    const double share = 1.0 / (1.0 + std::exp(-free));
    return (high - low) * share * (1.0 - share);
  }
  double free(double value) const {
    const double share = std::clamp((std::log(value) - low) / (high - low), 0.01, 0.99);
    return std::log(share / (1.0 - share));
  }
};

struct Problem {
  const float* field;
  std::int64_t rows, cols;
  double mean_square;  // of the field about its mean
  Bounded sigma, frequency;

  Problem(const float* f, std::int64_t r, std::int64_t c)
      : field(f),
        rows(r),
        cols(c),
        mean_square(0.0),
        sigma(0.3, 2.0 * static_cast<double>(std::max(r, c))),
        frequency(around(0.1)) {
    double mean = 0.0;
    for (std::int64_t i = 0; i < n(); ++i) mean += field[i];
    mean /= static_cast<double>(n());
    for (std::int64_t i = 0; i < n(); ++i) mean_square += (field[i] - mean) * (field[i] - mean);
    mean_square /= static_cast<double>(n());
  }
  /// Within an octave of a peak of the spectrum.
  static Bounded around(double peak) { return {0.5 * peak, 2.0 * peak}; }
  std::int64_t n() const { return rows * cols; }
  double x(std::int64_t j) const { return static_cast<double>(j) - 0.5 * static_cast<double>(cols - 1); }
  double y(std::int64_t i) const { return 0.5 * static_cast<double>(rows - 1) - static_cast<double>(i); }

  /// Calls `use(pixel, envelope, cosine, sine, u, v)` for each pixel, cosine and sine those of the carrier.
  template <class Use>
  void for_each_pixel(const double* p, Use&& use) const {
    const double c = std::cos(p[angle]), s = std::sin(p[angle]);
    const double omega = 2.0 * std::numbers::pi * frequency.value(p[log_frequency]);
    const double along = 0.5 / std::pow(sigma.value(p[log_sigma_x]), 2),
                 across = 0.5 / std::pow(sigma.value(p[log_sigma_y]), 2);
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < cols; ++j) {
        const double dx = x(j) - p[centre_x], dy = y(i) - p[centre_y];
        const double u = dx * c + dy * s, v = -dx * s + dy * c;
        use(i * cols + j, std::exp(-u * u * along - v * v * across), std::cos(omega * u), std::sin(omega * u), u, v);
      }
    }
  }
};

// What MINPACK calls: residuals (flag 1), or the Jacobian by columns (flag 2).
int evaluate(void* data, int, int, const double* p, double* residual, double* jacobian, int stride, int flag) {
  const Problem& problem = *static_cast<const Problem*>(data);
  if (flag == 1) {
    problem.for_each_pixel(p, [&](std::int64_t k, double envelope, double cosine, double sine, double, double) {
      residual[k] = envelope * (p[even] * cosine + p[odd] * sine) - problem.field[k];
    });
    return 0;
  }
  const double c = std::cos(p[angle]), s = std::sin(p[angle]);
  const double omega = 2.0 * std::numbers::pi * problem.frequency.value(p[log_frequency]);
  const double along = std::pow(problem.sigma.value(p[log_sigma_x]), -2),
               across = std::pow(problem.sigma.value(p[log_sigma_y]), -2);
  const double slope_f = problem.frequency.slope(p[log_frequency]), slope_x = problem.sigma.slope(p[log_sigma_x]),
               slope_y = problem.sigma.slope(p[log_sigma_y]);
  problem.for_each_pixel(p, [&](std::int64_t k, double envelope, double cosine, double sine, double u, double v) {
    const double value = envelope * (p[even] * cosine + p[odd] * sine);
    const double turned = envelope * (p[odd] * cosine - p[even] * sine);  // d value / d (omega u) at a fixed envelope
    const double by_u = turned * omega - value * u * along, by_v = -value * v * across;
    double* row = jacobian + k;
    const auto set = [&](Parameter which, double derivative) { row[which * stride] = derivative; };
    set(centre_x, -c * by_u + s * by_v);
    set(centre_y, -s * by_u - c * by_v);
    set(angle, v * by_u - u * by_v);
    set(log_frequency, turned * omega * u * slope_f);
    set(log_sigma_x, value * u * u * along * slope_x);
    set(log_sigma_y, value * v * v * across * slope_y);
    set(even, envelope * cosine);
    set(odd, envelope * sine);
  });
  return 0;
}

// The best amplitudes for given centre, carrier and envelope.
void fit_amplitudes(const Problem& problem, Parameters& p) {
  double cc = 0.0, cs = 0.0, ss = 0.0, fc = 0.0, fs = 0.0;
  problem.for_each_pixel(p.data(), [&](std::int64_t k, double envelope, double cosine, double sine, double, double) {
    const double a = envelope * cosine, b = envelope * sine;
    cc += a * a, cs += a * b, ss += b * b, fc += a * problem.field[k], fs += b * problem.field[k];
  });
  const double ridge = 1e-6 * (cc + ss) + 1e-300;
  cc += ridge, ss += ridge;
  const double determinant = cc * ss - cs * cs;
  p[even] = (fc * ss - fs * cs) / determinant;
  p[odd] = (fs * cc - fc * cs) / determinant;
}

struct Fit {
  Parameters p{};
  double peak = 0.1;   // cycles a pixel: of the spectrum's peak that it stays with
  double error = 0.0;  // sum of squares
};

Fit refine(Problem& problem, const Parameters& start, double peak) {
  Fit fit{start, peak, 0.0};
  problem.frequency = Problem::around(peak);
  fit_amplitudes(problem, fit.p);
  const int m = static_cast<int>(problem.n());
  const auto size = static_cast<std::size_t>(m);
  std::vector<double> residual(size), jacobian(size * n_parameters), work(size);
  Parameters scale{}, qtf{}, w1{}, w2{}, w3{};
  std::array<int, n_parameters> pivots{};
  int n_values = 0, n_jacobians = 0;
  constexpr double tolerance = 1e-6;
  constexpr int most_evaluations = 100;
  lmder(evaluate, &problem, m, n_parameters, fit.p.data(), residual.data(), jacobian.data(), m, tolerance, tolerance,
        0.0, most_evaluations, scale.data(), 1, 10.0, 0, &n_values, &n_jacobians, pivots.data(), qtf.data(), w1.data(),
        w2.data(), w3.data(), work.data());
  for (const double r : residual) fit.error += r * r;
  return fit;
}

// The place around which the energy lies, and its spread.
struct Envelope {
  double x = 0.0, y = 0.0, spread = 0.0;
};
Envelope energy_envelope(const Problem& problem) {
  Envelope e;
  double sum = 0.0;
  const auto weigh = [&](auto&& add) {
    for (std::int64_t i = 0; i < problem.rows; ++i) {
      for (std::int64_t j = 0; j < problem.cols; ++j)
        add(std::pow(static_cast<double>(problem.field[i * problem.cols + j]), 2), problem.x(j), problem.y(i));
    }
  };
  weigh([&](double w, double x, double y) { sum += w, e.x += w * x, e.y += w * y; });
  e.x /= sum, e.y /= sum;
  weigh([&](double w, double x, double y) { e.spread += w * ((x - e.x) * (x - e.x) + (y - e.y) * (y - e.y)); });
  // Of the square of a round Gaussian envelope of width s: the two variances add up to s^2.
  e.spread = std::sqrt(e.spread / sum);
  return e;
}

GaborFit described(const Problem& problem, const Fit& fit) {
  constexpr double pi = std::numbers::pi;
  GaborFit g;
  const Parameters& p = fit.p;
  g.x = p[centre_x], g.y = p[centre_y];
  g.frequency = Problem::around(fit.peak).value(p[log_frequency]);
  g.sigma_x = problem.sigma.value(p[log_sigma_x]), g.sigma_y = problem.sigma.value(p[log_sigma_y]);
  g.amplitude = std::hypot(p[even], p[odd]);
  // even cos + odd sin = amplitude cos(omega u - atan2(odd, even)); a carrier along -u has the opposite phase
  const double turns = std::floor(p[angle] / pi);
  g.phase = std::atan2(-p[odd], p[even]);
  if (static_cast<std::int64_t>(turns) % 2 != 0) g.phase = -g.phase;
  if (g.phase <= -pi) g.phase += 2.0 * pi;
  g.orientation = bar_orientation(p[angle] - turns * pi);
  g.r_squared = 1.0 - fit.error / (problem.mean_square * static_cast<double>(problem.n()));
  return g;
}

}  // namespace

GaborFit fit_gabor(const float* field, std::int64_t rows, std::int64_t cols) {
  Problem problem(field, rows, cols);
  if (!(problem.mean_square > 0.0) || !std::isfinite(problem.mean_square)) return {};
  const Envelope envelope = energy_envelope(problem);
  Fit best;
  best.error = std::numeric_limits<double>::infinity();
  const Spectrum spectrum(field, rows, cols);
  constexpr std::size_t most_peaks = 3;
  for (const SpectrumPeak& peak : spectrum.highest_peaks(most_peaks)) {
    for (const double width : {0.5, 0.9}) {
      Parameters start{};
      start[centre_x] = envelope.x, start[centre_y] = envelope.y;
      start[angle] = std::atan2(peak.fy, peak.fx);
      start[log_sigma_x] = problem.sigma.free(std::max(width * envelope.spread, 0.5));
      start[log_sigma_y] = problem.sigma.free(std::max(width * envelope.spread, 0.5));
      const Fit fit = refine(problem, start, std::max(std::hypot(peak.fx, peak.fy), 1e-3));
      if (fit.error < best.error) best = fit;
    }
  }
  if (!std::isfinite(best.error)) return {};
  return described(problem, best);
}

}  // namespace tarn
