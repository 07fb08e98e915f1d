// T(x) = -sqrt(x^2 + d^2), log h = 0, eta > 0: a Laplace law with a rounded peak whose rate eta comes from above.
// Link: 0.05 + softplus(a). A = log(2 d K_1(d eta)), A' = -d K_0(d eta)/K_1(d eta) - 1/eta.
#pragma once

#include "tarn/core/family.hpp"
#include "tarn/core/special.hpp"

namespace tarn::families {

struct LaplaceScale {
  static constexpr Family family = Family::laplace_scale;
  static constexpr bool exact_relaxation = false;
  static constexpr float least_eta = 0.05f;
  float width, width_squared;

  TARN_HOST_INLINE explicit LaplaceScale(const FamilyParameters& p)
      : width(static_cast<float>(p.width)), width_squared(static_cast<float>(p.width * p.width)) {}

  template <class V>
  TARN_HD V statistic(V x) const {
    return sub(V(0.0f), sqrt(fma(x, x, V(width_squared))));
  }
  template <class V>
  TARN_HD V statistic_derivative(V x) const {
    return div(sub(V(0.0f), x), sqrt(fma(x, x, V(width_squared))));
  }
  template <class V>
  TARN_HD V log_base(V) const {
    return V(0.0f);
  }
  template <class V>
  TARN_HD V log_base_derivative(V) const {
    return V(0.0f);
  }
  template <class V>
  TARN_HD V link(V a) const {
    return add(math::softplus(a), V(least_eta));
  }
  template <class V>
  TARN_HD V link_derivative(V a, V) const {
    return math::sigmoid(a);
  }
  template <class V>
  TARN_HD V mean_statistic(V eta) const {
    return sub(mul(V(-width), math::bessel_ratio(mul(V(width), eta))), div(V(1.0f), eta));
  }
  template <class V>
  TARN_HD V confine(V x) const {
    return x;
  }
};

}  // namespace tarn::families
