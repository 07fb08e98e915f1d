#include <boost/math/quadrature/gauss.hpp>
#include <cmath>
#include <numbers>

#include "log_sum.hpp"
#include "tarn/data/synthetic.hpp"
#include "tile.hpp"

namespace tarn {
namespace {

constexpr double pi = std::numbers::pi;

// Part of the integral over the half circle: angles at distance delta0 .. delta0 + length (at most pi) from the
// direction phi of the point, where the integrand exp(k (cos delta - 1)) falls; sign tells which way the angle runs.
// Cut into panels on which its logarithm falls by about 1 + 2 n (n-th panel) at most.
struct Piece {
  double delta0, length, sign;
};

// Sums of the integrand and of it times the place on the arc, each over exp(k (cos delta0 - 1)).
struct ArcSum {
  double log_scale, mass = 0.0, x = 0.0, y = 0.0;
};

ArcSum integrate_piece(const Piece& piece, double phi, double k) {
  ArcSum sum{k * (std::cos(piece.delta0) - 1.0)};
  // Panel length: the first fall by 1.
  const double reached = std::cos(piece.delta0) - 1.0 / k;
  const double panel = k > 0.0 && reached > -1.0 ? std::acos(reached) - piece.delta0 : pi;
  using Gauss = boost::math::quadrature::gauss<double, 20>;
  for (double at = 0.0; at < piece.length; at += panel) {
    const double fall = 2.0 * std::sin(piece.delta0 + 0.5 * at) * std::sin(0.5 * at);
    if (k * fall > 50.0) break;
    const double half = 0.5 * std::min(panel, piece.length - at), middle = at + half;
    for (std::size_t i = 0; i < Gauss::abscissa().size(); ++i) {
      for (const double side : {-1.0, 1.0}) {
        const double u = middle + side * half * Gauss::abscissa()[i];
        const double drop = 2.0 * std::sin(piece.delta0 + 0.5 * u) * std::sin(0.5 * u);
        const double angle = phi + piece.sign * (piece.delta0 + u);
        const double weight = half * Gauss::weights()[i] * std::exp(-k * drop);
        sum.mass += weight;
        sum.x += weight * std::cos(angle);
        sum.y += weight * std::sin(angle);
      }
    }
  }
  return sum;
}

// Log density at (x, y) of a half circle of radius 1 (upper half) smoothed to variance v, and its gradient.
double half_circle(double x, double y, double v, double* gradient) {
  const double r = std::hypot(x, y), phi = std::atan2(y, x), k = r / v;
  data::LogSum sum(2);
  const auto add = [&](const Piece& piece) {
    const auto part = integrate_piece(piece, phi, k);
    const double place[2] = {part.x / part.mass, part.y / part.mass};
    if (part.mass != 0.0) sum.add(part.log_scale + std::log(part.mass), place);
  };
  if (phi < 0.0) {
    // The point looks away from the arc: the integrand falls from both ends to the angle opposite to it.
    add({-phi, pi + phi, 1.0});
    add({pi + phi, -phi, -1.0});
  } else {
    add({0.0, phi, -1.0});
    add({0.0, pi - phi, 1.0});
  }
  gradient[0] = (sum.mean(0) - x) / v;
  gradient[1] = (sum.mean(1) - y) / v;
  return sum.log() - 0.5 * (r - 1.0) * (r - 1.0) / v - std::log(2.0 * pi * v) - std::log(pi);
}

}  // namespace

TwoMoonsTarget::TwoMoonsTarget(double noise) : noise_(noise) {
  if (!(noise >= 0.0) || !std::isfinite(noise)) fail_usage("two_moons: noise is {}; it must not be negative", noise);
}

double TwoMoonsTarget::total_variance() const {
  // E |x|^2 is 1 on the upper and 9/4 - 2/pi on the lower arc; the mean is (1/2, 1/4).
  return 0.5 * (1.0 + 2.25 - 2.0 / pi) - 0.3125 + 2.0 * noise_ * noise_;
}

void TwoMoonsTarget::draw(std::uint64_t seed, std::uint64_t first, MatrixView<float> out) const {
  data::check_draw_width(out, 2);
  const auto noise = static_cast<float>(noise_);
  data::for_each_tile(seed, first, out.rows, 4, 0, [&](const data::Tile& tile) {
    for (std::int64_t i = 0; i < tile.n; ++i) {
      // A direction of the whole circle: its upper half is the one moon, its lower half, turned over, the other.
      const float a = tile.normals[i], b = tile.normals[tile.stride + i];
      const float length = std::sqrt(a * a + b * b);
      const float cosine = length > 0.0f ? a / length : 1.0f, sine = length > 0.0f ? b / length : 0.0f;
      const bool lower = sine < 0.0f;
      const float x = lower ? 1.0f - cosine : cosine, y = lower ? 0.5f + sine : sine;
      out(tile.begin + i, 0) = x + noise * tile.normals[2 * tile.stride + i];
      out(tile.begin + i, 1) = y + noise * tile.normals[3 * tile.stride + i];
    }
  });
}

double TwoMoonsTarget::evaluate(const double* x, double sigma, double* score) const {
  require(sigma >= 0.0, "sigma must not be negative, found {}", sigma);
  require(has_density(sigma), "two_moons without noise has no density; use sigma > 0");
  const double variance = noise_ * noise_ + sigma * sigma;
  data::LogSum sum(2);
  double gradient[2];
  double log_term = half_circle(x[0], x[1], variance, gradient);
  sum.add(log_term, gradient);
  log_term = half_circle(1.0 - x[0], 0.5 - x[1], variance, gradient);
  const double turned[2] = {-gradient[0], -gradient[1]};
  sum.add(log_term, turned);
  for (std::size_t k = 0; score != nullptr && k < 2; ++k) score[k] = sum.mean(k);
  return sum.log() - std::log(2.0);
}

double TwoMoonsTarget::log_density(const double* x, double sigma) const { return evaluate(x, sigma, nullptr); }

void TwoMoonsTarget::score(const double* x, double sigma, double* score) const { evaluate(x, sigma, score); }

}  // namespace tarn
