// The rows of a training step: data with noise, and confinement points.
#pragma once

#include <cstdint>

#include "dsm_record.hpp"
#include "handles.hpp"

namespace tarn::cuda {

/// Sizes, the level's constants, and device pointers. `data` rows are `[x, u]`; data row i of the step is row `offset + i / pair` of `data`,
/// or that row of it which `indices` names there; `pair` is 2 where antithetic, else 1.
struct DsmRowsCall {
  const float* data = nullptr;            ///< `[any, n_columns]`
  const std::int64_t* indices = nullptr;  ///< or null
  std::int64_t n_outputs = 0, n_columns = 0;
  std::int64_t in_width = 0,
               out_width =
                   0;  ///< distances between rows of points and targets; in_width a multiple of 4 above n_columns
  std::int64_t batch_size = 0, confinement_points = 0;
  bool antithetic = false;
  std::uint64_t seed = 0;
  float sigma = 1.0f, inverse_sigma = 1.0f;
  double sigma_squared = 1.0, pull = 0.0, log_low = 0.0, log_high = 0.0;
  float* points = nullptr;        ///< `[rows, in_width]`: x~, u, 1, zeros
  float* targets = nullptr;       ///< `[rows, out_width]`, the first n_outputs
  float* target_scale = nullptr;  ///< `[rows]`
  bool operator==(const DsmRowsCall&) const = default;
};

/// Asynchronous.
void launch_dsm_rows(const DsmRowsCall& call, const DsmClock& clock, StreamHandle stream);

}  // namespace tarn::cuda
