// phi of the hidden layer, for the nonlinearities that the product's own epilogue does not know.
#pragma once

#include <cstdint>

#include "handles.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::cuda {

/// `a = phi(a + b)` in place, `values` `[rows, cols]` with rows `stride` apart, `bias` `[cols]`. `cols` and `stride` are multiples
/// of 4, both pointers 16-byte aligned. Asynchronous.
void launch_bias_phi(Nonlinearity phi, const float* bias, float* values, std::int64_t rows, std::int64_t cols,
                     std::int64_t stride, StreamHandle stream);

}  // namespace tarn::cuda
