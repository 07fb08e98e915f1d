// The noise transform compiled many ways: several optimisation levels, for this very machine, and by the other
// compiler.
#pragma once

#include <cstdint>

namespace tarn::test {

/// Writes `n_blocks` x 4 normals, of Philox blocks `first_block ..` under `seed`, to `out`.
using NormalBlocks = void (*)(std::uint64_t seed, std::uint64_t first_block, std::int64_t n_blocks, float* out);

struct NormalLevel {
  const char* name;
  NormalBlocks by_numbers, by_packs;
};

#define TARN_DECLARE_NORMAL_LEVEL(level) \
  namespace level {                      \
  extern const NormalLevel normals;      \
  }
TARN_DECLARE_NORMAL_LEVEL(level_O0)
TARN_DECLARE_NORMAL_LEVEL(level_O1)
TARN_DECLARE_NORMAL_LEVEL(level_O2)
TARN_DECLARE_NORMAL_LEVEL(level_O3)
TARN_DECLARE_NORMAL_LEVEL(level_native)
TARN_DECLARE_NORMAL_LEVEL(level_other_O0)
TARN_DECLARE_NORMAL_LEVEL(level_other_O3)
TARN_DECLARE_NORMAL_LEVEL(level_other_native)
#undef TARN_DECLARE_NORMAL_LEVEL

}  // namespace tarn::test
