#include "large_network.hpp"

#include <algorithm>

namespace tarn::cpu {
namespace {

// A tile of activations (256 chains) and what it meets should lie in the second cache. 84 is a whole number of blocks
// of the products on every instruction set. Depends on sizes alone: the order of sums hangs on it.
std::int64_t neurons_a_tile(std::int64_t n_columns) {
  return 84 * std::clamp<std::int64_t>(1152 / std::max<std::int64_t>(n_columns, 1), 1, 3);
}

}  // namespace

LargeNetwork::LargeNetwork(const NetworkView& n)
    : phi(n.phi),
      n_outputs(n.n_outputs),
      n_columns(n.n_outputs + n.n_inputs),
      n_neurons(n.n_neurons),
      tile_neurons(neurons_a_tile(n_columns)),
      in_stride(spread_stride(n_columns)),
      W_in(static_cast<std::size_t>(n_neurons * in_stride), 0.0f),
      b(n.b, n.b + n_neurons) {
  for (std::int64_t j = 0; j < n_neurons; ++j)
    std::copy_n(n.W_in + j * n_columns, n_columns, W_in.data() + j * in_stride);
  W_out.resize(static_cast<std::size_t>(n_neurons * n_outputs));
  for (std::int64_t first = 0; first < n_neurons; first += tile_neurons) {
    const std::int64_t size = tile_size(first);
    float* tile = W_out.data() + first * n_outputs;
    for (std::int64_t d = 0; d < n_outputs; ++d) std::copy_n(n.W_out + d * n_neurons + first, size, tile + d * size);
  }
  if (n.c) c.assign(n.c, n.c + n_outputs);
  if (n.M) M.assign(n.M, n.M + n_outputs * n_outputs);
}

}  // namespace tarn::cpu
