// The noise of one step of one chain, four components at a time, in registers (docs/noise.md).
#pragma once

#include "langevin_call.hpp"
#include "normals.cuh"
#include "platform.cuh"
#include "tarn/core/stream.hpp"

namespace tarn::cuda {

/// Normals of components 4 `group` to 4 `group` + 3. `stride` is `step_stride(n_components)`; below 4 a block of four words serves
/// several steps, and the step's own come first in `n`.
__device__ __forceinline__ void step_normals(std::uint64_t seed, std::uint64_t chain, std::uint64_t step,
                                             std::int64_t stride, std::int64_t group, float (&n)[4]) {
  const std::uint64_t offset = step * static_cast<std::uint64_t>(stride) + 4 * static_cast<std::uint64_t>(group);
  normals_of_block(seed, static_cast<std::uint64_t>(Stream::dynamics) << 48 | chain, offset / 4, n);
  // Selects, since an index that is not known to the compiler would put n into memory.
  if (offset % 4 & 2) {
    n[0] = n[2];
    n[1] = n[3];
  }
  if (offset % 4 & 1) n[0] = n[1];
}

/// `xi`, or `xi + xi_next`: what the integrator multiplies by `call.scale`.
__device__ __forceinline__ void step_noise(const LangevinCall& call, std::uint64_t chain, std::uint64_t step,
                                           std::int64_t stride, std::int64_t group, float (&xi)[4]) {
  step_normals(call.seed, chain, step, stride, group, xi);
  if (!call.midpoint) return;
  float next[4];
  step_normals(call.seed, chain, step + 1, stride, group, next);
  for (int i = 0; i < 4; ++i) xi[i] = add(xi[i], next[i]);
}

/// Sum over the 32 lanes of a warp, in all of them; the same bits always.
__device__ __forceinline__ float warp_sum(float a) {
  for (int d = 16; d > 0; d /= 2) a = add(a, __shfl_xor_sync(0xffffffffu, a, d));
  return a;
}

}  // namespace tarn::cuda
