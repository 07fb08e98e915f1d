// No counter feeds two distinct variables: the layout of docs/noise.md, enumerated. That the library draws from this
// very layout is checked word for word in noise_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "random123_reference.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/noise.hpp"

namespace tarn::test {
namespace {

TEST(NoiseAddress, OneWordForOneVariable) {
  for (std::uint64_t d : {1, 2, 3, 4, 5, 7, 8, 9, 33}) {
    std::vector<WordAddress> addresses;
    for (std::uint64_t stream : {0, 1, 2, 9, 10, 16, 17, 64, 65, 65535}) {
      for (std::uint64_t chain : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{0xffffffff},
                                  std::uint64_t{1} << 32, max_chains - 1}) {
        for (std::uint64_t step = 0; step < 40; ++step) {
          for (std::uint64_t component = 0; component < d; ++component) {
            addresses.push_back(word_address(static_cast<Stream>(stream), chain, step, component, d));
          }
        }
      }
    }
    std::sort(addresses.begin(), addresses.end());
    EXPECT_EQ(std::adjacent_find(addresses.begin(), addresses.end()), addresses.end()) << "D " << d;
  }
}

// A normal needs both words of its pair, so pairs must lie within a block and within the step's own range or, at D = 1,
// in two consecutive steps of the same chain.
TEST(NoiseAddress, BoxMullerPairsStayWithinAChain) {
  for (std::uint64_t d : {1, 2, 3, 4, 5, 8, 9}) {
    for (std::uint64_t step = 0; step < 16; ++step) {
      for (std::uint64_t component = 0; component < d; ++component) {
        const auto at = word_address(Stream::dynamics, 3, step, component, d);
        if (d > 2) {
          EXPECT_EQ(at.lane, component % 4);
        } else if (d == 2) {
          EXPECT_EQ(at.lane % 2, component);
        } else {
          EXPECT_EQ(at.lane, step % 4);
        }
      }
    }
  }
}

TEST(NoiseAddress, StrideIsOneTwoOrAMultipleOfFour) {
  EXPECT_EQ(step_stride(0), 1);
  for (std::int64_t d = 1; d <= 1000; ++d) {
    const std::int64_t stride = step_stride(d);
    EXPECT_GE(stride, d);
    EXPECT_LT(stride, d + 4);
    EXPECT_TRUE(4 % stride == 0 || stride % 4 == 0) << d;
    EXPECT_TRUE(d > 2 || stride == d);
  }
}

// The published numbers of the streams; a change here changes every run.
TEST(NoiseAddress, StreamsKeepTheirNumbers) {
  EXPECT_EQ(static_cast<int>(Stream::dynamics), 0);
  EXPECT_EQ(static_cast<int>(Stream::dynamics_second), 1);
  EXPECT_EQ(static_cast<int>(Stream::initial_law), 2);
  EXPECT_EQ(static_cast<int>(Stream::training_noise), 3);
  EXPECT_EQ(static_cast<int>(Stream::synthetic_data), 4);
  EXPECT_EQ(static_cast<int>(Stream::batch_order), 5);
  EXPECT_EQ(static_cast<int>(Stream::weight_init), 6);
  EXPECT_EQ(static_cast<int>(Stream::confinement), 7);
  EXPECT_EQ(static_cast<int>(Stream::evaluation), 8);
  EXPECT_EQ(static_cast<int>(Stream::filter_init), 9);
  EXPECT_EQ(static_cast<int>(Stream::filter_order), 10);
  EXPECT_EQ(static_cast<int>(Stream::particles), 13);
  EXPECT_EQ(static_cast<int>(Stream::particle_units), 14);
  EXPECT_EQ(static_cast<int>(Stream::half_step), 15);
  EXPECT_EQ(static_cast<int>(Stream::interneurons), 16);
  EXPECT_EQ(static_cast<int>(Stream::ancestral), 64);
}

TEST(NoiseAddress, LayersHaveStreamsOfTheirOwn) {
  std::set<Stream> seen;
  for (int layer = 0; layer < 48; ++layer)
    EXPECT_TRUE(seen.insert(stream_of_layer(Stream::interneurons, layer)).second);
  for (int layer = 0; layer < 65536 - 64; ++layer) {
    EXPECT_TRUE(seen.insert(stream_of_layer(Stream::ancestral, layer)).second);
  }
  for (int stream = 0; stream <= 10; ++stream) EXPECT_FALSE(seen.contains(static_cast<Stream>(stream)));
  EXPECT_THROW(stream_of_layer(Stream::interneurons, 48), Error);  // would be the first ancestral stream
  EXPECT_THROW(stream_of_layer(Stream::interneurons, -1), Error);
  EXPECT_THROW(stream_of_layer(Stream::ancestral, 65536 - 64), Error);
  EXPECT_THROW(stream_of_layer(Stream::ancestral, -1), Error);
}

// Why a (stream, chain) is read with one component count only: two counts share words. Also the layout at D = 1 in
// short.
TEST(NoiseAddress, CountsOfComponentsShareWords) {
  const auto word = [](std::uint64_t step, std::int64_t d, std::int64_t component) {
    Matrix<std::uint32_t> out(1, d);
    fill_words(5, Stream::weight_init, 7, step, 1, out);
    return out(0, component);
  };
  EXPECT_EQ(word(4, 1, 0), word(1, 4, 0));
  EXPECT_EQ(word(6, 1, 0), word(1, 3, 2));
  EXPECT_EQ(word(2, 8, 0), word(4, 4, 0));
}

}  // namespace
}  // namespace tarn::test
