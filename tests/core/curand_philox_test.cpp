// The noise against cuRAND's device generator compiled for the host: a CUDA kernel that uses cuRAND draws the same
// words.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "curand_words.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/noise.hpp"

namespace tarn::test {
namespace {

constexpr std::int64_t component_counts[] = {1, 2, 3, 4, 5, 8, 9, 100};

TEST(CurandPhilox, GivesTheSameWordsAtRandomAddresses) {
  std::mt19937_64 random(31);
  for (int i = 0; i < 300000; ++i) {
    const std::int64_t d = component_counts[random() % std::size(component_counts)];
    const auto stride = static_cast<std::uint64_t>(step_stride(d));
    const std::uint64_t seed = random(), chain = (random() >> (random() % 60)) % max_chains;
    // whole range of step numbers, small ones as often as large ones
    const std::uint64_t step = (random() >> (random() % 64)) % (~0ull / stride);
    const auto stream = static_cast<Stream>(random());
    const std::uint64_t subsequence = static_cast<std::uint64_t>(stream) << 48 | chain;
    const auto component = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(d));

    Matrix<std::uint32_t> out(1, d);
    fill_words(seed, stream, chain, step, 1, out);
    const std::uint64_t offset = step * stride + static_cast<std::uint64_t>(component);
    ASSERT_EQ(out(0, component), curand_word(seed, subsequence, offset))
        << "seed " << seed << ", subsequence " << subsequence << ", offset " << offset;
    // curand4 at the start of a block gives all of it; where it is opened within a block it runs on into the next
    std::uint32_t four[4];
    const std::int64_t start = component / 4 * 4;
    curand_words(seed, subsequence, step * stride + static_cast<std::uint64_t>(start), four);
    for (std::int64_t k = 0; start + k < d && k < 4; ++k) ASSERT_EQ(out(0, start + k), four[k]);
  }
}

// One state walked through many steps, as a kernel does it, against rows of the same chain.
TEST(CurandPhilox, OffsetsRunOnOverSteps) {
  constexpr std::int64_t n_steps = 4096;
  Matrix<std::uint32_t> out(n_steps, 1);
  fill_words(3407, Stream::dynamics, 12, 1ull << 33, n_steps, out);
  for (std::int64_t t = 0; t < n_steps; t += 4) {
    std::uint32_t four[4];
    curand_words(3407, 12, (1ull << 33) + static_cast<std::uint64_t>(t), four);
    for (std::int64_t k = 0; k < 4; ++k) ASSERT_EQ(out(t + k, 0), four[k]);
  }
}

}  // namespace
}  // namespace tarn::test
