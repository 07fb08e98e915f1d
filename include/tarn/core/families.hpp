// The exponential families as small structs of host-device functions, and the bridge from a run-time name to them.
//
// Each struct is built on the host from FamilyParameters, is trivially copyable, and has, over the value type V (float or
// Pack), for one unit:
//   statistic(x), statistic_derivative(x)    T, T'
//   log_base(x), log_base_derivative(x)      log h, (log h)'
//   link(a), link_derivative(a, eta)         eta = g(a), g'(a) given a and eta = g(a)
//   mean_statistic(eta)                      A'(eta) = E[T(x) | eta], exact
//   confine(x)                               where a step of the dynamics that left the domain comes to lie
//   exact_relaxation, relaxation(time)       whether interneurons have an exact step, and that step
// The same bits on every device and instruction set. Host references in double and exact samplers:
// models/exponential_family.hpp.
#pragma once

#include <type_traits>

#include "tarn/core/families/gaussian.hpp"
#include "tarn/core/families/gaussian_scale.hpp"
#include "tarn/core/families/laplace.hpp"
#include "tarn/core/families/laplace_scale.hpp"
#include "tarn/core/families/quartic.hpp"
#include "tarn/core/families/rectified.hpp"

namespace tarn {

/// Calls `f` with the struct of `family`, made from `parameters`.
template <class F>
decltype(auto) dispatch(Family family, const FamilyParameters& parameters, F&& f) {
  switch (family) {
    case Family::laplace:
      return f(families::Laplace(parameters));
    case Family::gaussian_scale:
      return f(families::GaussianScale(parameters));
    case Family::laplace_scale:
      return f(families::LaplaceScale(parameters));
    case Family::quartic:
      return f(families::Quartic(parameters));
    case Family::rectified:
      return f(families::Rectified(parameters));
    case Family::gaussian:
      break;
  }
  return f(families::Gaussian(parameters));
}

}  // namespace tarn
