// Weights of a network, laid out for products over tiles of chains and neurons.
#pragma once

#include <cstdint>

#include "gemm.hpp"
#include "tarn/compute/network_view.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn::cpu {

/// Row stride for `n` floats that does not put rows a multiple of 1 KiB apart, where they would share the sets of the
/// first cache.
constexpr std::int64_t spread_stride(std::int64_t n) {
  const std::int64_t stride = round_up(n, 16);
  return stride % 256 == 0 ? stride + 16 : stride;
}

/// A copy of the weights: immutable, shared by threads.
struct LargeNetwork {
  explicit LargeNetwork(const NetworkView& network);

  Nonlinearity phi;
  std::int64_t n_outputs, n_columns, n_neurons;  ///< D, D + U, N
  std::int64_t tile_neurons;   ///< neurons of one tile of the hidden layer; sums over tiles are added in order
  std::int64_t in_stride;      ///< of rows of W_in
  AlignedVector<float> W_in;   ///< `[N, in_stride]`
  AlignedVector<float> b;      ///< `[N]`
  AlignedVector<float> W_out;  ///< tile after tile, each `[D, neurons of the tile]`
  AlignedVector<float> c;      ///< `[D]` or empty
  AlignedVector<float> M;      ///< `[D, D]` or empty

  std::int64_t tile_size(std::int64_t first) const {
    return n_neurons - first < tile_neurons ? n_neurons - first : tile_neurons;
  }
  const float* W_out_tile(std::int64_t first) const { return W_out.data() + first * n_outputs; }
};

}  // namespace tarn::cpu
