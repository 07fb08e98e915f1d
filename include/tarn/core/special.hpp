// Two special functions that exact expectations of exponential families need, from the operations of math.hpp: the same
// bits on every device. Minimax fits; the errors stated are the largest found against double
// (tests/core/special_test.cpp). `V` is float or Pack. NaN goes through.
#pragma once

#include "tarn/core/math.hpp"

namespace tarn::math {

/// K_0(z) / K_1(z) of the modified Bessel functions, z >= 0: about -z log z near 0, 1 - 1/(2z) far out.
/// K_2/K_1 = K_0/K_1 + 2/z, so all ratios of neighbouring orders follow. Largest error found 4.5 ulp.
template <class V>
TARN_HD V bessel_ratio(V z) {
  // z <= 1: K_0 = R - log(z) I_0 and z K_1 = 1 + z^2 (log(z) I_1/z - S), with I_0, I_1/z, R, S series in z^2.
  const V u = mul(z, z);
  // what lies outside is kept out of the logarithm's integer arithmetic
  const V l = log_normal_range(select(z > V(0.0f), z, V(1.0f)));
  V r = fma(V(1.53005106e-5f), u, V(8.45724157e-4f));
  r = fma(r, u, V(2.52490286e-2f));
  r = fma(r, u, V(2.78982869e-1f));
  r = fma(r, u, V(1.15931516e-1f));
  V i0 = fma(V(6.95117163e-6f), u, V(4.33881144e-4f));
  i0 = fma(i0, u, V(1.56250514e-2f));
  i0 = fma(i0, u, V(2.49999994e-1f));
  i0 = fma(i0, u, V(1.0f));
  V i1 = fma(V(5.56155778e-5f), u, V(2.60332090e-3f));
  i1 = fma(i1, u, V(6.25001668e-2f));
  i1 = fma(i1, u, V(0.5f));
  V s = fma(V(1.15644176e-4f), u, V(4.64027529e-3f));
  s = fma(s, u, V(8.53710893e-2f));
  s = fma(s, u, V(3.07965747e-1f));
  const V near_numerator = mul(z, fma(sub(V(0.0f), l), i0, r));
  const V near_denominator = fma(u, fma(l, i1, sub(V(0.0f), s)), V(1.0f));

  // z > 1: a rational function of z that tends to 1; beyond 2^25 it is 1 to the last bit.
  const V far = select(z > V(33554432.0f), V(33554432.0f), z);
  V p = add(far, V(4.15091821f));
  p = fma(p, far, V(4.37768783f));
  p = fma(p, far, V(1.10672328f));
  p = fma(p, far, V(0.01732053f));
  V q = add(far, V(4.65091812f));
  q = fma(q, far, V(6.32815285f));
  q = fma(q, far, V(2.90156722f));
  q = fma(q, far, V(0.3486606f));

  const auto is_far = z > V(1.0f);
  return div(select(is_far, p, near_numerator), select(is_far, q, near_denominator));
}

/// z + phi(z)/Phi(z): the mean of a standard normal law shifted by z and cut off below 0. Relative precision holds on both
/// sides; phi/Phi alone (the inverse Mills ratio) would cancel against z where z is far below 0. Largest error found 4.9 ulp.
template <class V>
TARN_HD V truncated_normal_mean(V z) {
  // z < 0: a rational function of t = 1/(1 - z), times t.
  const V t = div(V(1.0f), add(select(z < V(0.0f), sub(V(0.0f), z), V(0.0f)), V(1.0f)));
  V below = fma(V(-0.16612023f), t, V(65.0674568f));
  below = fma(below, t, V(48.60204768f));
  below = fma(below, t, V(21.1478962f));
  below = fma(below, t, V(5.05076194f));
  below = fma(below, t, V(1.0f));
  V below_denominator = fma(V(49.8567863f), t, V(63.72394064f));
  below_denominator = fma(below_denominator, t, V(39.61681803f));
  below_denominator = fma(below_denominator, t, V(18.09554459f));
  below_denominator = fma(below_denominator, t, V(4.05077592f));
  below_denominator = fma(below_denominator, t, V(1.0f));

  // z >= 0: phi/Phi = exp(-z^2/2) N/D; beyond 6 it is lost beside z.
  const V x = select(z > V(6.0f), V(6.0f), select(z > V(0.0f), z, V(0.0f)));
  V above = fma(V(0.01036232f), x, V(-0.02572573f));
  above = fma(above, x, V(0.17794995f));
  above = fma(above, x, V(-0.19741991f));
  above = fma(above, x, V(0.79788455f));
  V above_denominator = fma(V(0.02054061f), x, V(0.01260724f));
  above_denominator = fma(above_denominator, x, V(0.02562578f));
  above_denominator = fma(above_denominator, x, V(0.55045433f));
  above_denominator = fma(above_denominator, x, V(1.0f));
  const V weight = math::exp(mul(mul(x, x), V(-0.5f)));

  const auto negative = z < V(0.0f);
  const V quotient = div(select(negative, below, above), select(negative, below_denominator, above_denominator));
  return select(negative, mul(t, quotient), fma(weight, quotient, z));
}

}  // namespace tarn::math
