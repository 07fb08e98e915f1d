// Counter-based noise: every number is a pure function of (seed, stream, chain, step, component), whatever was drawn
// before, by how many threads, on which device. Layout and proof that no counter serves twice: docs/noise.md.
#pragma once

#include <cstdint>

#include "tarn/core/matrix.hpp"
#include "tarn/core/normal_transform.hpp"
#include "tarn/core/stream.hpp"

namespace tarn {

/// Global chain numbers are below this; the 16 bits above hold the stream.
inline constexpr std::uint64_t max_chains = std::uint64_t{1} << 48;

/// Raw 32-bit words. `out` `[n_steps * n_chains, n_components]`; row `t * n_chains + i` belongs to step `first_step +
/// t` and chain `first_chain + i`. Chains must stay below 2^48, `(step + 1) * step_stride(n_components)` below 2^64.
/// Throws `Error` where `n_steps` does not divide the rows or a chain or step number is out of range.
void fill_words(std::uint64_t seed, Stream stream, std::uint64_t first_chain, std::uint64_t first_step,
                std::int64_t n_steps, MatrixView<std::uint32_t> out);

/// Standard normals from the same words: components (0,1) and (2,3) of each block of four are Box-Muller pairs.
/// Bit-identical on every device, instruction set and build. Shapes and errors as `fill_words`.
void fill_normals(std::uint64_t seed, Stream stream, std::uint64_t first_chain, std::uint64_t first_step,
                  std::int64_t n_steps, MatrixView<float> out);

/// `base + layer`, for streams that come one a layer. Throws `Error` for a layer whose stream belongs to something else:
/// there is room for 48 layers of interneurons, and for ancestral draws up to the last of the 2^16 streams.
constexpr Stream stream_of_layer(Stream base, int layer) {
  const int end = base == Stream::interneurons ? static_cast<int>(Stream::ancestral) : 1 << 16;
  if (layer < 0 || static_cast<int>(base) + layer >= end) {
    fail("noise: layer {} has no stream; the streams from {} on serve {} layers", layer, static_cast<int>(base),
         end - static_cast<int>(base));
  }
  return static_cast<Stream>(static_cast<std::uint16_t>(base) + layer);
}

}  // namespace tarn
