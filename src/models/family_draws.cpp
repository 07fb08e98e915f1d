// Exact draws from the exponential families.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "tarn/core/error.hpp"
#include "tarn/models/exponential_family.hpp"

namespace tarn {
namespace {

/// Whether another attempt of rejection still has its four words.
void check_words(const WordSequence& words) {
  require(words.taken() + 4 <= ExponentialFamily::words_per_draw,
          "a draw by rejection was refused {} times, which chance does not explain; is eta finite?",
          ExponentialFamily::words_per_draw / 4);
}

/// A standard normal given that it is above `low` (Robert 1995): by normals where that is likely, else by a shifted exponential.
double normal_above(double low, WordSequence& words) {
  const double rate = 0.5 * (low + std::sqrt(low * low + 4.0));
  while (true) {
    check_words(words);
    const double u[] = {words.uniform(), words.uniform(), words.uniform(), words.uniform()};
    if (low <= 0.0) {
      const double x = std::sqrt(-2.0 * std::log(u[0])) * std::cos(2.0 * std::numbers::pi * u[1]);
      if (x > low) return x;
      continue;
    }
    const double x = low - std::log(u[0]) / rate;
    if (2.0 * std::log(u[1]) <= -(x - rate) * (x - rate)) return x;
  }
}

/// From exp(eta x - x^4/4 + c x^2/2) by a Gaussian above it: x^4 >= 2 m^2 x^2 - m^4 leaves precision v = m^2 - c, and
/// the v of the lowest envelope solves v^3 + c v^2 - v - eta^2 = 0.
double quartic_draw(double eta, double c, WordSequence& words) {
  // Newton from above the largest root, where the polynomial is convex
  double v = 1.0 + std::fabs(c) + std::cbrt(eta * eta);
  for (int i = 0; i < 100; ++i) {
    const double step = (((v + c) * v - 1.0) * v - eta * eta) / ((3.0 * v + 2.0 * c) * v - 1.0);
    v -= step;
    if (std::fabs(step) < 1e-12 * v) break;
  }
  const double touching = v + c, mean = eta / v, deviation = 1.0 / std::sqrt(v);
  while (true) {
    check_words(words);
    const double x = mean + deviation * words.normal();
    const double refusal = 0.5 * (x * x - touching);
    const double threshold = std::log(words.uniform());
    words.word();  // attempts take whole blocks
    if (threshold <= -refusal * refusal) return x;
  }
}

}  // namespace

/// Devroye (1986, VII.2): a log-concave density f with mode m lies below f(m) min(1, exp(1 - f(m) |x - m|)), whose area is 4.
double ExponentialFamily::draw_log_concave(double eta, double mode, WordSequence& words) const {
  const double log_peak = log_density(mode, eta), scale = std::exp(-log_peak), log_partition_eta = log_partition(eta);
  while (true) {
    check_words(words);
    const double side = words.uniform(), place = words.uniform(), height = words.uniform();
    words.word();  // attempts take whole blocks
    // a flat top of half width 1, with half of the area, and exponential tails
    const bool tail = side < 0.5;
    const double tail_length = tail ? -std::log(2.0 * side) : 0.0;
    const double offset = tail ? std::copysign(1.0 + tail_length, place - 0.5) : 2.0 * place - 1.0;
    const double x = mode + scale * offset;
    if (std::log(height) + log_peak - tail_length <= eta * statistic(x) + log_base(x) - log_partition_eta) return x;
  }
}

double ExponentialFamily::draw(double eta, WordSequence& words) const {
  check_eta(eta);
  const double s = parameters_.s, d = parameters_.width;
  switch (family_) {
    case Family::laplace:
      return draw_log_concave(eta, eta * d / std::sqrt((parameters_.rate - eta) * (parameters_.rate + eta)), words);
    case Family::laplace_scale:
      return draw_log_concave(eta, 0.0, words);
    case Family::gaussian_scale:
      return words.normal() / std::sqrt(eta);
    case Family::quartic:
      return quartic_draw(eta, parameters_.c, words);
    case Family::rectified:
      return std::max(0.0, eta + s * normal_above(-eta / s, words));
    case Family::gaussian:
      break;
  }
  return eta + s * words.normal();
}

}  // namespace tarn
