// T(x) = x, log h = -lambda sqrt(x^2 + d^2), |eta| < lambda: a Laplace law with a rounded peak, tilted by eta.
// Link: 0.9 lambda tanh(a), which keeps eta away from the ends of its range, where the law spreads without bound.
// A = log(2 d lambda K_1(d g)/g), A' = eta (2 + z K_0(z)/K_1(z)) / g^2 with g = sqrt(lambda^2 - eta^2), z = d g.
#pragma once

#include "tarn/core/family.hpp"
#include "tarn/core/special.hpp"

namespace tarn::families {

struct Laplace {
  static constexpr Family family = Family::laplace;
  static constexpr bool exact_relaxation = false;
  /// The largest |eta| that the link gives, in units of lambda.
  static constexpr double reach = 0.9;
  float rate, width, width_squared, largest_eta, inverse_largest_eta;

  TARN_HOST_INLINE explicit Laplace(const FamilyParameters& p)
      : rate(static_cast<float>(p.rate)),
        width(static_cast<float>(p.width)),
        width_squared(static_cast<float>(p.width * p.width)),
        largest_eta(static_cast<float>(reach * p.rate)),
        inverse_largest_eta(static_cast<float>(1.0 / (reach * p.rate))) {}

  template <class V>
  TARN_HD V statistic(V x) const {
    return x;
  }
  template <class V>
  TARN_HD V statistic_derivative(V) const {
    return V(1.0f);
  }
  template <class V>
  TARN_HD V log_base(V x) const {
    return mul(V(-rate), sqrt(fma(x, x, V(width_squared))));
  }
  template <class V>
  TARN_HD V log_base_derivative(V x) const {
    return div(mul(V(-rate), x), sqrt(fma(x, x, V(width_squared))));
  }
  template <class V>
  TARN_HD V link(V a) const {
    return mul(V(largest_eta), math::tanh(a));
  }
  template <class V>
  TARN_HD V link_derivative(V, V eta) const {
    return fma(mul(eta, V(-inverse_largest_eta)), eta, V(largest_eta));
  }
  template <class V>
  TARN_HD V mean_statistic(V eta) const {
    const V g_squared = mul(sub(V(rate), eta), add(V(rate), eta));
    const V z = mul(V(width), sqrt(g_squared));
    return div(mul(eta, fma(z, math::bessel_ratio(z), V(2.0f))), g_squared);
  }
  template <class V>
  TARN_HD V confine(V x) const {
    return x;
  }
};

}  // namespace tarn::families
