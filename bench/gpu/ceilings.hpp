// What a card can do at most of what large models need, as measured: products by the backend's own library, and copies. Each prints a line of JSON.
#pragma once

#include <cstdint>

#include "context.hpp"
#include "memory.hpp"

namespace tarn::bench {

/// `[rows, cols]` normals times `scale`, 512 rows again and again: products do not look at what they multiply, but the clock slows for random bits.
cuda::DeviceBuffer<float> device_normals(std::int64_t rows, std::int64_t cols, std::uint64_t which, float scale,
                                         const cuda::Context& context);

/// Seconds of `a` `[m, k]` times `b^T`, b `[n, k]`; with bias and relu where `hidden`. bf16: of matrices that are bf16 in memory.
double product_seconds(cuda::Context& context, std::int64_t m, std::int64_t n, std::int64_t k, bool hidden,
                       Precision precision = Precision::fp32);
/// Operations a second of a product of squares.
double square_rate(cuda::Context& context, std::int64_t n, Precision precision);

/// Bytes a second, read and written, of a copy of `n` floats within the device.
double copy_rate(cuda::Context& context, std::int64_t n);

}  // namespace tarn::bench
