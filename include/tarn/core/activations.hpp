// The nonlinearities of the circuits and their derivatives, for float and Pack alike.
#pragma once

#include <type_traits>

#include "tarn/core/math.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn {

inline constexpr float leaky_slope = 0.01f;

/// phi(u).
template <Nonlinearity phi, class V>
TARN_HD V activate(V u) {
  if constexpr (phi == Nonlinearity::relu) return positive_part(u);
  if constexpr (phi == Nonlinearity::leaky_relu) return select(u > V(0.0f), u, mul(u, V(leaky_slope)));
  if constexpr (phi == Nonlinearity::tanh) return math::tanh(u);
  if constexpr (phi == Nonlinearity::softplus) return math::softplus(u);
  if constexpr (phi == Nonlinearity::sigmoid) return math::sigmoid(u);
}

/// phi'(u), given u and a = phi(u); at the kink of the rectifiers the value of the left side.
template <Nonlinearity phi, class V>
TARN_HD V activate_derivative(V u, V a) {
  if constexpr (phi == Nonlinearity::relu) return select(u > V(0.0f), V(1.0f), V(0.0f));
  if constexpr (phi == Nonlinearity::leaky_relu) return select(u > V(0.0f), V(1.0f), V(leaky_slope));
  if constexpr (phi == Nonlinearity::tanh) return fma(sub(V(0.0f), a), a, V(1.0f));
  if constexpr (phi == Nonlinearity::softplus) return math::sigmoid(u);
  if constexpr (phi == Nonlinearity::sigmoid) return mul(a, sub(V(1.0f), a));
}

/// phi'(u) from a = phi(u) alone.
template <Nonlinearity phi, class V>
TARN_HD V derivative_of_value(V a) {
  if constexpr (phi == Nonlinearity::softplus) {  // sigmoid(u) = 1 - exp(-softplus(u))
    const V capped = select(a > V(80.0f), V(80.0f), a);
    return sub(V(0.0f), math::expm1_negative(sub(V(0.0f), capped)));
  } else {
    return activate_derivative<phi>(a, a);
  }
}

/// Calls `f` with `std::integral_constant<Nonlinearity, phi>`: the bridge from a run-time name to templates.
template <class F>
decltype(auto) dispatch(Nonlinearity phi, F&& f) {
  switch (phi) {
    case Nonlinearity::leaky_relu:
      return f(std::integral_constant<Nonlinearity, Nonlinearity::leaky_relu>{});
    case Nonlinearity::tanh:
      return f(std::integral_constant<Nonlinearity, Nonlinearity::tanh>{});
    case Nonlinearity::softplus:
      return f(std::integral_constant<Nonlinearity, Nonlinearity::softplus>{});
    case Nonlinearity::sigmoid:
      return f(std::integral_constant<Nonlinearity, Nonlinearity::sigmoid>{});
    case Nonlinearity::relu:
      break;
  }
  return f(std::integral_constant<Nonlinearity, Nonlinearity::relu>{});
}

}  // namespace tarn
