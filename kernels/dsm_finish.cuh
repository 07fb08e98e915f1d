// The end of a training step, by one block.
#pragma once

#include "block_sum.cuh"
#include "dsm_record.hpp"

namespace tarn::cuda {

/// Writes `losses[now]` from `row_losses` `[batch_size, 2]` and `*norm` (0 where null), and adds one to the clock; without a clock (`now` null) writes
/// `losses[0]`. All threads of the block take part, a power of two of them; `shared`: room for a value each.
__device__ inline void finish_step(const double* row_losses, std::int64_t batch_size, const double* norm,
                                   DsmLossRecord* losses, const DsmClock& clock, double* shared) {
  double loss = 0.0, excess = 0.0;
  for (std::int64_t row = threadIdx.x; row < batch_size; row += blockDim.x) {
    loss += row_losses[2 * row];
    excess += row_losses[2 * row + 1];
  }
  loss = block_sum(loss, shared);
  excess = block_sum(excess, shared);
  if (threadIdx.x != 0) return;
  const std::int64_t now = clock.now ? *clock.now : 0;
  losses[now] = {loss / static_cast<double>(batch_size), excess / static_cast<double>(batch_size), norm ? *norm : 0.0};
  if (clock.now) *clock.now = now + 1;
}

}  // namespace tarn::cuda
