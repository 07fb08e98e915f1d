// Products of a few training rows with the weights of all neurons, in float32, with what follows them.
#pragma once

#include <cstdint>

#include "handles.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::cuda {

/// Device arrays on 16 bytes, all widths multiples of 4, none overlaps `c`.
struct NeuronProductCall {
  Nonlinearity phi = Nonlinearity::relu;
  std::int64_t n_rows = 0, n_neurons = 0, n_terms = 0;
  const float* a = nullptr;  ///< `[n_rows, lda]`; columns from `n_terms` on count for nothing
  std::int64_t lda = 0;
  const float* b = nullptr;  ///< forward: `[n_neurons, ldb]`, back: `[n_terms, ldb]`
  std::int64_t ldb = 0;
  float* c = nullptr;  ///< `[n_rows, ldc]`; columns from `n_neurons` to the next multiple of 4 become 0
  std::int64_t ldc = 0;
  const float* activations = nullptr;  ///< back: `[n_rows, ldc]`, phi(u)
};

/// Rows that a block takes, and neurons that it may take: a launch rounds up to one of these, or takes the last.
inline constexpr int neuron_tile_rows = 64;
inline constexpr int neuron_tiles[] = {16, 32, 48, 64, 80};

/// c = phi(sum over k of a[row, k] b[neuron, k]). The same bits with every `tile`. Asynchronous.
void launch_neuron_forward(const NeuronProductCall& call, int tile, StreamHandle stream);
/// c = phi'(u) (sum over k of a[row, k] b[k, neuron]), phi' from `activations` alone. The same bits with every `tile`. Asynchronous.
void launch_neuron_back(const NeuronProductCall& call, int tile, StreamHandle stream);

}  // namespace tarn::cuda
