// The drift of a NetworkView in float64, straight from its definition.
#pragma once

#include "models/reference.hpp"
#include "tarn/compute/network_view.hpp"

namespace tarn::test {

/// `(-x + phi([x u] W_in^T + b) W_out^T + c) M^T` at rows `[x u]`.
inline Array drift_of_view(const NetworkView& n, const Array& points) {
  Array out(points.rows(), n.n_outputs);
  const std::int64_t K = n.n_outputs + n.n_inputs;
  for (std::int64_t i = 0; i < points.rows(); ++i) {
    std::vector<double> g(static_cast<std::size_t>(n.n_outputs));
    for (std::int64_t d = 0; d < n.n_outputs; ++d) {
      g[static_cast<std::size_t>(d)] = -points(i, d) + (n.c ? n.c[d] : 0.0);
    }
    for (std::int64_t j = 0; j < n.n_neurons; ++j) {
      double u = n.b[j];
      for (std::int64_t k = 0; k < K; ++k) u += points(i, k) * n.W_in[j * K + k];
      for (std::int64_t d = 0; d < n.n_outputs; ++d) {
        g[static_cast<std::size_t>(d)] += phi(n.phi, u) * n.W_out[d * n.n_neurons + j];
      }
    }
    for (std::int64_t d = 0; d < n.n_outputs; ++d) {
      if (!n.M) out(i, d) = g[static_cast<std::size_t>(d)];
      for (std::int64_t k = 0; n.M && k < n.n_outputs; ++k) {
        out(i, d) += g[static_cast<std::size_t>(k)] * n.M[d * n.n_outputs + k];
      }
    }
  }
  return out;
}

}  // namespace tarn::test
