// The nonlinearity of a training step, forward and backward.
#pragma once

#include <cstdint>

#include "handles.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::cuda {

/// `values` `[n]` = phi(values), in place; n is a multiple of 4. Asynchronous.
void launch_dsm_activate(Nonlinearity phi, float* values, std::int64_t n, StreamHandle stream);
/// `back` `[n]` *= phi'(u) where `activations` `[n]` = phi(u); n is a multiple of 4. Asynchronous.
void launch_dsm_slope(Nonlinearity phi, float* back, const float* activations, std::int64_t n, StreamHandle stream);

}  // namespace tarn::cuda
