// Sizes of the fused kernel's tiles, known to the compiler: what lies where in the packed weights and in shared memory.
//
// A matrix that is multiplied lies in memory as 16-byte columns one after another, each with all rows: the eight rows that an instruction
// reads at a time are 128 bytes in a piece, whichever instruction it is, and no two of them share a bank.
#pragma once

#include <cstdint>

#include "tarn/core/precision.hpp"

namespace tarn::cuda {

/// How the two groups of four warps of a block share its work.
enum class Share : std::uint8_t {
  rows,     ///< each has 64 chains of its own
  neurons,  ///< both have the same 64 chains, and every other tile of neurons; sums are added at the end
  columns   ///< both have the same 64 chains and go through all neurons, each for half of the outputs
};

/// Which instructions multiply.
enum class Engine : std::uint8_t { warp, warpgroup };

template <Precision type, int width_, int neurons_, Share share_ = Share::rows>
struct FusedShape {
  static constexpr Precision precision = type;
  static constexpr Share share = share_;
  static constexpr int width = width_;  ///< columns of the state's operand, [x u 0..], and of the sums
  static constexpr int element = type == Precision::bf16 ? 2 : 4;  ///< bytes
  static constexpr int column = 16 / element;                      ///< elements in 16 bytes
  static constexpr int k_step = 2 * column;                        ///< elements that one multiplication adds up over
  static constexpr int chains = share == Share::rows ? 128 : 64;   ///< of a block
  static constexpr int neurons = neurons_;                         ///< of a tile
  static constexpr int sums = share == Share::columns ? width / 2 : width;  ///< columns that a thread's group adds up
  static_assert(width % k_step == 0 && sums % 16 == 0);

  static constexpr int state_bytes = width / column * chains * 16;
  /// A tile of W_in, and behind it its biases, `b0 b1 b0 b1` for each two neurons, as accumulators begin with them.
  static constexpr int bias_at = width / column * neurons * 16;
  static constexpr int in_bytes = bias_at + 8 * neurons;
  /// A tile of W_out.
  static constexpr int out_bytes = neurons / column * width * 16;
  static constexpr int tile_bytes = in_bytes + out_bytes;
  static constexpr int slot_bytes = in_bytes > out_bytes ? in_bytes : out_bytes;
  static_assert(state_bytes % 128 == 0 && slot_bytes % 128 == 0, "eight rows lie across all banks");
  /// What a block may have (227 KiB), less its barriers.
  static constexpr int most_bytes = 227 * 1024 - 1024;
  static constexpr int slots_that_fit = (most_bytes - state_bytes) / slot_bytes;
  static constexpr int n_slots = slots_that_fit > 8 ? 8 : slots_that_fit;
  static_assert(n_slots >= 3, "two tiles in use and one on its way");
  static constexpr int shared_bytes = state_bytes + n_slots * slot_bytes;
  static_assert(4 * width * chains <= shared_bytes, "at the end of a step the sums take the place of the tiles");
};

/// Where the packed row of a k-step puts tf32 neuron `k`: an accumulator's columns 2t and 2t + 1 become words t and t + 4 of the next operand.
constexpr int tf32_neuron_at(int k) { return k - k % 8 + (k % 8 < 4 ? 2 * (k % 8) : 2 * (k % 8 - 4) + 1); }

}  // namespace tarn::cuda
