// What a draw needs beside the chains' own state. Each element is read once and written once; deterministic.
//   join     out[i, k] = k < D ? x[i, k] : u[i, k - D]        8 bytes an element of out
//   denoise  out[i] = x[i] + variance f[i], held outputs as they are     12 bytes an element, 16 with clamps
#include "draw.hpp"
#include "platform.cuh"
#include "tarn/core/host_device.hpp"

namespace tarn::cuda {
namespace {

constexpr int block_size = 256;

__global__ void join_columns_kernel(const float* __restrict__ x, std::int64_t D, const float* __restrict__ u,
                                    std::int64_t U, std::int64_t n, float* __restrict__ out) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= n * (D + U)) return;
  const std::int64_t i = at / (D + U), k = at % (D + U);
  out[at] = k < D ? x[i * D + k] : u[i * U + k - D];
}

__global__ void denoise_kernel(const float* __restrict__ x, const float* f, const float* __restrict__ clamp,
                               float variance, std::int64_t size, float* out) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= size) return;
  // a lost chain keeps the NaN that it has: devices make NaN of other bits
  const bool stays = (clamp != nullptr && clamp[i] == clamp[i]) || x[i] != x[i];
  out[i] = stays ? x[i] : add(x[i], mul(variance, f[i]));
}

LaunchConfig config_for(std::int64_t size, StreamHandle stream) {
  return {dim3(static_cast<unsigned>((size + block_size - 1) / block_size)), dim3(block_size), 0, stream};
}

}  // namespace

void launch_join_columns(const float* x, std::int64_t D, const float* u, std::int64_t U, std::int64_t n, float* out,
                         StreamHandle stream) {
  if (n > 0) launch(join_columns_kernel, config_for(n * (D + U), stream), x, D, u, U, n, out);
}

void launch_denoise(const float* x, const float* f, const float* clamp, float variance, std::int64_t size, float* out,
                    StreamHandle stream) {
  if (size > 0) launch(denoise_kernel, config_for(size, stream), x, f, clamp, variance, size, out);
}

}  // namespace tarn::cuda
