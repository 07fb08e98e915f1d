// Every call of the CUDA runtime is checked: an error becomes one line with the call, its place and CUDA's name for it.
#pragma once

#include <cuda_runtime_api.h>

namespace tarn::cuda {

/// Throws `Error`.
[[noreturn]] void fail_cuda(cudaError_t error, const char* call, const char* file, int line);
/// Logs a warning, unless this error was the last one to be said; for destructors.
void note_cuda(cudaError_t error, const char* call) noexcept;

}  // namespace tarn::cuda

#define TARN_CUDA_CHECK(call)                                             \
  do {                                                                    \
    if (const cudaError_t tarn_error = (call); tarn_error != cudaSuccess) \
      ::tarn::cuda::fail_cuda(tarn_error, #call, __FILE__, __LINE__);     \
  } while (false)

#define TARN_CUDA_NOTE(call)                                                                                          \
  do {                                                                                                                \
    if (const cudaError_t tarn_error = (call); tarn_error != cudaSuccess) ::tarn::cuda::note_cuda(tarn_error, #call); \
  } while (false)
