#include "curand_words.hpp"

#include <cuda_runtime.h>

#define QUALIFIERS static inline
#include <curand_kernel.h>

namespace tarn::test {

void curand_words(std::uint64_t seed, std::uint64_t subsequence, std::uint64_t offset, std::uint32_t (&words)[4]) {
  curandStatePhilox4_32_10_t state;
  curand_init(seed, subsequence, offset, &state);
  const uint4 four = curand4(&state);
  words[0] = four.x;
  words[1] = four.y;
  words[2] = four.z;
  words[3] = four.w;
}

std::uint32_t curand_word(std::uint64_t seed, std::uint64_t subsequence, std::uint64_t offset) {
  curandStatePhilox4_32_10_t state;
  curand_init(seed, subsequence, offset, &state);
  return curand(&state);
}

}  // namespace tarn::test
