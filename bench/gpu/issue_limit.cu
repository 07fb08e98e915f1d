// z <- z + v max(w z + b, 0), over and over, in registers: 2 fma and 1 max a neuron at D = 1, 4 and 1 at D = 2. `out` takes a float a thread, so
// that the compiler keeps the work.
#include "issue_limit.hpp"
#include "platform.cuh"

namespace tarn::bench {
namespace {

template <int D>
__global__ void __launch_bounds__(512) issue_limit_kernel(int neurons, float w, float b, float v, float* out) {
  constexpr int C = 8;
  float z[C][D];
#pragma unroll
  for (int c = 0; c < C; ++c) {
#pragma unroll
    for (int d = 0; d < D; ++d) z[c][d] = 1e-3f * static_cast<float>(threadIdx.x + c + d);
  }
#pragma unroll 16
  for (int j = 0; j < neurons; ++j) {
#pragma unroll
    for (int c = 0; c < C; ++c) {
      float a = b;
#pragma unroll
      for (int d = 0; d < D; ++d) a = __fmaf_rn(w, z[c][d], a);
      a = a > 0.0f ? a : 0.0f;
#pragma unroll
      for (int d = 0; d < D; ++d) z[c][d] = __fmaf_rn(v, a, z[c][d]);
    }
  }
  float sum = 0.0f;
#pragma unroll
  for (int c = 0; c < C; ++c) {
#pragma unroll
    for (int d = 0; d < D; ++d) sum += z[c][d];
  }
  out[static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x] = sum;
}

}  // namespace

double launch_issue_limit(int D, int blocks, int threads, int neurons, float* out, cuda::StreamHandle stream) {
  cuda::LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(blocks));
  config.block = dim3(static_cast<unsigned>(threads));
  config.stream = stream;
  if (D == 1)
    cuda::launch(issue_limit_kernel<1>, config, neurons, -0.01f, 0.02f, 0.03f, out);
  else
    cuda::launch(issue_limit_kernel<2>, config, neurons, -0.01f, 0.02f, 0.03f, out);
  return 8.0 * blocks * threads * neurons;
}

}  // namespace tarn::bench
