// Moments of the components over many chains, on the device.
#pragma once

#include <cstdint>

#include "handles.hpp"

namespace tarn::cuda {

/// Of each column of `x` `[n, D]`: how many finite values, their mean (NaN with none) and their variance (divisor count - 1, NaN below
/// two), in double. Rows whose `first_bad_step` is not negative are passed over; it may be null. `mean`, `variance`, `count` `[D]` on
/// the device. The same bits for the same input. Asynchronous.
void launch_moments(const float* x, std::int64_t n, std::int64_t D, const std::int64_t* first_bad_step, double* mean,
                    double* variance, std::int64_t* count, StreamHandle stream);

}  // namespace tarn::cuda
