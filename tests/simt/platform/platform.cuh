// What device code needs of the machine beyond the language, where kernels run on the CPU. The GPU's is kernels/platform/platform.cuh.
#pragma once

#include <Random123/philox.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "../launch.hpp"
#include "check.hpp"
#include "handles.hpp"

/// An array of `n` (known to the compiler) in shared memory. A function that runs twice in a block finds the same array.
#define TARN_SHARED(T, name, n)                                                                                   \
  static constinit ::simt::SharedSite tarn_site_##name{#name, __func__, sizeof(T) * (n), alignof(T), 0, nullptr}; \
  T(&name)[n] = *static_cast<T(*)[n]>(::simt::shared_array(tarn_site_##name))
/// The block's dynamic shared memory, aligned to 128 bytes; its size is `LaunchConfig::shared_bytes`.
#define TARN_DYNAMIC_SHARED(T, name) T* const name = static_cast<T*>(::simt::dynamic_shared())

namespace tarn::cuda {

struct LaunchConfig {
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  StreamHandle stream = nullptr;
  bool cooperative = false;
  const char* file = __builtin_FILE();  // for faults to say which launch it was
  int line = __builtin_LINE();
};

/// Queues the kernel with a copy of its arguments. Throws `simt::Fault` where the launch fails.
template <class... Parameters, class... Args>
void launch(void (*kernel)(Parameters...), const LaunchConfig& config, const Args&... args) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...), "arguments of kernels are copied as bytes");
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> args;
  };
  simt::Grid grid;
  grid.kernel = reinterpret_cast<const void*>(kernel);
  grid.file = config.file;
  grid.line = config.line;
  grid.grid = config.grid;
  grid.block = config.block;
  grid.shared_bytes = config.shared_bytes;
  grid.cooperative = config.cooperative;
  grid.body = [](const void* call) {
    const auto& c = *static_cast<const Call*>(call);
    std::apply(c.kernel, c.args);
  };
  const Call call{kernel, {static_cast<Parameters>(args)...}};
  int number = 0;
  const auto check = [&](const auto& parameter) {
    ++number;
    if constexpr (std::is_pointer_v<std::remove_cvref_t<decltype(parameter)>>)
      simt::check_argument(grid, number, static_cast<const void*>(parameter));
  };
  std::apply([&](const auto&... parameter) { (check(parameter), ...); }, call.args);
  simt::launch_grid(config.stream, grid, [call](const simt::Grid& queued) {
    simt::Grid running = queued;
    running.args = &call;
    simt::execute(running);
  });
}

/// A barrier over all blocks of a cooperative launch, in two halves; see kernels/platform/platform.cuh.
inline void grid_arrive(unsigned* arrived) {
  __syncthreads();
  if (threadIdx.x == 0) ++*arrived;
}
inline void grid_wait(const unsigned* arrived, unsigned target) {
  if (threadIdx.x == 0) ::simt::wait_for_blocks(arrived, target, {"grid barrier", "grid_wait", __FILE__, __LINE__});
  __syncthreads();
}
inline float load_from_grid(const float* address) { return *address; }
inline double load_from_grid(const double* address) { return *address; }

/// One block of Philox4x32-10: counter `c[0..3]` in, four words out, in place, under the 64-bit key (docs/noise.md).
inline void philox_block(std::uint32_t (&c)[4], std::uint64_t key) {
  const philox4x32_ctr_t counter{{c[0], c[1], c[2], c[3]}};
  const philox4x32_key_t keys{{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}};
  const philox4x32_ctr_t out = philox4x32(counter, keys);
  for (int i = 0; i < 4; ++i) c[i] = out.v[i];
}

}  // namespace tarn::cuda
