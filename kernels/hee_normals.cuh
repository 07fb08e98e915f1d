// The noise of units and interneurons (docs/noise.md), four of them at a time where they share a block.
#pragma once

#include "normals.cuh"

namespace tarn::cuda {

/// One normal of a subsequence. A selection without an index, which would put the block into memory.
__device__ __forceinline__ float normal_at(std::uint64_t seed, std::uint64_t subsequence, std::uint64_t offset) {
  float n[4];
  normals_of_block(seed, subsequence, offset / 4, n);
  const float low = offset & 1 ? n[1] : n[0], high = offset & 1 ? n[3] : n[2];
  return offset & 2 ? high : low;
}

/// Normals `offset` to `offset + 3`; `aligned`: the caller knows that they are one block.
template <bool aligned>
__device__ __forceinline__ void four_normals(std::uint64_t seed, std::uint64_t subsequence, std::uint64_t offset,
                                             float (&n)[4]) {
  if constexpr (aligned) {
    normals_of_block(seed, subsequence, offset / 4, n);
  } else {
#pragma unroll
    for (int k = 0; k < 4; ++k) n[k] = normal_at(seed, subsequence, offset + static_cast<std::uint64_t>(k));
  }
}

__device__ __forceinline__ void load_four(const float* from, float (&to)[4]) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  to[0] = v.x;
  to[1] = v.y;
  to[2] = v.z;
  to[3] = v.w;
}
__device__ __forceinline__ void store_four(float* to, const float (&from)[4]) {
  *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
}

}  // namespace tarn::cuda
