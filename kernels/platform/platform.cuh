// What device code needs of the machine beyond the language: shared memory, launches, the words of Philox. This file is the
// GPU's; tests/simt/platform/platform.cuh takes its place where kernels run on the CPU.
#pragma once

#include <cuda_runtime.h>
#include <curand_philox4x32_x.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "check.hpp"
#include "handles.hpp"

/// An array of `n` (known to the compiler) in shared memory.
#define TARN_SHARED(T, name, n) __shared__ T name[n]
/// The block's dynamic shared memory, aligned to 16 bytes; its size is `LaunchConfig::shared_bytes`.
#define TARN_DYNAMIC_SHARED(T, name)                                   \
  extern __shared__ __align__(16) unsigned char tarn_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(tarn_dynamic_shared)

namespace tarn::cuda {

struct LaunchConfig {
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  StreamHandle stream = nullptr;
};

/// Whether every launch is waited for, so that an error shows at the launch that made it: TARN_CUDA_SYNC=1. Not while a
/// graph is recorded.
inline bool waits_for_launches() {
  static const bool waits = [] {
    const char* const value = std::getenv("TARN_CUDA_SYNC");
    return value != nullptr && value[0] == '1';
  }();
  return waits;
}

/// `kernel<<<...>>>(args...)`, with more than 48 KiB of shared memory where asked for. Throws `Error` where the launch fails.
template <class... Parameters, class... Args>
void launch(void (*kernel)(Parameters...), const LaunchConfig& config, const Args&... args) {
  if (config.shared_bytes > 48 * 1024) {
    TARN_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         static_cast<int>(config.shared_bytes)));
  }
  kernel<<<config.grid, config.block, config.shared_bytes, config.stream>>>(static_cast<Parameters>(args)...);
  TARN_CUDA_CHECK(cudaGetLastError());
  if (waits_for_launches()) {
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    TARN_CUDA_CHECK(cudaStreamIsCapturing(config.stream, &capture));
    if (capture == cudaStreamCaptureStatusNone) TARN_CUDA_CHECK(cudaStreamSynchronize(config.stream));
  }
}

/// One block of Philox4x32-10: counter `c[0..3]` in, four words out, in place, under the 64-bit key (docs/noise.md).
__device__ __forceinline__ void philox_block(std::uint32_t (&c)[4], std::uint64_t key) {
  const uint4 out = curand_Philox4x32_10(make_uint4(c[0], c[1], c[2], c[3]),
                                         make_uint2(static_cast<unsigned>(key), static_cast<unsigned>(key >> 32)));
  c[0] = out.x;
  c[1] = out.y;
  c[2] = out.z;
  c[3] = out.w;
}

}  // namespace tarn::cuda
