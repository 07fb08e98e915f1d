#include <boost/math/special_functions/bessel.hpp>
#include <cmath>
#include <numbers>

#include "log_sum.hpp"
#include "tarn/data/synthetic.hpp"
#include "tile.hpp"

namespace tarn {
namespace {

constexpr double pi = std::numbers::pi;

// exp(-z) I_0(z) and exp(-z) I_1(z), z >= 0.
struct ScaledBessel {
  double i0, i1;
};
ScaledBessel scaled_bessel(double z) {
  if (z < 100.0) {
    const double factor = std::exp(-z);
    return {factor * boost::math::cyl_bessel_i(0, z), factor * boost::math::cyl_bessel_i(1, z)};
  }
  // Hankel's expansion (Abramowitz and Stegun 9.7.1); at z = 100 the first term left out is below 1e-15.
  double sum[2];
  for (int order = 0; order < 2; ++order) {
    double term = 1.0;
    sum[order] = 1.0;
    for (int k = 1; k <= 9; ++k) {
      term *= -(4.0 * order * order - (2.0 * k - 1.0) * (2.0 * k - 1.0)) / (k * 8.0 * z);
      sum[order] += term;
    }
  }
  const double scale = 1.0 / std::sqrt(2.0 * pi * z);
  return {scale * sum[0], scale * sum[1]};
}

// Log density at distance r of a circle of radius rho smoothed by sigma > 0, and its slope in r:
// exp(-(r - rho)^2 / 2 sigma^2) e^-z I_0(z) / (2 pi sigma^2), z = r rho / sigma^2.
double circle(double r, double rho, double sigma, double& slope) {
  const double square = sigma * sigma, z = r * std::abs(rho) / square;
  const auto [i0, i1] = scaled_bessel(z);
  const double distance = r - std::abs(rho);
  slope = -r / square + std::abs(rho) / square * (i1 / i0);
  return -0.5 * distance * distance / square + std::log(i0) - std::log(2.0 * pi * square);
}

}  // namespace

RingTarget::RingTarget(double radius, double standard_deviation) : radius_(radius), deviation_(standard_deviation) {
  if (!(radius > 0.0) || !std::isfinite(radius)) fail_usage("ring: radius is {}; it must be positive", radius);
  if (!(standard_deviation >= 0.0) || !std::isfinite(standard_deviation)) {
    fail_usage("ring: standard deviation is {}; it must not be negative", standard_deviation);
  }
}

void RingTarget::draw(std::uint64_t seed, std::uint64_t first, MatrixView<float> out) const {
  data::check_draw_width(out, 2);
  const auto radius = static_cast<float>(radius_), deviation = static_cast<float>(deviation_);
  data::for_each_tile(seed, first, out.rows, 4, 0, [&](const data::Tile& tile) {
    for (std::int64_t i = 0; i < tile.n; ++i) {
      const float a = tile.normals[i], b = tile.normals[tile.stride + i];
      const float length = std::sqrt(a * a + b * b);
      const float r = radius + deviation * tile.normals[2 * tile.stride + i];
      // Of 2^25 Box-Muller pairs about one has length 0.
      out(tile.begin + i, 0) = length > 0.0f ? r * (a / length) : r;
      out(tile.begin + i, 1) = length > 0.0f ? r * (b / length) : 0.0f;
    }
  });
}

double RingTarget::evaluate(double r, double sigma, double& slope) const {
  require(sigma >= 0.0, "sigma must not be negative, found {}", sigma);
  require(has_density(sigma), "ring without width has no density; use sigma > 0");
  const double s = deviation_, R = radius_;
  if (std::isnan(r)) return slope = r;
  if (s == 0.0) return circle(r, R, sigma, slope);
  if (sigma == 0.0) {
    // A negative radius is the opposite point: (N(r; R, s) + N(-r; R, s)) / (2 pi r).
    data::LogSum sum(1);
    const double up = -(r - R) / (s * s), down = -(r + R) / (s * s);
    sum.add(-0.5 * (r - R) * (r - R) / (s * s), &up);
    sum.add(-0.5 * (r + R) * (r + R) / (s * s), &down);
    slope = sum.mean(0) - 1.0 / r;
    return sum.log() - std::log(s * std::sqrt(2.0 * pi)) - std::log(2.0 * pi * r);
  }
  // The integral of N(rho; R, s) times the circle of radius |rho| over all rho, by the trapezoidal rule: the integrand
  // is entire, a sum of two bumps of this width with a slowly varying factor, so that a step of half the width gives
  // full precision.
  const double total = s * s + sigma * sigma, width = s * sigma / std::sqrt(total), step = 0.5 * width;
  const double right = (R * sigma * sigma + r * s * s) / total, left = (R * sigma * sigma - r * s * s) / total;
  const double reach = 10.0 * width;
  data::LogSum sum(1);
  const auto add_range = [&](double from, double to) {
    for (auto i = static_cast<std::int64_t>(std::ceil(from / step)); static_cast<double>(i) * step <= to; ++i) {
      const double rho = static_cast<double>(i) * step;
      double circle_slope = 0.0;
      const double log_circle = circle(r, rho, sigma, circle_slope);
      sum.add(log_circle - 0.5 * (rho - R) * (rho - R) / (s * s), &circle_slope);
    }
  };
  if (left + reach >= right - reach) {
    add_range(left - reach, right + reach);
  } else {
    add_range(left - reach, left + reach);
    add_range(right - reach, right + reach);
  }
  slope = sum.mean(0);
  return sum.log() + std::log(step) - std::log(s * std::sqrt(2.0 * pi));
}

double RingTarget::log_density(const double* x, double sigma) const {
  double slope = 0.0;
  return evaluate(std::hypot(x[0], x[1]), sigma, slope);
}

void RingTarget::score(const double* x, double sigma, double* score) const {
  const double r = std::hypot(x[0], x[1]);
  double slope = 0.0;
  evaluate(r, sigma, slope);
  // By symmetry nothing points anywhere at the centre.
  score[0] = r == 0.0 ? 0.0 : slope * x[0] / r;
  score[1] = r == 0.0 ? 0.0 : slope * x[1] / r;
}

}  // namespace tarn
