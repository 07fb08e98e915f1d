// The Chebyshev series of A' of the quartic family (core/families/quartic.hpp).
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "tarn/core/families/quartic.hpp"

namespace tarn::families {

/// The trapezoidal rule over all that is not below exp(-45) of the peak, which converges faster than any power of the step for
/// a function like this.
QuarticMoments quartic_moments(double signed_eta, double c) {
  const double eta = std::fabs(signed_eta);
  const auto exponent = [=](double x) { return x * (eta + x * (0.5 * c - 0.25 * x * x)); };
  // The highest peak is the largest root of eta + c x - x^3, which Newton's method reaches from above without overshooting.
  double peak = std::cbrt(eta) + std::sqrt(std::max(c, 0.0)) + 1e-3;
  for (int i = 0; i < 200; ++i) {
    const double step = (eta + peak * (c - peak * peak)) / (c - 3.0 * peak * peak);
    peak -= step;
    if (std::fabs(step) <= 1e-14 * peak) break;
  }
  const double highest = exponent(peak);
  // Left of -sqrt(c), and right of the peak, the exponent falls all the way; where there is no second peak, left of the first too.
  const bool two_peaks = c > 0.0 && eta < 2.0 * std::pow(c / 3.0, 1.5);
  const auto edge = [&](double from, double step) {
    while (exponent(from + step) > highest - 45.0) step *= 1.5;
    return from + step;
  };
  const double first_step = 1e-3 / (1.0 + std::cbrt(eta));
  const double low = edge(two_peaks ? -std::sqrt(c) : peak, -first_step), high = edge(peak, first_step);
  constexpr int n = 1000;
  double mass = 0.0, first = 0.0, second = 0.0;
  for (int i = 0; i <= n; ++i) {
    const double offset = low - peak + (high - low) * i / n, p = std::exp(exponent(peak + offset) - highest);
    mass += p;
    first += p * offset;
    second += p * offset * offset;
  }
  first /= mass;
  return {highest + std::log(mass * (high - low) / n), std::copysign(peak + first, signed_eta),
          second / mass - first * first};
}

QuarticMean fit_quartic_mean(double c) {
  constexpr int n_nodes = 48;
  // where the series is shortest, found by trying: 1.2 at c = 3, 2.2 at 0, about |c| far below
  const double kappa = std::sqrt(0.25 * c * c + 5.0) - 0.5 * c;
  std::array<double, n_nodes> value{};
  for (int i = 0; i < n_nodes; ++i) {
    const double r = 0.5 + 0.5 * std::cos(std::numbers::pi * (i + 0.5) / n_nodes);
    const double eta = kappa * std::sqrt(1.0 / (r * r * r) - 1.0);
    value[static_cast<std::size_t>(i)] = quartic_moments(eta, c).mean / (eta * r);
  }
  QuarticMean series;
  series.inverse_kappa = static_cast<float>(1.0 / kappa);
  for (int k = 0; k < QuarticMean::n_coefficients; ++k) {
    double sum = 0.0;
    for (int i = 0; i < n_nodes; ++i) {
      sum += value[static_cast<std::size_t>(i)] * std::cos(std::numbers::pi * k * (i + 0.5) / n_nodes);
    }
    series.coefficient[k] = static_cast<float>(sum * (k == 0 ? 1.0 : 2.0) / n_nodes);
  }
  return series;
}

}  // namespace tarn::families
