// exp, log, tanh, softplus and sigmoid from IEEE fma, multiply, add and divide alone: the same bits on every device and
// build. `V` is float or Pack. Polynomials are minimax fits in relative error; the errors stated are the largest found
// over all floats against double (tests/core/math_test.cpp). NaN goes through every one of them.
#pragma once

#include "tarn/core/host_device.hpp"

namespace tarn::math {

/// log(1 + f) for f in [sqrt(1/2) - 1, sqrt(2) - 1].
template <class V>
TARN_HD V log1p_reduced(V f) {
  V p = V(-0.076345183f);
  p = fma(p, f, V(0.127616733f));
  p = fma(p, f, V(-0.131602198f));
  p = fma(p, f, V(0.142017484f));
  p = fma(p, f, V(-0.166233525f));
  p = fma(p, f, V(0.200012267f));
  p = fma(p, f, V(-0.250008225f));
  p = fma(p, f, V(0.333333313f));
  const V square = mul(f, f);
  return add(f, fma(mul(square, f), p, mul(square, V(-0.5f))));
}

/// log(x) for normal x > 0 (no zero, denormal, infinity or NaN).
template <class V>
TARN_HD V log_normal_range(V x) {
  const auto bits = as_int(x);
  const auto exponent = (bits - 0x3f3504f3) >> 23;  // so that the mantissa lies in [sqrt(1/2), sqrt(2))
  const V f = sub(as_float(bits - (exponent << 23)), V(1.0f));
  const V e = to_float(exponent);
  // ln 2 in two parts, the first with enough trailing zeros that e * ln2_high is exact
  return fma(e, V(0.693145752f), fma(e, V(1.42860677e-6f), log1p_reduced(f)));
}

/// log(x) for any x: -inf at 0, NaN below. Largest error 0.904 ulp.
template <class V>
TARN_HD V log(V x) {
  const auto small = x < V(1.17549435e-38f);
  // zero and negative numbers, overruled below, are kept out of the integer arithmetic
  const V scaled = select(x > V(0.0f), select(small, mul(x, V(8388608.0f)), x), V(1.0f));
  V y = log_normal_range(scaled);
  y = select(small, sub(y, V(15.9423847f)), y);
  y = select(x == V(0.0f), V(-__builtin_inff()), y);
  y = select(x == V(__builtin_inff()), x, y);
  return select(x >= V(0.0f), y, V(__builtin_nanf("")));
}

/// x = n ln 2 + r with |r| <= ln(2)/2; returns r, sets n. |x| below 2^22 ln 2.
template <class V>
TARN_HD V reduce_by_ln2(V x, decltype(as_int(V(0.0f)))& n) {
  // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits.
  const V shifted = fma(x, V(1.44269502f), V(12582912.0f));
  const V rounded = sub(shifted, V(12582912.0f));
  n = as_int(shifted) - 0x4b400000;
  return fma(rounded, V(-1.42860677e-6f), fma(rounded, V(-0.693145752f), x));
}

/// exp(x); infinity from 88.722839 on, gradual underflow below -87.33654 (there within 0.75 * 2^-149), 0 below -103.97208.
/// Largest error 1.042 ulp.
template <class V>
TARN_HD V exp(V x) {
  x = select(x > V(89.0f), V(89.0f), select(x < V(-104.0f), V(-104.0f), x));
  decltype(as_int(x)) n;
  const V r = reduce_by_ln2(x, n);
  V p = V(0.00139505044f);
  p = fma(p, r, V(0.00836889818f));
  p = fma(p, r, V(0.041666206f));
  p = fma(p, r, V(0.166665182f));
  p = fma(p, r, V(0.5f));
  p = add(fma(mul(r, r), p, r), V(1.0f));
  // 2^n in two factors, so that neither overflows nor underflows on the way
  const auto half = n >> 1;
  return mul(mul(p, as_float((half + 127) << 23)), as_float((n - half + 127) << 23));
}

/// exp(x) - 1 for x in [-80, 0]. Largest error 0.872 ulp.
template <class V>
TARN_HD V expm1_negative(V x) {
  decltype(as_int(x)) n;
  const V r = reduce_by_ln2(x, n);
  V p = V(0.000198458787f);
  p = fma(p, r, V(0.00139406405f));
  p = fma(p, r, V(0.00833338965f));
  p = fma(p, r, V(0.0416663624f));
  p = fma(p, r, V(0.166666657f));
  p = fma(p, r, V(0.5f));
  const V q = fma(mul(r, r), p, r);  // exp(r) - 1
  const V scale = as_float((n + 127) << 23);
  return fma(scale, q, sub(scale, V(1.0f)));
}

/// tanh(x), odd to the bit, never beyond 1. Largest error 2.498 ulp.
template <class V>
TARN_HD V tanh(V x) {
  const V magnitude = abs(x);
  const V capped = select(magnitude > V(20.0f), V(20.0f), magnitude);
  const V m = expm1_negative(mul(capped, V(-2.0f)));
  return copy_sign(abs(div(m, add(m, V(2.0f)))), x);
}

/// 1 / (1 + exp(-x)), in [0, 1]. Largest error 2.402 ulp; where the result is below the normal floats, within 0.75 * 2^-149.
template <class V>
TARN_HD V sigmoid(V x) {
  const V t = math::exp(sub(V(0.0f), abs(x)));
  return div(select(x >= V(0.0f), V(1.0f), t), add(t, V(1.0f)));
}

/// log(1 + exp(x)). Largest error 1.758 ulp; where the result is below the normal floats, within 0.75 * 2^-149.
template <class V>
TARN_HD V softplus(V x) {
  const V t = math::exp(sub(V(0.0f), abs(x)));  // in [0, 1]
  const auto upper = t > V(0.414213538f);
  // 1 + t = 2 (1 + (t - 1)/2) brings the upper part into the polynomial's range without rounding
  const V f = select(upper, mul(sub(t, V(1.0f)), V(0.5f)), t);
  const V tail = log1p_reduced(f);
  return add(select(x > V(0.0f), x, V(0.0f)), select(upper, add(tail, V(0.693147182f)), tail));
}

}  // namespace tarn::math
