// Output mode at D > 16 in one kernel: both matrix products of a step, phi between them, noise and update, for as many steps as are
// asked for; the hidden layer is never in memory. Operands are rounded to bf16 or tf32, sums are float32.
#pragma once

#include <cstdint>

#include "fused_shape.hpp"
#include "handles.hpp"
#include "langevin_call.hpp"
#include "langevin_update.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::cuda {

/// Which instance of the kernel runs a network: a column of instances a precision, of which the narrowest that holds it is taken.
struct FusedPlan {
  Precision precision = Precision::fp32;  ///< fp32: none does
  int width = 0;                          ///< columns of the operand: D + U and padding
  Share share = Share::rows;
  int chains = 0;                 ///< of a block
  int neurons = 0;                ///< of a tile
  std::int64_t shared_bytes = 0;  ///< of a block
  std::int64_t n_tiles = 0;
  std::int64_t packed_bytes = 0;  ///< of the weights
};
/// The plan for `n_columns` = D + U columns; `precision` fp32 where there is none.
FusedPlan fused_plan(Precision precision, std::int64_t n_columns, std::int64_t n_neurons);

/// The weights in the order in which blocks read them, rounded; `packed` `[plan.packed_bytes]`. W_in `[N, in_stride]`, b `[N]`, W_out
/// `[D, out_stride]`, float32 on the device. Asynchronous.
struct FusedWeights {
  const float* W_in = nullptr;
  std::int64_t in_stride = 0;
  const float* b = nullptr;
  const float* W_out = nullptr;
  std::int64_t out_stride = 0;
  std::int64_t n_outputs = 0, n_columns = 0, n_neurons = 0;
};
void launch_pack_fused(const FusedPlan& plan, const FusedWeights& weights, unsigned char* packed, StreamHandle stream);

/// What the kernel is given. It writes either the state or the sums.
struct FusedSteps {
  LangevinUpdate update;  ///< state `[n, state_stride]`, read and written; without `sums`, `drift` is not looked at
  std::int64_t n_columns = 0;
  Nonlinearity phi = Nonlinearity::relu;
  const unsigned char* packed = nullptr;
  std::int64_t n_tiles = 0;
  std::int64_t n_steps = 1;            ///< n_tiles n_steps below 2^30
  const LangevinCall* call = nullptr;  ///< null where `sums` are asked for
  float* sums = nullptr;  ///< `[n, sums_stride]`: the sums over the neurons at the state, once; or null: steps
  std::int64_t sums_stride = 0;
};
/// Advances all chains by `n_steps` steps from `call->step` on, which stays as it is, or writes `sums`. Deterministic; a chain's result depends on no other
/// chain. Asynchronous.
void launch_fused(const FusedPlan& plan, Engine engine, const FusedSteps& steps, StreamHandle stream);

}  // namespace tarn::cuda
