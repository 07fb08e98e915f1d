// Weights of a small-D network, laid out for the fixed summation order of the fused kernels.
#pragma once

#include <cstdint>

#include "small_networks.hpp"
#include "tarn/compute/backend.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn::cpu {

/// Neurons are sorted by j mod 32, then j; neuron records `W_in[j, :], b[j], W_out[:, j]` follow one another.
struct SmallNetwork {
  explicit SmallNetwork(const NetworkView& network);

  std::int64_t n_outputs, n_columns, n_neurons;  ///< D, D + U, N
  Nonlinearity phi;
  std::int64_t first[partial_sums + 1];  ///< neurons of partial sum p: records first[p] to first[p+1]
  AlignedVector<float> records;          ///< `[N, D+U + 1 + D]`
  AlignedVector<float> c;                ///< `[D]` or empty
  AlignedVector<float> M;                ///< `[D, D]` or empty
};

/// One call of the fused Langevin kernel: chains `begin` to `end` of the block.
struct SmallLangevinCall {
  const SmallNetwork* network = nullptr;
  LangevinSteps steps;
  ChainBlock block;
};

/// One call of the fused drift kernel: rows `begin` to `end` of `points` `[n, D+U]`, drift to `out` `[n, D]`.
struct SmallDriftCall {
  const SmallNetwork* network = nullptr;
  MatrixView<const float> points;
  MatrixView<float> out;
};

}  // namespace tarn::cpu
