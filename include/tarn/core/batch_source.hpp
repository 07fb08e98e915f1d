// Where training batches come from: the seam between the trainer and data.
#pragma once

#include <cstdint>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// Delivers the rows of training batches. Row `i` of step `s` is a pure function of (seed, s, i), whatever was asked before,
/// so that a resumed or re-chunked run sees the same data.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// D outputs plus U inputs: the width of a row `[x, u]`.
  virtual std::int64_t n_columns() const = 0;
  /// Steps that make one epoch at this batch size (a remainder that does not fill a batch is left out).
  virtual std::int64_t steps_per_epoch(std::int64_t batch_size) const = 0;
  /// Writes the batches of `n_steps` steps from `first_step` on, in scaled filter space, to `out`
  /// `[n_steps * batch_size, D + U]`.
  virtual void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) = 0;
};

}  // namespace tarn
