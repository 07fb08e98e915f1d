// What device code needs of the machine beyond the language: shared memory, launches, the words of Philox. This file is the
// GPU's; tests/simt/platform/platform.cuh takes its place where kernels run on the CPU.
#pragma once

#include <cuda_runtime.h>
#include <curand_philox4x32_x.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <tuple>

#include "check.hpp"
#include "handles.hpp"

/// An array of `n` (known to the compiler) in shared memory.
#define TARN_SHARED(T, name, n) __shared__ T name[n]
/// The block's dynamic shared memory, its size `LaunchConfig::shared_bytes`; on 128 bytes, the width of all banks, so that what is read 128
/// bytes at a time needs no second access.
#define TARN_DYNAMIC_SHARED(T, name)                                    \
  extern __shared__ __align__(128) unsigned char tarn_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(tarn_dynamic_shared)

namespace tarn::cuda {

struct LaunchConfig {
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  StreamHandle stream = nullptr;
  bool cooperative =
      false;  ///< all blocks run at a time, one a multiprocessor at most, so that they may wait for one another
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
  if (config.cooperative) {
    const std::tuple<Parameters...> converted{static_cast<Parameters>(args)...};
    std::apply(
        [&](const Parameters&... parameter) {
          void* pointers[] = {const_cast<void*>(static_cast<const void*>(&parameter))...};
          TARN_CUDA_CHECK(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel), config.grid, config.block,
                                                      pointers, config.shared_bytes, config.stream));
        },
        converted);
  } else {
    kernel<<<config.grid, config.block, config.shared_bytes, config.stream>>>(static_cast<Parameters>(args)...);
  }
  TARN_CUDA_CHECK(cudaGetLastError());
  if (waits_for_launches()) {
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    TARN_CUDA_CHECK(cudaStreamIsCapturing(config.stream, &capture));
    if (capture == cudaStreamCaptureStatusNone) TARN_CUDA_CHECK(cudaStreamSynchronize(config.stream));
  }
}

/// A barrier over all blocks of a cooperative launch, in two halves, so that a block can work while others come. All threads of a block call both.
/// `arrived` is a counter in device memory, zero at the start of the launch; `target` is the number of blocks times the number of barriers so
/// far, this one counted. What a block wrote before it arrived, others read after they waited, by `load_from_grid`.
__device__ inline void grid_arrive(unsigned* arrived) {
  __syncthreads();
  if (threadIdx.x != 0) return;
  __threadfence();
  atomicAdd(arrived, 1u);
}
__device__ inline void grid_wait(const unsigned* arrived, unsigned target) {
  if (threadIdx.x == 0) {
    unsigned n = 0;
    do {
      asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(n) : "l"(arrived) : "memory");
    } while (n < target);
  }
  __syncthreads();
}
/// Past this multiprocessor's own cache, which does not see what others write.
__device__ __forceinline__ float load_from_grid(const float* address) { return __ldcg(address); }
__device__ __forceinline__ double load_from_grid(const double* address) { return __ldcg(address); }

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
