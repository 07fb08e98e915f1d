// Large-D networks with rounded operands, in double: x, W_in, phi and W_out are rounded as the matrix units want them, everything else is
// exact; and a bound of what float32 sums and a quick phi may change.
#pragma once

#include <algorithm>
#include <cmath>

#include "compute/large_reference.hpp"
#include "tarn/core/precision.hpp"

namespace tarn::test {

/// Bits behind the leading one.
constexpr int significand_bits(Precision precision) {
  return precision == Precision::bf16 ? 7 : (precision == Precision::tf32 ? 10 : 23);
}

/// `a` in the operand's format: ties to even (bf16) or away from 0 (tf32). No overflow, no denormals.
inline double rounded(Precision precision, double a) {
  if (a == 0.0 || precision == Precision::fp32) return a;
  int exponent = 0;
  const double scaled = std::ldexp(std::frexp(a, &exponent), significand_bits(precision) + 1);  // its ulp is 1
  const double whole = precision == Precision::bf16 ? std::nearbyint(scaled) : std::round(scaled);
  return std::ldexp(whole, exponent - significand_bits(precision) - 1);
}

/// How far phi may be off before it is rounded, beside what its argument's error does; `quick` as the fused kernel has it.
inline double phi_error(Nonlinearity phi, Precision precision, double u, double a, bool quick) {
  if (!quick || phi == Nonlinearity::relu || phi == Nonlinearity::leaky_relu) return 8.0 * half_ulp * std::fabs(a);
  if (phi == Nonlinearity::tanh && precision == Precision::bf16) return std::ldexp(std::fabs(a), -10);
  return (16.0 + 8.0 * std::fabs(u)) * half_ulp * std::max(1.0, std::fabs(a));  // of exp2, log2 and a reciprocal
}

/// Drift of one state `[x, u]`.
inline std::vector<Bounded> rounded_drift(const LargeCase& net, Precision precision, const float* x, const float* u,
                                          bool quick) {
  // The matrix unit adds several products at a time and drops what is below the largest: four half ulp a term.
  constexpr double unit = 4.0 * half_ulp;
  std::vector<Bounded> a(static_cast<std::size_t>(net.N));
  for (std::int64_t j = 0; j < net.N; ++j) {
    double sum = net.b.data()[j], size = std::fabs(sum);
    for (std::int64_t k = 0; k < net.D + net.U; ++k) {
      const double term = rounded(precision, net.W_in(j, k)) * rounded(precision, k < net.D ? x[k] : u[k - net.D]);
      sum += term;
      size += std::fabs(term);
    }
    const double value = reference_phi(net.phi, sum);
    const double off =
        unit * static_cast<double>(net.D + net.U + 2) * size + phi_error(net.phi, precision, sum, value, quick);
    Bounded& out = a[static_cast<std::size_t>(j)];  // rounding is monotonous: what is found lies between the two
    out.value = rounded(precision, value);
    out.error = std::max(rounded(precision, value + off) - out.value, out.value - rounded(precision, value - off));
  }
  std::vector<Bounded> f(static_cast<std::size_t>(net.D));
  for (std::int64_t d = 0; d < net.D; ++d) {
    Bounded& out = f[static_cast<std::size_t>(d)];
    out.value = -static_cast<double>(x[d]) + (net.c.empty() ? 0.0 : static_cast<double>(net.c.data()[d]));
    double size = std::fabs(x[d]) + std::fabs(out.value);
    for (std::int64_t j = 0; j < net.N; ++j) {
      const double w = rounded(precision, net.W_out(d, j));
      const Bounded& h = a[static_cast<std::size_t>(j)];
      out.value += w * h.value;
      size += std::fabs(w * h.value);
      out.error += std::fabs(w) * h.error;
    }
    out.error += unit * static_cast<double>(net.N + 4) * size;
  }
  if (net.M.empty()) return f;
  return mapped(net, f);
}

}  // namespace tarn::test
