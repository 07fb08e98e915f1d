#include "tarn/models/exponential_family.hpp"

#include <algorithm>
#include <boost/math/special_functions/bessel.hpp>
#include <cmath>
#include <limits>
#include <numbers>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr double log_two_pi = 1.8378770664093453;

/// log K_n(z), also where K_n itself underflows.
double log_bessel_k(int order, double z) {
  if (z < 600.0) return std::log(boost::math::cyl_bessel_k(order, z));
  const double mu = 4.0 * order * order, u = 1.0 / (8.0 * z);  // Hankel's expansion
  return 0.5 * std::log(0.5 * std::numbers::pi / z) - z +
         std::log1p((mu - 1.0) * u * (1.0 + 0.5 * (mu - 9.0) * u * (1.0 + (mu - 25.0) * u / 3.0)));
}
/// K_n(z) / K_1(z).
double bessel_ratio_to_1(int order, double z) { return std::exp(log_bessel_k(order, z) - log_bessel_k(1, z)); }

/// phi(z)/Phi(z), and z + phi(z)/Phi(z) without cancellation; log Phi(z).
struct Truncation {
  double mills, mean, log_mass;
};
Truncation truncation(double z) {
  if (z > -5.0) {
    const double mass = 0.5 * std::erfc(-z * std::numbers::sqrt2 / 2);
    const double mills = std::exp(-0.5 * (z * z + log_two_pi)) / mass;
    return {mills, z + mills, std::log(mass)};
  }
  // Laplace's continued fraction of the tail: phi/Phi = y + 1/(y + 2/(y + 3/(y + ...))) at y = -z
  double fraction = 0.0;
  for (int k = 300; k >= 1; --k) fraction = k / (-z + fraction);
  return {fraction - z, fraction, -0.5 * (z * z + log_two_pi) - std::log(fraction - z)};
}

}  // namespace

ExponentialFamily::ExponentialFamily(Family family, const FamilyParameters& parameters)
    : family_(family), parameters_(parameters) {
  check_parameters(family, parameters);
}

void ExponentialFamily::check_eta(double eta) const {
  const EtaRange allowed = range();
  require(eta > allowed.low && eta < allowed.high, "family {}: eta is {}; allowed: between {} and {}", name_of(family_),
          eta, allowed.low, allowed.high);
}

double ExponentialFamily::least() const {
  return family_ == Family::rectified ? 0.0 : -std::numeric_limits<double>::infinity();
}

double ExponentialFamily::statistic(double x) const {
  switch (family_) {
    case Family::gaussian:
    case Family::rectified:
      return x / (parameters_.s * parameters_.s);
    case Family::gaussian_scale:
      return -0.5 * x * x;
    case Family::laplace_scale:
      return -std::hypot(x, parameters_.width);
    case Family::laplace:
    case Family::quartic:
      break;
  }
  return x;
}

double ExponentialFamily::statistic_derivative(double x) const {
  switch (family_) {
    case Family::gaussian:
    case Family::rectified:
      return 1.0 / (parameters_.s * parameters_.s);
    case Family::gaussian_scale:
      return -x;
    case Family::laplace_scale:
      return -x / std::hypot(x, parameters_.width);
    case Family::laplace:
    case Family::quartic:
      break;
  }
  return 1.0;
}

double ExponentialFamily::log_base(double x) const {
  switch (family_) {
    case Family::gaussian:
    case Family::rectified:
      if (x < least()) return -std::numeric_limits<double>::infinity();
      return -0.5 * x * x / (parameters_.s * parameters_.s);
    case Family::laplace:
      return -parameters_.rate * std::hypot(x, parameters_.width);
    case Family::quartic:
      return x * x * (0.5 * parameters_.c - 0.25 * x * x);
    case Family::gaussian_scale:
    case Family::laplace_scale:
      break;
  }
  return 0.0;
}

double ExponentialFamily::log_base_derivative(double x) const {
  switch (family_) {
    case Family::gaussian:
    case Family::rectified:
      return -x / (parameters_.s * parameters_.s);
    case Family::laplace:
      return -parameters_.rate * x / std::hypot(x, parameters_.width);
    case Family::quartic:
      return x * (parameters_.c - x * x);
    case Family::gaussian_scale:
    case Family::laplace_scale:
      break;
  }
  return 0.0;
}

