// a[i, j] = phi(a[i, j] + b[j]).
//
// `a` [rows, cols] row-major with rows `stride` apart, `b` [cols]; a is overwritten, what lies between `cols` and `stride` is left alone.
// A thread has four columns, whose biases stay in registers, and goes down the rows. cols and stride: multiples of 4; any number of
// rows. Deterministic. 8 bytes moved an element.
#include <algorithm>

#include "bias_phi.hpp"
#include "platform.cuh"
#include "tarn/core/activations.hpp"

namespace tarn::cuda {
namespace {

constexpr int block_threads = 128;

template <Nonlinearity phi>
__global__ void bias_phi_kernel(const float* __restrict__ bias, float* __restrict__ values, std::int64_t rows,
                                std::int64_t cols, std::int64_t stride) {
  const std::int64_t j = 4 * (static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x);
  if (j >= cols) return;
  const float4 b = *reinterpret_cast<const float4*>(bias + j);
  for (std::int64_t i = blockIdx.y; i < rows; i += gridDim.y) {
    float4* const at = reinterpret_cast<float4*>(values + i * stride + j);
    float4 a = *at;
    a.x = activate<phi>(add(a.x, b.x));
    a.y = activate<phi>(add(a.y, b.y));
    a.z = activate<phi>(add(a.z, b.z));
    a.w = activate<phi>(add(a.w, b.w));
    *at = a;
  }
}

}  // namespace

void launch_bias_phi(Nonlinearity phi, const float* bias, float* values, std::int64_t rows, std::int64_t cols,
                     std::int64_t stride, StreamHandle stream) {
  if (rows == 0 || cols == 0) return;
  const std::int64_t across = (cols / 4 + block_threads - 1) / block_threads;
  // Blocks enough to fill any card some times over; more rows than that are gone down by the loop.
  const std::int64_t down = std::clamp<std::int64_t>(16384 / across, 1, std::min<std::int64_t>(rows, 65535));
  const LaunchConfig config{dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)), dim3(block_threads), 0,
                            stream};
  dispatch(phi, [&](auto kind) {
    launch(bias_phi_kernel<decltype(kind)::value>, config, bias, values, rows, cols, stride);
  });
}

}  // namespace tarn::cuda
