// T(x) = x/s^2, log h = -x^2/(2 s^2) on x >= 0: a Gaussian N(eta, s^2) cut off below 0; firing rates. Link: identity.
// Steps that would leave x >= 0 are reflected. A' = (eta + s phi(eta/s)/Phi(eta/s)) / s^2.
#pragma once

#include "tarn/core/family.hpp"
#include "tarn/core/special.hpp"

namespace tarn::families {

struct Rectified {
  static constexpr Family family = Family::rectified;
  static constexpr bool exact_relaxation = false;
  float precision, inverse_s;  ///< 1/s^2, 1/s

  TARN_HOST_INLINE explicit Rectified(const FamilyParameters& p)
      : precision(static_cast<float>(1.0 / (p.s * p.s))), inverse_s(static_cast<float>(1.0 / p.s)) {}

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
    return mul(math::truncated_normal_mean(mul(eta, V(inverse_s))), V(inverse_s));
  }
  template <class V>
  TARN_HD V confine(V x) const {
    return abs(x);
  }
};

}  // namespace tarn::families
