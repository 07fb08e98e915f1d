#include "check.hpp"

#include <atomic>
#include <string_view>

#include "tarn/core/error.hpp"
#include "tarn/core/log.hpp"

namespace tarn::cuda {
namespace {

// The error that was said last. One that the device does not recover from comes back from every call, also from those of destructors.
std::atomic<cudaError_t> said{cudaSuccess};

}  // namespace

void fail_cuda(cudaError_t error, const char* call, const char* file, int line) {
  std::string_view place(file);
  if (const auto slash = place.rfind('/'); slash != std::string_view::npos) place.remove_prefix(slash + 1);
  cudaGetLastError();  // the error is said here: it must not be found again by the next check
  said = error;
  if (error == cudaErrorMemoryAllocation && !std::string_view(call).starts_with("cudaMallocHost")) {
    std::size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) == cudaSuccess) {
      fail(
          "the GPU is out of memory ({:.1f} of {:.1f} GiB are free): fewer chains at a time, a smaller batch or fewer "
          "neurons may fit ({} at {}:{})",
          static_cast<double>(free) / 0x1p30, static_cast<double>(total) / 0x1p30, call, place, line);
    }
  }
  fail("CUDA: {} ({}) in {} at {}:{}", cudaGetErrorString(error), cudaGetErrorName(error), call, place, line);
}

void note_cuda(cudaError_t error, const char* call) noexcept {
  cudaGetLastError();
  if (said.exchange(error) == error) return;
  try {
    warn("CUDA: {} ({}) in {}", cudaGetErrorString(error), cudaGetErrorName(error), call);
  } catch (...) {
    // there is nobody left to tell
  }
}

}  // namespace tarn::cuda
