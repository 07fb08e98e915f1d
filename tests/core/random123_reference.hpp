// The words of the noise, worked out by Random123 from the layout in docs/noise.md. Shares no code with the library.
// Must not meet cuRAND's headers in one translation unit: both define the same names.
#pragma once

#include <Random123/philox.h>

#include <cstdint>

#include "tarn/core/stream.hpp"

namespace tarn::test {

/// Where a number lies: Philox counter (block, subsequence) and the lane of its four words.
struct WordAddress {
  std::uint64_t block = 0, subsequence = 0;
  std::uint32_t lane = 0;
  auto operator<=>(const WordAddress&) const = default;
};

inline WordAddress word_address(Stream stream, std::uint64_t chain, std::uint64_t step, std::uint64_t component,
                                std::uint64_t n_components) {
  std::uint64_t stride = n_components;
  if (n_components > 2) {
    while (stride % 4 != 0) ++stride;
  }
  const std::uint64_t offset = step * stride + component;
  return {offset / 4, (static_cast<std::uint64_t>(stream) << 48) + chain, static_cast<std::uint32_t>(offset % 4)};
}

inline std::uint32_t random123_word(std::uint64_t seed, const WordAddress& at) {
  const philox4x32_ctr_t counter{{static_cast<std::uint32_t>(at.block), static_cast<std::uint32_t>(at.block >> 32),
                                  static_cast<std::uint32_t>(at.subsequence),
                                  static_cast<std::uint32_t>(at.subsequence >> 32)}};
  const philox4x32_key_t key{{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}};
  return philox4x32(counter, key).v[at.lane];
}

}  // namespace tarn::test
