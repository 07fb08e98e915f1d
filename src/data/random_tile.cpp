// Sixteen draws at a time, one a lane: Philox blocks, the first pairs of words turned into normals. Compiled once per
// instruction set.
#include "random_tile.hpp"

#include "tarn/core/normal_transform.hpp"
#include "tarn/core/pack.hpp"
#include "tarn/core/philox.hpp"
#include "tarn/core/stream.hpp"

namespace tarn::data::TARN_ISA {
namespace {

void fill(const TileRequest& q, float* normals, std::uint32_t* words) {
  const std::int64_t n_components = q.n_normals + q.n_words;
  alignas(64) std::uint32_t low[pack_lanes], high[pack_lanes];
  for (std::int64_t draw = 0; draw < q.n; draw += pack_lanes) {
    for (int i = 0; i < pack_lanes; ++i) {
      const std::uint64_t subsequence =
          static_cast<std::uint64_t>(Stream::synthetic_data) << 48 | (q.first + static_cast<std::uint64_t>(draw + i));
      low[i] = static_cast<std::uint32_t>(subsequence);
      high[i] = static_cast<std::uint32_t>(subsequence >> 32);
    }
    for (std::int64_t component = 0; component < n_components; component += 4) {
      WordPack c[4] = {WordPack(static_cast<std::uint32_t>(component / 4)), WordPack(0u), WordPack::load(low),
                       WordPack::load(high)};
      philox4x32_10(c, q.seed);
      for (int pair = 0; pair < 4; pair += 2) {
        const auto at = component + pair;
        if (at < q.n_normals) {
          Pack first, second;
          normal_pair(c[pair], c[pair + 1], first, second);
          first.store(normals + at * q.stride + draw);
          second.store(normals + (at + 1) * q.stride + draw);
          continue;
        }
        for (int k = 0; k < 2; ++k) {
          const auto word = at + k - q.n_normals;
          if (word < q.n_words) c[pair + k].store(words + word * q.stride + draw);
        }
      }
    }
  }
}

void exponential_roots(std::int64_t n, const std::uint32_t* words, float* roots) {
  for (std::int64_t i = 0; i < n; i += pack_lanes) {
    // The radius of normal_pair without its factor sqrt(2).
    const auto word = WordPack::load(words + i);
    const Pack uniform = fma(to_float(word_to_int(word >> 1)), Pack(4.65661287e-10f), Pack(2.32830644e-10f));
    sqrt(sub(Pack(0.0f), math::log_normal_range(uniform))).store(roots + i);
  }
}

}  // namespace

const TileKernels table{fill, exponential_roots};

}  // namespace tarn::data::TARN_ISA
