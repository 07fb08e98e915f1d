// What changes from one training step to the next, as kernels read it: a list in device memory and the place in it.
#pragma once

#include <cstdint>

#include "adam_step.hpp"

namespace tarn::cuda {

/// One step's numbers.
struct DsmRecord {
  AdamStep adam;
  std::uint64_t step = 0;       ///< its number, for the noise
  std::int64_t row_offset = 0;  ///< its first row, or its first index
  bool is_followed = false;     ///< the next record's rows are there too, so that this step may make that one's batch
};

/// Device pointers. Kernels of a step read `records[*now]`, write `losses[*now]`, and the last one adds one to `now`: so the same
/// recorded graph serves every step.
struct DsmClock {
  const DsmRecord* records = nullptr;
  std::int64_t* now = nullptr;
};

/// Means over the batch, as in `DsmLoss`.
struct DsmLossRecord {
  double loss = 0.0, excess = 0.0, gradient_norm = 0.0;
};

}  // namespace tarn::cuda
