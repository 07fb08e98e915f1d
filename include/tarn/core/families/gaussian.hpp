// T(x) = x/s^2, log h = -x^2/(2 s^2): x ~ N(eta, s^2), so that eta is the mean. Link: identity.
#pragma once

#include <cmath>

#include "tarn/core/family.hpp"
#include "tarn/core/math.hpp"

namespace tarn::families {

struct Gaussian {
  static constexpr Family family = Family::gaussian;
  static constexpr bool exact_relaxation = true;
  float precision;  ///< 1/s^2

  TARN_HOST_INLINE explicit Gaussian(const FamilyParameters& p) : precision(static_cast<float>(1.0 / (p.s * p.s))) {}

  template <class V>
  TARN_HD V statistic(V x) const {
    return mul(x, V(precision));
  }
  template <class V>
  TARN_HD V statistic_derivative(V) const {
    return V(precision);
  }
  template <class V>
  TARN_HD V log_base(V x) const {
    return mul(mul(x, x), V(-0.5f * precision));
  }
  template <class V>
  TARN_HD V log_base_derivative(V x) const {
    return mul(x, V(-precision));
  }
  template <class V>
  TARN_HD V link(V a) const {
    return a;
  }
  template <class V>
  TARN_HD V link_derivative(V, V) const {
    return V(1.0f);
  }
  template <class V>
  TARN_HD V mean_statistic(V eta) const {
    return mul(eta, V(precision));
  }
  template <class V>
  TARN_HD V confine(V x) const {
    return x;
  }

  /// The exact Ornstein-Uhlenbeck step of an interneuron over `time` (in units of tau_e): made once on the host, then
  /// `step(e, eta, normal)` for each unit.
  struct Relaxation {
    float decay, spread;
    template <class V>
    TARN_HD V operator()(V e, V eta, V normal) const {
      return fma(V(spread), normal, fma(V(decay), sub(e, eta), eta));
    }
  };
  TARN_HOST_INLINE Relaxation relaxation(double time) const {
    const double gap = precision;
    return {static_cast<float>(std::exp(-gap * time)),
            static_cast<float>(std::sqrt(-std::expm1(-2.0 * gap * time) / gap))};
  }
};

}  // namespace tarn::families
