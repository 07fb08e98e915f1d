// Compiled once per level, with TARN_ISA set to its name; see normal_levels.hpp. No standard library beyond plain
// types.
#include "normal_levels.hpp"

#include "tarn/core/normal_transform.hpp"
#include "tarn/core/pack.hpp"
#include "tarn/core/philox.hpp"

#define TARN_STRING_OF(x) #x
#define TARN_STRING(x) TARN_STRING_OF(x)

namespace tarn::test::TARN_ISA {
namespace {

void by_numbers(std::uint64_t seed, std::uint64_t first_block, std::int64_t n_blocks, float* out) {
  for (std::int64_t i = 0; i < n_blocks; ++i) {
    const std::uint64_t block = first_block + static_cast<std::uint64_t>(i);
    std::uint32_t c[4] = {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), 0, 0};
    philox4x32_10(c, seed);
    normal_pair(c[0], c[1], out[4 * i], out[4 * i + 1]);
    normal_pair(c[2], c[3], out[4 * i + 2], out[4 * i + 3]);
  }
}

void by_packs(std::uint64_t seed, std::uint64_t first_block, std::int64_t n_blocks, float* out) {
  for (std::int64_t i = 0; i < n_blocks; i += pack_lanes) {
    std::uint32_t low[pack_lanes], high[pack_lanes];
    for (int k = 0; k < pack_lanes; ++k) {
      const std::uint64_t block = first_block + static_cast<std::uint64_t>(i + k);
      low[k] = static_cast<std::uint32_t>(block);
      high[k] = static_cast<std::uint32_t>(block >> 32);
    }
    WordPack c[4] = {WordPack::load(low), WordPack::load(high), WordPack(0u), WordPack(0u)};
    philox4x32_10(c, seed);
    Pack n[4];
    normal_pair(c[0], c[1], n[0], n[1]);
    normal_pair(c[2], c[3], n[2], n[3]);
    for (int k = 0; k < pack_lanes && i + k < n_blocks; ++k) {
      for (int j = 0; j < 4; ++j) out[4 * (i + k) + j] = n[j].lane(k);
    }
  }
}

}  // namespace

const NormalLevel normals{TARN_STRING(TARN_ISA), by_numbers, by_packs};

}  // namespace tarn::test::TARN_ISA
