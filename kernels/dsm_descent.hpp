// Gradients of the weights and the optimiser's step with them, in one pass over the parameters.
#pragma once

#include <cstdint>

#include "adam.hpp"
#include "dsm_record.hpp"
#include "handles.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::cuda {

/// Whether the pass is worth it, and its indices fit: with more rows its products cost more than a library's and the gradients' way to memory
/// and back.
constexpr bool takes_descent(std::int64_t rows, std::int64_t hidden_width) {
  return rows <= 128 && rows * hidden_width < std::int64_t{1} << 31;
}

/// Device arrays; `[N, in_width]` rows `[W_in | b | 0]` begin at the optimiser's first element, V `[D, hidden_width]` at `v_begin`. All widths are multiples
/// of 4.
struct DsmDescentCall {
  Nonlinearity phi = Nonlinearity::relu;
  int n_rows = 0, batch_size = 0;
  int n_neurons = 0, n_outputs = 0;
  int in_width = 0, hidden_width = 0, out_width = 0;
  std::int64_t v_begin = 0;
  const float* points = nullptr;       ///< `[rows, in_width]`
  const float* activations = nullptr;  ///< `[rows, hidden_width]`: phi(u)
  const float* back = nullptr;         ///< `[rows, hidden_width]`: deltas V
  const float* deltas = nullptr;       ///< `[rows, out_width]`, pads zero
  AdamArrays adam;                     ///< `gradient`, `n` and `n_decayed` are not looked at
  const double* row_losses = nullptr;  ///< `[rows, 2]`
  DsmLossRecord* losses = nullptr;
  unsigned* ticket = nullptr;  ///< zero before and after
  DsmClock clock;
};

/// The optimiser's step on W_in, b and V, and the end of the training step: the loss is recorded and the clock goes on. Asynchronous.
void launch_dsm_descent(const DsmDescentCall& call, StreamHandle stream);

}  // namespace tarn::cuda
