// keys[i] = word 0 << 32 | word 1 of (seed, stream, chain i, step epoch) and rows[i] = i, [n] each, overwritten. With two words a step, a Philox
// block serves two epochs (docs/noise.md). One row a thread. Deterministic, the CPU's bits. Writes 16 bytes a row.
#include "epoch_keys.hpp"
#include "normals.cuh"
#include "platform.cuh"

namespace tarn::cuda {
namespace {

constexpr int threads = 256;

__global__ void epoch_keys_kernel(std::uint64_t seed, std::uint64_t stream, std::int64_t n, std::uint64_t epoch,
                                  std::uint64_t* keys, std::int64_t* rows) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (i >= n) return;
  std::uint32_t c[4];
  words_of_block(seed, stream << 48 | static_cast<std::uint64_t>(i), epoch / 2, c);
  const bool second = epoch % 2 == 1;
  keys[i] = std::uint64_t{second ? c[2] : c[0]} << 32 | (second ? c[3] : c[1]);
  rows[i] = i;
}

}  // namespace

void launch_epoch_keys(std::uint64_t seed, Stream stream, std::int64_t n, std::int64_t epoch, std::uint64_t* keys,
                       std::int64_t* rows, StreamHandle handle) {
  if (n <= 0) return;
  launch(epoch_keys_kernel, {dim3(static_cast<unsigned>((n + threads - 1) / threads)), dim3(threads), 0, handle}, seed,
         static_cast<std::uint64_t>(stream), n, static_cast<std::uint64_t>(epoch), keys, rows);
}

}  // namespace tarn::cuda
