// Draws of the chains' state: inputs beside outputs, and the final denoising step.
#pragma once

#include <cstdint>

#include "handles.hpp"

namespace tarn::cuda {

/// `out` `[n, D + U]` rows `[x u]` from `x` `[n, D]` and `u` `[n, U]`. Asynchronous.
void launch_join_columns(const float* x, std::int64_t D, const float* u, std::int64_t U, std::int64_t n, float* out,
                         StreamHandle stream);

/// `out = x + variance f`, but `x` where `clamp` is not NaN or `x` is; all of `size` elements, `clamp` may be null. `out` may be `f`.
/// Asynchronous.
void launch_denoise(const float* x, const float* f, const float* clamp, float variance, std::int64_t size, float* out,
                    StreamHandle stream);

}  // namespace tarn::cuda
