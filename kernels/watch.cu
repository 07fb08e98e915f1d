// One look of live diagnostics at x [n, D]: for each chain and quantity (the first K outputs, |x|^2) the sums of the open batch, of full
// batches where this look fills one, and of squared differences to earlier looks; hash, mode, and counts by value (src/compute/watch_step.hpp).
//
// A thread has a chain; arrays are [..., n], so that a warp reads and writes rows. Sums belong to one thread, and what threads share are
// integers, so that the result is the same bits in whatever order: deterministic, and the CPU's. About 150 bytes moved a chain and quantity,
// 400 more for each that fills the last batch; D floats of x a chain.
#include "platform.cuh"
#include "watch.hpp"

namespace tarn::cuda {
namespace {

constexpr int block_size = 256;

// The toolkit has this operation for this type alone.
using Counter = unsigned long long;
static_assert(sizeof(Counter) == sizeof(std::uint64_t));

__global__ void __launch_bounds__(block_size)
    watch_kernel(WatchArrays arrays, WatchLook look, std::uint64_t* sketch, std::uint64_t* modes) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * block_size + threadIdx.x;
  if (i >= look.n) return;
  bool changed = false;
  const std::int32_t mode = watch_chain(arrays, look, i, changed);
  if (mode >= 0) atomicAdd(reinterpret_cast<Counter*>(modes + mode), Counter{1});
  if (changed) atomicAdd(reinterpret_cast<Counter*>(modes + look.n_modes), Counter{1});
  for (std::int64_t q = 0; q < look.Q; ++q) {
    const float value = arrays.recent[(look.n_before % WatchSizes::n_recent * look.Q + q) * look.n + i];
    if (is_finite(value))
      atomicAdd(reinterpret_cast<Counter*>(sketch + q * WatchSizes::n_bins + sketch_bin(value)), Counter{1});
  }
}

}  // namespace

void launch_watch(const WatchArrays& arrays, const WatchLook& look, std::uint64_t* sketch, std::uint64_t* modes,
                  StreamHandle stream) {
  if (look.n == 0) return;
  const std::int64_t blocks = (look.n + block_size - 1) / block_size;
  launch(watch_kernel, {dim3(static_cast<unsigned>(blocks)), dim3(block_size), 0, stream}, arrays, look, sketch, modes);
}

}  // namespace tarn::cuda
