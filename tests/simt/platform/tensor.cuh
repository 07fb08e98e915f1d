// The matrix instructions of a warp and the copies into shared memory, where kernels run on the CPU: the same operands in the same lanes as
// kernels/platform/tensor.cuh, products in float32 one after another. A copy is done at some time between its call and the wait for it.
#pragma once

#include <cuda_runtime.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "../copies.hpp"
#include "tarn/core/precision.hpp"

namespace tarn::cuda {

/// Rounded to bf16, nearest even; NaN stays NaN.
inline unsigned bf16_bits(float a) {
  if (std::isnan(a)) return 0x7fff;
  const unsigned bits = std::bit_cast<unsigned>(a);
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
inline unsigned bf16_pair(float low, float high) { return bf16_bits(low) | bf16_bits(high) << 16; }
inline unsigned bf16_pair_of_positive_parts(float low, float high) {
  const auto part = [](float a) { return a < 0.0f ? 0.0f : a; };  // NaN stays
  return bf16_pair(part(low), part(high));
}
inline unsigned tf32_bits(float a) {
  const unsigned bits = std::bit_cast<unsigned>(a);
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits & ~0x1fffu;
  return (bits + 0x1000u) & ~0x1fffu;
}

inline float quick_tanh(float a) { return ::tanhf(a); }
inline float quick_exp2(float a) { return ::exp2f(a); }
inline float quick_log2(float a) { return ::log2f(a); }
inline float quick_reciprocal(float a) { return 1.0f / a; }

/// What the lanes of a warp bring to an instruction, for all of them to read: one place a warp, since one block runs at a time.
struct Exchange {
  unsigned words[32][6];
  const unsigned char* rows[32];
};
inline Exchange& exchange() {
  static Exchange all[32];
  return all[threadIdx.x / 32];
}

inline void load_matrices(unsigned (&r)[4], const void* row) {
  Exchange& e = exchange();
  const unsigned lane = threadIdx.x % 32;
  e.rows[lane] = static_cast<const unsigned char*>(row);
  __syncwarp();
  for (unsigned i = 0; i < 4; ++i) std::memcpy(&r[i], e.rows[8 * i + lane / 4] + 4 * (lane % 4), 4);
  __syncwarp();
}

/// Sum over the products of one k-step: words `a` by words `b`, eight each.
template <Precision type>
inline float word_products(float sum, const unsigned (&a)[8], const unsigned (&b)[8]) {
  for (int w = 0; w < 8; ++w) {
    if constexpr (type == Precision::bf16) {
      const auto low = [](unsigned word) { return std::bit_cast<float>(word << 16); };
      const auto high = [](unsigned word) { return std::bit_cast<float>(word & 0xffff0000u); };
      sum += low(a[w]) * low(b[w]);
      sum += high(a[w]) * high(b[w]);
    } else {
      sum += std::bit_cast<float>(a[w] & ~0x1fffu) * std::bit_cast<float>(b[w] & ~0x1fffu);
    }
  }
  return sum;
}

template <Precision type>
inline void multiply(float* c, const unsigned* a, unsigned b0, unsigned b1) {
  Exchange& e = exchange();
  const unsigned lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  for (int i = 0; i < 4; ++i) e.words[lane][i] = a[i];
  e.words[lane][4] = b0;
  e.words[lane][5] = b1;
  __syncwarp();
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned column = 2 * t + i % 2;
    unsigned row_words[8], column_words[8];
    for (unsigned w = 0; w < 8; ++w) {
      row_words[w] = e.words[4 * g + w % 4][i / 2 + 2 * (w / 4)];
      column_words[w] = e.words[4 * column + w % 4][4 + w / 4];
    }
    c[i] = word_products<type>(c[i], row_words, column_words);
  }
  __syncwarp();
}

using TileBarrier = std::uint64_t;

inline void begin_barrier(TileBarrier* barrier) { *barrier = 0; }

inline void copy_tile(TileBarrier* barrier, void* to, const void* from, unsigned bytes) {
  __syncwarp();
  if (threadIdx.x % 32 == 0) simt::begin_copy(barrier, to, from, bytes);
  __syncwarp();
}

inline void wait_for_tile(TileBarrier* barrier, unsigned copy, const char* function = __builtin_FUNCTION(),
                          const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  simt::wait_for_copy(barrier, copy, {"wait_for_tile", function, file, line});
}

}  // namespace tarn::cuda