double ExponentialFamily::link(double a) const {
  switch (family_) {
    case Family::laplace:
      return families::Laplace::reach * parameters_.rate * std::tanh(a);
    case Family::gaussian_scale:
    case Family::laplace_scale:
      return static_cast<double>(families::LaplaceScale::least_eta) + std::max(a, 0.0) +
             std::log1p(std::exp(-std::fabs(a)));
    case Family::gaussian:
    case Family::quartic:
    case Family::rectified:
      break;
  }
  return a;
}

double ExponentialFamily::link_derivative(double a) const {
  switch (family_) {
    case Family::laplace: {
      const double cosh = std::cosh(a);
      return families::Laplace::reach * parameters_.rate / (cosh * cosh);
    }
    case Family::gaussian_scale:
    case Family::laplace_scale:
      return 0.5 * (1.0 + std::tanh(0.5 * a));
    case Family::gaussian:
    case Family::quartic:
    case Family::rectified:
      break;
  }
  return 1.0;
}

double ExponentialFamily::log_partition(double eta) const {
  check_eta(eta);
  const double d = parameters_.width, s = parameters_.s;
  switch (family_) {
    case Family::laplace: {
      const double g = std::sqrt((parameters_.rate - eta) * (parameters_.rate + eta));
      return std::log(2.0 * d * parameters_.rate / g) + log_bessel_k(1, d * g);
    }
    case Family::gaussian_scale:
      return 0.5 * (log_two_pi - std::log(eta));
    case Family::laplace_scale:
      return std::log(2.0 * d) + log_bessel_k(1, d * eta);
    case Family::quartic:
      return families::quartic_moments(eta, parameters_.c).log_partition;
    case Family::rectified:
      return 0.5 * (eta * eta / (s * s) + log_two_pi) + std::log(s) + truncation(eta / s).log_mass;
    case Family::gaussian:
      break;
  }
  return 0.5 * (eta * eta / (s * s) + log_two_pi) + std::log(s);
}

double ExponentialFamily::mean_statistic(double eta) const {
  check_eta(eta);
  const double d = parameters_.width, s = parameters_.s;
  switch (family_) {
    case Family::laplace: {
      const double g_squared = (parameters_.rate - eta) * (parameters_.rate + eta), z = d * std::sqrt(g_squared);
      return eta * (2.0 + z * bessel_ratio_to_1(0, z)) / g_squared;
    }
    case Family::gaussian_scale:
      return -0.5 / eta;
    case Family::laplace_scale:
      return -d * bessel_ratio_to_1(0, d * eta) - 1.0 / eta;
    case Family::quartic:
      return families::quartic_moments(eta, parameters_.c).mean;
    case Family::rectified:
      return truncation(eta / s).mean / s;
    case Family::gaussian:
      break;
  }
  return eta / (s * s);
}

double ExponentialFamily::variance(double eta) const {
  check_eta(eta);
  const double d = parameters_.width, s = parameters_.s;
  switch (family_) {
    case Family::laplace: {
      // x = eta w + sqrt(w) z with w ~ GIG(1, d^2, g^2), so Var x = E w + eta^2 Var w
      const double g = std::sqrt((parameters_.rate - eta) * (parameters_.rate + eta)), z = d * g;
      const double ratio = bessel_ratio_to_1(0, z) + 2.0 / z;
      const double mean = d / g * ratio, square = d * d / (g * g) * (1.0 + 4.0 / z * ratio);
      return mean + eta * eta * (square - mean * mean);
    }
    case Family::gaussian_scale:
      return 0.5 / (eta * eta);
    case Family::laplace_scale: {
      const double z = d * eta, ratio = bessel_ratio_to_1(0, z);
      return d * d * (1.0 - ratio * ratio - ratio / z) + 1.0 / (eta * eta);
    }
    case Family::quartic:
      return families::quartic_moments(eta, parameters_.c).variance;
    case Family::rectified: {
      const Truncation t = truncation(eta / s);
      return (1.0 - t.mills * t.mean) / (s * s);
    }
    case Family::gaussian:
      break;
  }
  return 1.0 / (s * s);
}

double ExponentialFamily::log_density(double x, double eta) const {
  return eta * statistic(x) + log_base(x) - log_partition(eta);
}

}  // namespace tarn
