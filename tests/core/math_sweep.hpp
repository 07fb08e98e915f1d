// The math functions held against double precision: references, errors in ulp, and the floats to try.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "isa_cases.hpp"

namespace tarn::test {

/// A function, its double-precision twin, and the claim made in math.hpp.
struct MathClaim {
  MathFunction function;
  double (*reference)(double);
  double largest_ulp;       ///< for results at least as large as the smallest normal float
  double largest_absolute;  ///< for smaller ones
  float low = -std::numeric_limits<float>::infinity(), high = std::numeric_limits<float>::infinity();  ///< domain

  /// x, or the nearest end of the domain. NaN passes: every function takes it.
  float within(float x) const { return x < low ? low : x > high ? high : x; }
};
inline void PrintTo(const MathClaim& claim, std::ostream* out) {
  *out << math_function_names[static_cast<int>(claim.function)];
}

inline double reference_sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
inline double reference_softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

/// |value - exact| in units of the distance between floats at `exact`.
inline double error_in_ulp(float value, double exact) {
  const double magnitude = std::max(std::fabs(exact), 0x1p-126);
  return std::fabs(value - exact) / std::ldexp(1.0, std::ilogb(magnitude) - 23);
}

/// Largest errors over a sweep, and where they were found.
struct SweepResult {
  double ulp = 0.0, absolute = 0.0;
  float ulp_at = 0.0f, absolute_at = 0.0f;
  std::string failure;  ///< the first result of the wrong kind: NaN, infinity or zero where there should be none

  void add(float x, float y, double exact) {
    if (std::isnan(exact) || std::isnan(y)) {
      if (std::isnan(exact) != std::isnan(y)) fail(x, y, exact);
      return;
    }
    // beyond the largest float by half a step: rounds to infinity
    const bool overflow = std::fabs(exact) >= 0x1.ffffffp127;
    if (overflow || std::isinf(y)) {
      // infinity may be reached within the error claimed
      const bool near = std::fabs(exact) > 0x1.fffff8p127 && std::fabs(exact) < 0x1.000008p128;
      if (!(std::isinf(y) && overflow && (y > 0) == (exact > 0)) && !near) fail(x, y, exact);
      return;
    }
    if (std::fabs(exact) >= 0x1p-126) {
      const double e = error_in_ulp(y, exact);
      if (e > ulp) {
        ulp = e;
        ulp_at = x;
      }
    } else {
      const double e = std::fabs(y - exact);
      if (e > absolute) {
        absolute = e;
        absolute_at = x;
      }
    }
  }
  void merge(const SweepResult& other) {
    if (other.ulp > ulp) {
      ulp = other.ulp;
      ulp_at = other.ulp_at;
    }
    if (other.absolute > absolute) {
      absolute = other.absolute;
      absolute_at = other.absolute_at;
    }
    if (failure.empty()) failure = other.failure;
  }

 private:
  void fail(float x, float y, double exact) {
    if (failure.empty())
      failure = "f(" + std::to_string(x) + ") = " + std::to_string(y) + ", should be " + std::to_string(exact);
  }
};

/// What math.hpp states of its functions.
inline const std::vector<MathClaim>& math_claims() {
  static const std::vector<MathClaim> claims{
      {MathFunction::exp, [](double x) { return std::exp(x); }, 1.05, 1.1e-45},
      {MathFunction::log, [](double x) { return std::log(x); }, 0.91, 0.0},
      {MathFunction::tanh, [](double x) { return std::tanh(x); }, 2.5, 0.0},
      {MathFunction::sigmoid, reference_sigmoid, 2.41, 1.1e-45},
      {MathFunction::softplus, reference_softplus, 1.76, 1.1e-45},
      {MathFunction::expm1_negative, [](double x) { return std::expm1(x); }, 0.88, 0.0, -80.0f, 0.0f},
  };
  return claims;
}

/// Every `stride`-th bit pattern of a float, from `first` on.
inline SweepResult sweep(const MathClaim& claim, const IsaCases& cases, std::uint64_t first, std::uint64_t last,
                         std::uint64_t stride) {
  constexpr std::int64_t tile = 4096;
  std::vector<float> x(tile), y(tile);
  SweepResult result;
  for (std::uint64_t bits = first; bits < last;) {
    std::int64_t n = 0;
    for (; n < tile && bits < last; ++n, bits += stride) {
      x[static_cast<std::size_t>(n)] = claim.within(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    }
    std::fill(x.begin() + n, x.end(), 1.0f);
    cases.math_pack(claim.function, x.data(), y.data(), tile);
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
      result.add(x[i], y[i], claim.reference(static_cast<double>(x[i])));
    }
  }
  return result;
}

/// Specials, denormals, and the floats around every power of two, of both signs.
inline std::vector<float> boundary_floats() {
  std::vector<float> floats;
  for (std::uint32_t exponent = 0; exponent < 256; ++exponent) {
    for (int offset = -4; offset <= 4; ++offset) {
      const auto bits = static_cast<std::uint32_t>(static_cast<int>(exponent << 23) + offset) & 0x7fffffffu;
      floats.push_back(std::bit_cast<float>(bits));
      floats.push_back(std::bit_cast<float>(bits | 0x80000000u));
    }
  }
  // thresholds inside the functions, and where results leave the floats
  for (float edge : {20.0f, 9.0f, 80.0f, 87.33654f, 88.72284f, 88.73f, 89.0f, 103.97208f, 104.0f, 0.34657359f,
                     0.8813736f, 16.635532f, 1.41421356f, 0.70710678f, 2.0f, 3.0f, 10.0f}) {
    float below = edge, above = edge;
    for (int i = 0; i < 16; ++i) {
      for (float v : {below, above}) {
        floats.push_back(v);
        floats.push_back(-v);
      }
      below = std::nextafter(below, 0.0f);
      above = std::nextafter(above, std::numeric_limits<float>::infinity());
    }
  }
  return floats;
}

}  // namespace tarn::test
