// The nonlinearities in float64, for fits on the host; the float32 ones of the circuits are in core/activations.hpp.
#pragma once

#include <cmath>

#include "tarn/core/activations.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn {

inline double activate_double(Nonlinearity phi, double u) {
  switch (phi) {
    case Nonlinearity::relu:
      return u > 0.0 ? u : 0.0;
    case Nonlinearity::leaky_relu:
      return u > 0.0 ? u : static_cast<double>(leaky_slope) * u;
    case Nonlinearity::tanh:
      return std::tanh(u);
    case Nonlinearity::softplus:
      return u > 0.0 ? u + std::log1p(std::exp(-u)) : std::log1p(std::exp(u));
    case Nonlinearity::sigmoid:
      return u >= 0.0 ? 1.0 / (1.0 + std::exp(-u)) : std::exp(u) / (1.0 + std::exp(u));
  }
  fail("unknown nonlinearity {}", static_cast<int>(phi));
}

/// phi'(u), given a = phi(u).
inline double activate_derivative_double(Nonlinearity phi, double u, double a) {
  switch (phi) {
    case Nonlinearity::relu:
      return u > 0.0 ? 1.0 : 0.0;
    case Nonlinearity::leaky_relu:
      return u > 0.0 ? 1.0 : static_cast<double>(leaky_slope);
    case Nonlinearity::tanh:
      return 1.0 - a * a;
    case Nonlinearity::softplus:
      return activate_double(Nonlinearity::sigmoid, u);
    case Nonlinearity::sigmoid:
      return a * (1.0 - a);
  }
  fail("unknown nonlinearity {}", static_cast<int>(phi));
}

}  // namespace tarn
