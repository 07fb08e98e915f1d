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
  std::int64_t n_groups = 1;       ///< of tiles: each group's sum is added up by itself, then they are added in order
  std::int64_t packed_bytes = 0;   ///< of the weights
  std::int64_t sums_of_block = 0;  ///< floats
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
  LangevinUpdate update;  ///< state `[n, state_stride]`, read and written; `drift` is not looked at
  Nonlinearity phi = Nonlinearity::relu;
  const unsigned char* packed = nullptr;
  std::int64_t n_tiles = 0;
  std::int64_t n_steps = 1;  ///< n_tiles n_steps below 2^30
  /// Of the first step; null where sums are asked for.
  const LangevinCall* call = nullptr;
  /// `[n, sums_stride]`: the sums over the neurons at the state, and no step is made; or null.
  float* sums = nullptr;
  std::int64_t sums_stride = 0;
  /// `sums` is `[n_groups, n, sums_stride]`: each group of tiles has blocks of its own.
  bool splits = false;
  /// Floats, `plan.sums_of_block` for each block of chains, where there are groups and nothing splits.
  float* running = nullptr;

  // Filled in by `launch_fused`.
  std::int64_t n_groups = 1;
  std::int64_t first_unit = 0;  ///< of the launch: unit u is round u / n_blocks of block u % n_blocks
  std::int64_t n_blocks = 0;
  std::int64_t steps_a_round = 0;
};

/// A block takes some steps of its chains at a time. With more blocks of chains than the device runs at once, launches go round: each
/// takes the next `at_once` of them, so that few multiprocessors are idle however many chains there are.
struct FusedRounds {
  std::int64_t n_rounds = 1;
  std::int64_t steps = 0;  ///< of a round; the last may have fewer
};
FusedRounds fused_rounds(std::int64_t n_blocks, std::int64_t n_steps, std::int64_t at_once);

/// Whether groups of tiles should have blocks of their own: with few chains the device is idle otherwise. The bits are the same.
bool fused_splits(const FusedPlan& plan, std::int64_t n_chains, std::int64_t at_once);

/// Advances all chains by `n_steps` steps from `call->step` on, which stays as it is, or writes `sums`. Deterministic; a chain's result
/// depends on no other chain. `at_once` is the number of blocks that the device runs at a time, one a multiprocessor. Asynchronous.
void launch_fused(const FusedPlan& plan, Engine engine, const FusedSteps& steps, std::int64_t at_once,
                  StreamHandle stream);

}  // namespace tarn::cuda
