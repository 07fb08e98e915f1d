// Normals in device code: those of one Philox block, and a reader that keeps the block in hand while it serves several steps.
#pragma once

#include <cstdint>

#include "platform.cuh"
#include "tarn/core/normal_transform.hpp"
#include "tarn/core/stream.hpp"

namespace tarn::cuda {

/// The four words of block `block` of a subsequence (docs/noise.md).
__device__ __forceinline__ void words_of_block(std::uint64_t seed, std::uint64_t subsequence, std::uint64_t block,
                                               std::uint32_t (&word)[4]) {
  word[0] = static_cast<std::uint32_t>(block);
  word[1] = static_cast<std::uint32_t>(block >> 32);
  word[2] = static_cast<std::uint32_t>(subsequence);
  word[3] = static_cast<std::uint32_t>(subsequence >> 32);
  philox_block(word, seed);
}

/// Its normals: four components, or two steps of two, or four steps of one.
__device__ __forceinline__ void normals_of_block(std::uint64_t seed, std::uint64_t subsequence, std::uint64_t block,
                                                 float (&normal)[4]) {
  std::uint32_t word[4];
  words_of_block(seed, subsequence, block, word);
  normal_pair(word[0], word[1], normal[0], normal[1]);
  normal_pair(word[2], word[3], normal[2], normal[3]);
}

/// The normals of one step after another, for `C` chains of a thread and at most `max_D` components.
template <int C, int max_D>
struct NoiseReader {
  std::uint64_t block = ~std::uint64_t{0};
  float held[C][4] = {};

  /// `D` components of step `step`; every thread of a warp asks for the same step.
  __device__ __forceinline__ void read(std::uint64_t seed, const std::uint64_t (&subsequence)[C], int D,
                                       std::uint64_t step, float (&normal)[C][max_D]) {
    if (D <= 2) {
      const std::uint64_t offset = step * static_cast<std::uint64_t>(D);
      if (offset / 4 != block) {
        block = offset / 4;
#pragma unroll
        for (int c = 0; c < C; ++c) normals_of_block(seed, subsequence[c], block, held[c]);
      }
      // Selects, since an index known only at run time would put the block into memory.
      const bool upper = (offset & 2) != 0, odd = (offset & 1) != 0;
#pragma unroll
      for (int c = 0; c < C; ++c) {
        const float even_one = upper ? held[c][2] : held[c][0], odd_one = upper ? held[c][3] : held[c][1];
        normal[c][0] = odd ? odd_one : even_one;
        if constexpr (max_D > 1) normal[c][1] = odd_one;
      }
      return;
    }
    const std::uint64_t first_block = step * static_cast<std::uint64_t>((D + 3) / 4);
#pragma unroll
    for (int first = 0; first < max_D; first += 4) {
      if (first >= D) break;
#pragma unroll
      for (int c = 0; c < C; ++c) {
        float four[4];
        normals_of_block(seed, subsequence[c], first_block + static_cast<std::uint64_t>(first / 4), four);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if (first + i < max_D) normal[c][first + i] = four[i];
        }
      }
    }
  }
};

}  // namespace tarn::cuda
