// Multivariate Laplace laws: Bessel functions without smoothing, an integral over the exponential variable with it.
#include <algorithm>
#include <boost/math/special_functions/bessel.hpp>
#include <cmath>
#include <numbers>

#include "log_sum.hpp"
#include "tarn/data/synthetic.hpp"

namespace tarn {
namespace {

namespace policies = boost::math::policies;
using QuietPolicy = policies::policy<policies::overflow_error<policies::ignore_error>,
                                     policies::underflow_error<policies::ignore_error>>;

double bessel_k(double order, double z) { return boost::math::cyl_bessel_k(order, z, QuietPolicy()); }

// A component in the axes of its covariance: variances `lambda`, position `y`, both `[D]`.
struct Axes {
  const std::vector<double>& lambda;
  const double* y;
};

// p(y) = integral over w > 0 of exp(-w) N(y; 0, w diag(lambda) + sigma^2), by the trapezoidal rule in t = log w, which
// for such integrands converges faster than any power of the step; the step is halved until nothing changes.
double by_integral(const Axes& axes, double sigma, double quadratic, double* gradient) {
  const auto n = axes.lambda.size();
  const double square = sigma * sigma;
  std::vector<double> slope(n);
  const auto log_integrand = [&](double t, double* slopes) {
    const double w = std::exp(t);
    double value = t - w;
    for (std::size_t k = 0; k < n; ++k) {
      const double variance = axes.lambda[k] * w + square;
      value -= 0.5 * (axes.y[k] * axes.y[k] / variance + std::log(2.0 * std::numbers::pi * variance));
      if (slopes != nullptr) slopes[k] = -axes.y[k] / variance;
    }
    return value;
  };
  // Beyond these ends the integrand is below exp(-40) of its peak: on the right exp(-w) rules, on the left either the
  // factor w of dt or, without smoothing, exp(-quadratic / 2w).
  const double largest_lambda = *std::max_element(axes.lambda.begin(), axes.lambda.end());
  const double high = std::log(800.0 + 4.0 * std::sqrt(2.0 * quadratic));
  const double low = square > 0.0 ? std::log(std::min(1.0, square / largest_lambda)) - 40.0
                                  : std::log(std::min(1.0, quadratic / (1600.0 + 40.0 * static_cast<double>(n))));

  double step = 0.25;
  const auto n_coarse = static_cast<std::int64_t>(std::ceil((high - low) / step));
  std::vector<double> coarse(static_cast<std::size_t>(n_coarse + 1));
  for (std::int64_t i = 0; i <= n_coarse; ++i) {
    coarse[static_cast<std::size_t>(i)] = log_integrand(low + static_cast<double>(i) * step, nullptr);
  }
  const double peak = *std::max_element(coarse.begin(), coarse.end());
  std::int64_t begin = 0, end = n_coarse;
  while (begin < n_coarse && coarse[static_cast<std::size_t>(begin + 1)] < peak - 45.0) ++begin;
  while (end > 0 && coarse[static_cast<std::size_t>(end - 1)] < peak - 45.0) --end;
  const double from = low + static_cast<double>(begin) * step;
  std::int64_t count = end - begin;

  data::LogSum sum(gradient == nullptr ? 0 : n);
  for (std::int64_t i = 0; i <= count; ++i) {
    const double value = log_integrand(from + static_cast<double>(i) * step, slope.data());
    sum.add(value, slope.data());
  }
  double previous = sum.log() + std::log(step);
  for (int halving = 0; halving < 16; ++halving) {
    for (std::int64_t i = 0; i < count; ++i) {
      const double value = log_integrand(from + (static_cast<double>(i) + 0.5) * step, slope.data());
      sum.add(value, slope.data());
    }
    step *= 0.5;
    count *= 2;
    const double present = sum.log() + std::log(step);
    // Each halving squares the error, so the last change is an upper bound for it.
    const bool settled = std::abs(present - previous) < 1e-10;
    previous = present;
    if (settled) break;
  }
  for (std::size_t k = 0; gradient != nullptr && k < n; ++k) gradient[k] = sum.mean(k);
  return previous;
}

}  // namespace

LaplaceMixture::LaplaceMixture(std::vector<MixtureComponent> components) : MixtureTarget(std::move(components), true) {}

double LaplaceMixture::component_log_density(const Factors& factors, const double* y, double sigma,
                                             double* gradient) const {
  const auto& lambda = factors.eigenvalues;
  const auto n = static_cast<double>(lambda.size());
  double quadratic = 0.0, log_determinant = 0.0;
  for (std::size_t k = 0; k < lambda.size(); ++k) {
    quadratic += y[k] * y[k] / lambda[k];
    log_determinant += std::log(lambda[k]);
  }
  if (!std::isfinite(quadratic)) {  // NaN, or too far out for double
    if (gradient != nullptr) std::fill_n(gradient, lambda.size(), std::numeric_limits<double>::quiet_NaN());
    return -quadratic;
  }
  if (sigma > 0.0) return by_integral({lambda, y}, sigma, quadratic, gradient);

  // p = 2 (2 pi)^(-D/2) |C|^(-1/2) (z/2)^nu K_nu(z), z = sqrt(2 y^T C^-1 y), nu = 1 - D/2 (Kotz et al. 2001,
  // eq. 5.2.2).
  const double z = std::sqrt(2.0 * quadratic), order = 1.0 - 0.5 * n;
  const double constant = std::log(2.0) - 0.5 * n * std::log(2.0 * std::numbers::pi) - 0.5 * log_determinant;
  if (z < 1e-150) {
    if (gradient != nullptr) std::fill_n(gradient, lambda.size(), 0.0);
    if (n > 1.0) return std::numeric_limits<double>::infinity();
    return constant + std::log(0.5 * std::sqrt(std::numbers::pi));
  }
  const double bessel = bessel_k(std::abs(order), z);
  if (!(bessel > 1e-290 && bessel < 1e290)) return by_integral({lambda, y}, 0.0, quadratic, gradient);
  if (gradient != nullptr) {
    // d/dz log(z^nu K_nu(z)) = -K_(nu-1)(z) / K_nu(z), and K is even in its order.
    const double ratio = bessel_k(std::abs(order - 1.0), z) / bessel;
    for (std::size_t k = 0; k < lambda.size(); ++k) gradient[k] = -ratio * 2.0 * y[k] / (lambda[k] * z);
  }
  return constant + order * std::log(0.5 * z) + std::log(bessel);
}

}  // namespace tarn
