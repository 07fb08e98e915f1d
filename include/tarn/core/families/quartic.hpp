// T(x) = x, log h = -x^4/4 + c x^2/2: a double well for c > 0, tilted by eta; a bimodal unit. Link: identity.
// A has no closed form. A'(eta)/eta is smooth in r = (1 + (eta/kappa)^2)^(-1/3): in eta^2 near 0, and far out, where A' grows as the
// cube root of eta, in powers of eta^(-2/3). So A' = eta r F(r), F a Chebyshev series fitted on the host by quadrature, holds
// for every eta.
#pragma once

#include "tarn/core/family.hpp"
#include "tarn/core/math.hpp"

namespace tarn::families {

/// The series for one c: F(r) = sum_k coefficient[k] T_k(2 r - 1), and kappa, where the cube root sets in.
struct QuarticMean {
  static constexpr int n_coefficients = 20;
  float inverse_kappa;
  float coefficient[n_coefficients];
};
QuarticMean fit_quartic_mean(double c);

/// A, A' and A'' by quadrature, to about 1e-13.
struct QuarticMoments {
  double log_partition, mean, variance;
};
QuarticMoments quartic_moments(double eta, double c);

struct Quartic {
  static constexpr Family family = Family::quartic;
  static constexpr bool exact_relaxation = false;
  float c;
  QuarticMean mean;

  TARN_HOST_INLINE explicit Quartic(const FamilyParameters& p)
      : c(static_cast<float>(p.c)), mean(fit_quartic_mean(p.c)) {}

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
    const V square = mul(x, x);
    return mul(square, fma(square, V(-0.25f), V(0.5f * c)));
  }
  template <class V>
  TARN_HD V log_base_derivative(V x) const {
    return mul(x, fma(sub(V(0.0f), x), x, V(c)));
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
    const V scaled = mul(eta, V(mean.inverse_kappa));
    const V r = math::exp(mul(math::log_normal_range(fma(scaled, scaled, V(1.0f))), V(-0.333333343f)));
    const V twice = fma(r, V(4.0f), V(-2.0f));  // 2 (2 r - 1), for Clenshaw's recurrence
    V next(0.0f), after(0.0f);
    for (int k = QuarticMean::n_coefficients - 1; k > 0; --k) {
      const V now = fma(twice, next, sub(V(mean.coefficient[k]), after));
      after = next;
      next = now;
    }
    const V series = fma(mul(twice, V(0.5f)), next, sub(V(mean.coefficient[0]), after));
    return mul(mul(eta, r), series);
  }
  template <class V>
  TARN_HD V confine(V x) const {
    return x;
  }
};

}  // namespace tarn::families
