// Noise filled into memory: out[t, i, d] = f(seed, stream, first_chain + i, first_step + t, d), words or normals.
// `out` `[n_steps, n_chains, n_components]`, overwritten. One thread a Philox block of four values; any sizes. A pure function,
// hence deterministic. Moves 4 bytes a value, written once.
#include "noise.hpp"
#include "normals.cuh"

namespace tarn::cuda {
namespace {

struct NoiseArgs {
  std::uint64_t seed, subsequence;  // of the first chain
  std::uint64_t first_step;
  std::int64_t n_steps, n_chains, n_components;
  std::int64_t n_blocks;  // Philox blocks: threads with work
};

__device__ __forceinline__ void values_of_block(const NoiseArgs& a, std::int64_t chain, std::uint64_t block,
                                                std::uint32_t (&value)[4]) {
  words_of_block(a.seed, a.subsequence + static_cast<std::uint64_t>(chain), block, value);
}
__device__ __forceinline__ void values_of_block(const NoiseArgs& a, std::int64_t chain, std::uint64_t block,
                                                float (&value)[4]) {
  normals_of_block(a.seed, a.subsequence + static_cast<std::uint64_t>(chain), block, value);
}

// One or two components: a block serves 4 or 2 steps of a chain; neighbouring threads have neighbouring chains.
template <int D, class T>
__global__ void fill_short_kernel(NoiseArgs a, T* __restrict__ out) {
  constexpr int steps_a_block = 4 / D;
  const std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (item >= a.n_blocks) return;
  const std::int64_t chain = item % a.n_chains;
  const std::uint64_t block = a.first_step / steps_a_block + static_cast<std::uint64_t>(item / a.n_chains);
  T value[4];
  values_of_block(a, chain, block, value);
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    // The first and the last block may reach beyond the steps that were asked for; a step before the first one wraps to a huge number.
    const std::uint64_t t = block * steps_a_block + static_cast<std::uint64_t>(k / D) - a.first_step;
    if (t < static_cast<std::uint64_t>(a.n_steps))
      out[(static_cast<std::int64_t>(t) * a.n_chains + chain) * D + k % D] = value[k];
  }
}

// Three components or more: a step of a chain has blocks of its own, the last one used in part.
template <class T>
__global__ void fill_long_kernel(NoiseArgs a, T* __restrict__ out) {
  const std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (item >= a.n_blocks) return;
  const std::int64_t blocks_a_step = (a.n_components + 3) / 4;
  const std::int64_t row = item / blocks_a_step, in_step = item % blocks_a_step;
  const std::uint64_t step = a.first_step + static_cast<std::uint64_t>(row / a.n_chains);
  T value[4];
  values_of_block(a, row % a.n_chains,
                  step * static_cast<std::uint64_t>(blocks_a_step) + static_cast<std::uint64_t>(in_step), value);
  T* to = out + row * a.n_components + 4 * in_step;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    if (4 * in_step + k < a.n_components) to[k] = value[k];
  }
}

template <class T>
void fill(std::uint64_t seed, Stream stream, std::uint64_t first_chain, std::uint64_t first_step, std::int64_t n_steps,
          std::int64_t n_chains, std::int64_t n_components, T* out, StreamHandle queue) {
  if (n_steps <= 0 || n_chains <= 0 || n_components <= 0) return;
  NoiseArgs a{seed, static_cast<std::uint64_t>(stream) << 48 | first_chain, first_step, n_steps, n_chains, n_components,
              0};
  if (n_components <= 2) {
    const auto steps_a_block = static_cast<std::uint64_t>(4 / n_components);
    const std::uint64_t last_step = first_step + static_cast<std::uint64_t>(n_steps) - 1;
    a.n_blocks = static_cast<std::int64_t>(last_step / steps_a_block - first_step / steps_a_block + 1) * n_chains;
  } else {
    a.n_blocks = n_steps * n_chains * ((n_components + 3) / 4);
  }
  constexpr int threads = 256;
  const LaunchConfig config{dim3(static_cast<unsigned>((a.n_blocks + threads - 1) / threads)), dim3(threads), 0, queue};
  if (n_components == 1) return launch(fill_short_kernel<1, T>, config, a, out);
  if (n_components == 2) return launch(fill_short_kernel<2, T>, config, a, out);
  launch(fill_long_kernel<T>, config, a, out);
}

}  // namespace

void launch_fill_normals(std::uint64_t seed, Stream stream, std::uint64_t first_chain, std::uint64_t first_step,
                         std::int64_t n_steps, std::int64_t n_chains, std::int64_t n_components, float* out,
                         StreamHandle queue) {
  fill(seed, stream, first_chain, first_step, n_steps, n_chains, n_components, out, queue);
}

void launch_fill_words(std::uint64_t seed, Stream stream, std::uint64_t first_chain, std::uint64_t first_step,
                       std::int64_t n_steps, std::int64_t n_chains, std::int64_t n_components, std::uint32_t* out,
                       StreamHandle queue) {
  fill(seed, stream, first_chain, first_step, n_steps, n_chains, n_components, out, queue);
}

}  // namespace tarn::cuda
