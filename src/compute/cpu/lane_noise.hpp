// Normals of a run of components of sixteen chains, made where they are used. For files compiled once per instruction set.
#pragma once

#include "hee_kernels.hpp"
#include "tarn/core/normal_transform.hpp"
#include "tarn/core/pack.hpp"
#include "tarn/core/philox.hpp"

/// For lambdas in hot loops.
#if defined(TARN_SANITIZED)
#define TARN_INLINE_LAMBDA
#else
#define TARN_INLINE_LAMBDA __attribute__((always_inline))
#endif

namespace tarn::cpu {

namespace TARN_ISA {

/// The subsequences of sixteen chains.
struct LaneChains {
  WordPack low, high;
};

TARN_HD LaneChains lane_chains(std::uint64_t subsequence) {
  alignas(64) std::uint32_t low[pack_lanes], high[pack_lanes];
  for (int i = 0; i < pack_lanes; ++i) {
    const std::uint64_t s = subsequence + static_cast<std::uint64_t>(i);
    low[i] = static_cast<std::uint32_t>(s);
    high[i] = static_cast<std::uint32_t>(s >> 32);
  }
  return {WordPack::load(low), WordPack::load(high)};
}

/// The four normals of one block of each chain.
TARN_HD void block_normals(std::uint64_t seed, const LaneChains& chains, std::uint64_t block, Pack (&n)[4]) {
  WordPack c[4] = {WordPack(static_cast<std::uint32_t>(block)), WordPack(static_cast<std::uint32_t>(block >> 32)),
                   chains.low, chains.high};
  philox4x32_10(c, seed);
  normal_pair(c[0], c[1], n[0], n[1]);
  normal_pair(c[2], c[3], n[2], n[3]);
}

/// Calls `f(row, normal)` for rows 0 to n - 1, whose components follow each other from `offset` on.
template <class F>
TARN_HD void each_normal(std::uint64_t seed, const LaneChains& chains, std::uint64_t offset, std::int64_t n, F&& f) {
  auto row = -static_cast<std::int64_t>(offset % 4);
  for (std::uint64_t block = offset / 4; row < n; ++block, row += 4) {
    Pack normal[4];
    block_normals(seed, chains, block, normal);
    if (row >= 0 && row + 4 <= n) [[likely]] {
      for (int i = 0; i < 4; ++i) f(row + i, normal[i]);
    } else {
#pragma GCC unroll 1
      for (int i = 0; i < 4; ++i) {
        if (row + i >= 0 && row + i < n) f(row + i, normal[i]);
      }
    }
  }
}

}  // namespace TARN_ISA
}  // namespace tarn::cpu
