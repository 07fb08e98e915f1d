// T(x) = -x^2/2, log h = 0, eta > 0: x ~ N(0, 1/eta); eta is a precision, so that the layer above sets variances.
// Link: 0.05 + softplus(a), which keeps the precision from vanishing. A = -log(eta)/2 + log(2 pi)/2, A' = -1/(2 eta).
#pragma once

#include "tarn/core/family.hpp"
#include "tarn/core/math.hpp"

namespace tarn::families {

struct GaussianScale {
  static constexpr Family family = Family::gaussian_scale;
  static constexpr bool exact_relaxation = true;
  static constexpr float least_eta = 0.05f;

  TARN_HOST_INLINE explicit GaussianScale(const FamilyParameters&) {}

  template <class V>
  TARN_HD V statistic(V x) const {
    return mul(mul(x, x), V(-0.5f));
  }
  template <class V>
  TARN_HD V statistic_derivative(V x) const {
    return sub(V(0.0f), x);
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
    return div(V(-0.5f), eta);
  }
  template <class V>
  TARN_HD V confine(V x) const {
    return x;
  }

  /// The exact Ornstein-Uhlenbeck step, as for the Gaussian; here its rate is eta, another one for each unit.
  struct Relaxation {
    float time;
    template <class V>
    TARN_HD V operator()(V e, V eta, V normal) const {
      const V exponent = mul(eta, V(-time));
      const V twice = add(exponent, exponent);
      // 1 - exp(-2 eta time); its argument has a lower end
      const V lost = sub(V(0.0f), math::expm1_negative(select(twice < V(-80.0f), V(-80.0f), twice)));
      return fma(sqrt(div(lost, eta)), normal, mul(math::exp(exponent), e));
    }
  };
  TARN_HOST_INLINE Relaxation relaxation(double time) const { return {static_cast<float>(time)}; }
};

}  // namespace tarn::families
