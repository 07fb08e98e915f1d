// The trained skew-symmetric J: its map forward, and the gradient of its parameters.
#pragma once

#include <cstdint>

#include "handles.hpp"

namespace tarn::cuda {

/// Doubles of scratch that `launch_skew_map` needs.
inline std::int64_t skew_scratch(std::int64_t D) { return D * D + D; }

/// `map` `[D, stride]`, its first D columns, = `(I + J)^-1` of `J = strength (A - A^T) / |A - A^T|`. Asynchronous.
void launch_skew_map(const float* A, std::int64_t D, double strength, double* scratch, float* map, std::int64_t stride,
                     StreamHandle stream);

/// `dA` `[D, D]` = d loss / d A, where d loss / d J = `-pulled / output_scale`; `pulled` `[D, stride]`. Asynchronous.
void launch_skew_gradient(const float* A, std::int64_t D, double strength, const float* pulled, std::int64_t stride,
                          float output_scale, float* dA, StreamHandle stream);

}  // namespace tarn::cuda
