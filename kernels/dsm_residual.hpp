// Scores to residuals and losses of a training step.
#pragma once

#include <cstdint>

#include "dsm_record.hpp"
#include "handles.hpp"

namespace tarn::cuda {

/// Sizes, weights and device pointers. Rows beyond `batch_size` are confinement points.
struct DsmResidualCall {
  std::int64_t n_rows = 0, batch_size = 0, n_outputs = 0;
  std::int64_t n_slices = 1;                 ///< of the sums over neurons
  std::int64_t in_width = 0, out_width = 0;  ///< distances between rows of points, and of all else
  const float* points = nullptr;             ///< `[rows, in_width]`
  const float* targets = nullptr;            ///< `[rows, out_width]`
  const float* target_scale = nullptr;       ///< `[rows]`
  float output_scale = 1.0f;
  float data_weight = 0.0f,
        confinement_weight =
            0.0f;  ///< d loss / d sum is `weight residual`, for confinement `weight target_scale residual`
  bool operator==(const DsmResidualCall&) const = default;
};

/// `from` `[n_slices, rows, out_width]`: sums over slices of neurons, which are added up in their order; with `mapped`, scores `[rows, out_width]`.
/// Writes `deltas` `[rows, out_width]` and `row_losses` `[rows, 2]`: loss and excess of each data row. Asynchronous.
void launch_dsm_residual(const DsmResidualCall& call, bool mapped, const float* from, float* deltas, double* row_losses,
                         StreamHandle stream);
/// `outputs` `[rows, out_width]` = `output_scale sum - x`. Asynchronous.
void launch_dsm_outputs(const DsmResidualCall& call, const float* sums, float* outputs, StreamHandle stream);

/// Ends a step: writes `losses[now]` from `row_losses` and `*norm` (0 where null), and adds one to the clock. Without a clock (`now` null) writes
/// `losses[0]`. Asynchronous.
void launch_dsm_finish(const double* row_losses, std::int64_t batch_size, const double* norm, DsmLossRecord* losses,
                       const DsmClock& clock, StreamHandle stream);

}  // namespace tarn::cuda
