// cuRAND's own Philox, compiled for the host, in a translation unit of its own.
#pragma once

#include <cstdint>

namespace tarn::test {

/// Words `offset .. offset + 3` of the sequence that `curand_init(seed, subsequence, offset, state)` opens, by
/// `curand4`.
void curand_words(std::uint64_t seed, std::uint64_t subsequence, std::uint64_t offset, std::uint32_t (&words)[4]);
/// The first word by `curand`.
std::uint32_t curand_word(std::uint64_t seed, std::uint64_t subsequence, std::uint64_t offset);

}  // namespace tarn::test
