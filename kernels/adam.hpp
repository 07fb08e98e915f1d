// The optimiser's step over all parameters at once, and the norm of a gradient.
#pragma once

#include <cstdint>

#include "dsm_record.hpp"
#include "dsm_rows.hpp"
#include "handles.hpp"

namespace tarn::cuda {

/// Device arrays `[n]`, n a multiple of 4, aligned to 16 bytes. `largest` and `average` may be null where the optimiser does not use them.
struct AdamArrays {
  const float* gradient = nullptr;
  float *weights = nullptr, *first = nullptr, *second = nullptr, *largest = nullptr, *average = nullptr;
  std::int64_t n = 0;
  std::int64_t n_decayed = 0;  ///< weight decay for those before it only; a multiple of 4

  /// Parameters `begin` (a multiple of 4) to the last.
  AdamArrays from(std::int64_t begin) const {
    const auto shifted = [begin](auto* values) { return values ? values + begin : values; };
    return {shifted(gradient), shifted(weights), shifted(first), shifted(second),
            shifted(largest),  shifted(average), n - begin,      n_decayed > begin ? n_decayed - begin : 0};
  }
};

/// What ends a training step, where the optimiser is the last to work on it: arguments of `launch_dsm_finish`.
struct StepEnd {
  const double* row_losses = nullptr;  ///< `[batch_size, 2]`
  std::int64_t batch_size = 0;
  const double* norm = nullptr;
  DsmLossRecord* losses = nullptr;
  unsigned* ticket = nullptr;  ///< zero before and after
};

/// One step with the clock's numbers; `gradient_scale` (device), where given, in place of theirs. Asynchronous.
void launch_adam(const AdamArrays& arrays, const DsmClock& clock, const float* gradient_scale, StreamHandle stream);
/// The same, and the block that is the last to come writes the step's losses and moves the clock on. Where the clock's record is followed by another,
/// some blocks make the rows of that one's step, as `launch_dsm_rows` would: two launches fewer. Asynchronous.
void launch_last_adam(const AdamArrays& arrays, const DsmClock& clock, const float* gradient_scale, const StepEnd& end,
                      const DsmRowsCall& next_rows, StreamHandle stream);

/// Doubles of scratch that `launch_gradient_norm` needs.
inline constexpr std::int64_t norm_partials = 512;
/// `*norm` = the Euclidean norm of `gradient` `[n]`; `*gradient_scale` = clip_norm / norm where the norm is larger, else 1. `partials`:
/// `[norm_partials]`. All in device memory. Asynchronous.
void launch_gradient_norm(const float* gradient, std::int64_t n, double clip_norm, double* partials, double* norm,
                          float* gradient_scale, StreamHandle stream);

}  // namespace tarn::cuda
