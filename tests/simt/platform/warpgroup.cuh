// The matrix instructions of four warps together, where kernels run on the CPU: kernels/platform/warpgroup.cuh says what they do. A
// multiplication is done when it is called.
#pragma once

#include "tensor.cuh"

namespace tarn::cuda {

struct SharedMatrix {
  const unsigned char* at;
  int rows;
};
inline SharedMatrix shared_matrix(const void* at, int rows) { return {static_cast<const unsigned char*>(at), rows}; }
inline SharedMatrix part(SharedMatrix m, int rows, int first, int k) {
  return {m.at + 16 * (2 * k * rows + first), rows};
}

inline void begin_multiplying() {}
inline void end_group() {}
template <int pending>
void wait_for_groups() {}
inline void publish_to_multiplications() {}

/// The eight words of a row in one k-step.
inline void words_of_row(SharedMatrix m, unsigned row, unsigned (&words)[8]) {
  std::memcpy(words, m.at + 16 * row, 16);
  std::memcpy(words + 4, m.at + 16 * (static_cast<unsigned>(m.rows) + row), 16);
}

template <Precision type, int n>
struct Warpgroup {
  static void shared(float* c, SharedMatrix a, SharedMatrix b) {
    __syncwarp();
    const unsigned row = 16 * (threadIdx.x / 32 % 4) + threadIdx.x % 32 / 4;
    unsigned upper[8], lower[8];
    words_of_row(a, row, upper);
    words_of_row(a, row + 8, lower);
    add(c, upper, lower, b);
  }
  static void registers(float* c, const unsigned* a, SharedMatrix b) {
    Exchange& e = exchange();
    const unsigned lane = threadIdx.x % 32, first = lane / 4 * 4;
    for (int i = 0; i < 4; ++i) e.words[lane][i] = a[i];
    __syncwarp();
    unsigned upper[8], lower[8];
    for (unsigned w = 0; w < 8; ++w) {
      upper[w] = e.words[first + w % 4][2 * (w / 4)];
      lower[w] = e.words[first + w % 4][2 * (w / 4) + 1];
    }
    __syncwarp();
    add(c, upper, lower, b);
  }

 private:
  static void add(float* c, const unsigned (&upper)[8], const unsigned (&lower)[8], SharedMatrix b) {
    for (unsigned j = 0; j < n / 8; ++j) {
      for (unsigned i = 0; i < 4; ++i) {
        unsigned words[8];
        words_of_row(b, 8 * j + 2 * (threadIdx.x % 4) + i % 2, words);
        c[4 * j + i] = word_products<type>(c[4 * j + i], i < 2 ? upper : lower, words);
      }
    }
  }
};

}  // namespace tarn::cuda
