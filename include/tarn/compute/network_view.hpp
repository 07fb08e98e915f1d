// The one form of drift that every backend runs.
#pragma once

#include <cstdint>

#include "tarn/core/nonlinearity.hpp"

namespace tarn {

/// A one-hidden-layer drift, `f(x) = (-x + phi([x u] W_in^T + b) W_out^T + c) M^T`, with rows `x` `[D]`, `u` `[U]`.
/// With `c` and `M` absent it is the score of a reservoir-sampler network (arXiv 2308.11809). Sampler-only networks use `c` and `M`,
/// irreversible drifts use `M^T = (I + J)^T`. Weights are row-major, float32, and must outlive the view.
struct NetworkView {
  std::int64_t n_outputs = 0;  ///< D
  std::int64_t n_inputs = 0;   ///< U: columns of W_in after the D outputs
  std::int64_t n_neurons = 0;  ///< N
  Nonlinearity phi = Nonlinearity::relu;
  const float* W_in = nullptr;   ///< `[N, D+U]`
  const float* b = nullptr;      ///< `[N]`
  const float* W_out = nullptr;  ///< `[D, N]`
  const float* c = nullptr;      ///< `[D]`, or null: none
  const float* M = nullptr;      ///< `[D, D]`, applied as `f = g M^T`, or null: identity
};

}  // namespace tarn
