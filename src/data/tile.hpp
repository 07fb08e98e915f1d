// Walks over draws in tiles and hands each tile's random numbers to a function.
#pragma once

#include <algorithm>
#include <array>

#include "random_tile.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/noise.hpp"

namespace tarn::data {

/// Component c of draw `i` of the tile is `normals[c * stride + i]` or `words[c * stride + i]`, i < n.
struct Tile {
  std::int64_t begin = 0;  ///< row of the output that the tile's first draw goes to
  std::int64_t n = 0;
  std::int64_t stride = 0;
  float* normals = nullptr;
  std::uint32_t* words = nullptr;
  const TileKernels* kernels = nullptr;
};

/// Calls `use(tile)` for the draws `first .. first + n - 1`. `n_normals` is even. Throws `Error` beyond draw 2^48.
template <class Use>
void for_each_tile(std::uint64_t seed, std::uint64_t first, std::int64_t n, std::int64_t n_normals,
                   std::int64_t n_words, Use&& use) {
  require(first < max_chains && static_cast<std::uint64_t>(n) <= max_chains - first,
          "synthetic data: draws must be numbered below 2^48, found {} from {}", n, first);
  constexpr std::int64_t capacity = 4096;
  const auto n_components = n_normals + n_words;
  const auto stride = std::clamp<std::int64_t>(capacity / n_components / 16 * 16, 16, 256);
  // Small dimensions need no allocation: training asks for 32 draws at a time.
  alignas(64) std::array<float, capacity> small_normals;
  alignas(64) std::array<std::uint32_t, capacity> small_words;
  AlignedVector<float> large_normals;
  AlignedVector<std::uint32_t> large_words;
  Tile tile{.stride = stride, .normals = small_normals.data(), .words = small_words.data()};
  if (n_components * stride > capacity) {
    large_normals.resize(static_cast<std::size_t>(n_normals * stride));
    large_words.resize(static_cast<std::size_t>(n_words * stride));
    tile.normals = large_normals.data();
    tile.words = large_words.data();
  }
  tile.kernels = &tile_kernels(current_isa());
  for (tile.begin = 0; tile.begin < n; tile.begin += stride) {
    tile.n = std::min(stride, n - tile.begin);
    tile.kernels->fill({seed, first + static_cast<std::uint64_t>(tile.begin), tile.n, n_normals, n_words, stride},
                       tile.normals, tile.words);
    use(static_cast<const Tile&>(tile));
  }
}

inline void check_draw_width(MatrixView<float> out, std::int64_t dimension) {
  require(out.cols == dimension, "draws have {} columns, room was given for {}", dimension, out.cols);
}

}  // namespace tarn::data
