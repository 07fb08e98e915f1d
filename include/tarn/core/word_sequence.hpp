// Random words one after another, for host code that does not know beforehand how many it needs (rejection sampling).
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "tarn/core/philox.hpp"
#include "tarn/core/stream.hpp"

namespace tarn {

/// Words `component`, `component + 1`, ... of one step of one chain, as `fill_words` would give them for `n_components` > 2.
/// Computed in blocks of four when asked for.
class WordSequence {
 public:
  /// `chain` below 2^48, `(step + 1) * step_stride(n_components)` below 2^64; `component` a multiple of 4.
  WordSequence(std::uint64_t seed, Stream stream, std::uint64_t chain, std::uint64_t step, std::int64_t n_components,
               std::int64_t component)
      : seed_(seed),
        subsequence_(static_cast<std::uint64_t>(stream) << 48 | chain),
        block_((step * static_cast<std::uint64_t>(step_stride(n_components)) + static_cast<std::uint64_t>(component)) /
               4) {}

  std::uint32_t word() {
    if (lane_ == 4) {
      words_[0] = static_cast<std::uint32_t>(block_);
      words_[1] = static_cast<std::uint32_t>(block_ >> 32);
      words_[2] = static_cast<std::uint32_t>(subsequence_);
      words_[3] = static_cast<std::uint32_t>(subsequence_ >> 32);
      philox4x32_10(words_, seed_);
      ++block_;
      lane_ = 0;
    }
    ++taken_;
    return words_[lane_++];
  }
  /// In (0, 1), from one word.
  double uniform() { return (word() + 0.5) * 0x1p-32; }
  /// Standard normal, from two words.
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }
  /// Words given out so far.
  std::int64_t taken() const { return taken_; }

 private:
  std::uint64_t seed_, subsequence_, block_;
  std::uint32_t words_[4] = {};
  int lane_ = 4;
  std::int64_t taken_ = 0;
};

}  // namespace tarn
