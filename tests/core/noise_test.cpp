// The noise against Random123: known answers, every layout, any slice, on every instruction set.
#include "tarn/core/noise.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "isa_cases.hpp"
#include "random123_reference.hpp"
#include "tarn/core/isa.hpp"
#include "tarn/core/philox.hpp"

namespace tarn::test {
namespace {

struct KnownAnswer {
  std::uint32_t counter[4], key[2], answer[4];
};
// Published with Random123 (kat_vectors, philox4x32-10).
constexpr KnownAnswer known_answers[] = {{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}},
                                         {{0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu},
                                          {0xffffffffu, 0xffffffffu},
                                          {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}},
                                         {{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
                                          {0xa4093822u, 0x299f31d0u},
                                          {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}}};

std::uint64_t key_of(const KnownAnswer& k) { return k.key[0] | static_cast<std::uint64_t>(k.key[1]) << 32; }

TEST(PhiloxKnownAnswers, Random123) {
  for (const auto& k : known_answers) {
    const WordAddress at{k.counter[0] | static_cast<std::uint64_t>(k.counter[1]) << 32,
                         k.counter[2] | static_cast<std::uint64_t>(k.counter[3]) << 32, 0};
    for (std::uint32_t lane = 0; lane < 4; ++lane) {
      EXPECT_EQ(random123_word(key_of(k), {at.block, at.subsequence, lane}), k.answer[lane]);
    }
  }
}

TEST(PhiloxKnownAnswers, Words) {
  for (const auto& k : known_answers) {
    std::uint32_t c[4] = {k.counter[0], k.counter[1], k.counter[2], k.counter[3]};
    philox4x32_10(c, key_of(k));
    for (int i = 0; i < 4; ++i) EXPECT_EQ(c[i], k.answer[i]);
  }
}

class NoiseOn : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { use_isa(std::string(name_of(GetParam()))); }
  void TearDown() override { use_isa(""); }
};

TEST_P(NoiseOn, PacksGiveTheKnownAnswersInEveryLane) {
  for (const auto& k : known_answers) {
    for (std::uint32_t lane = 0; lane < lanes; ++lane) {
      std::uint32_t c[4 * lanes];
      for (std::uint32_t i = 0; i < 4 * lanes; ++i) c[i] = i * 2654435761u;
      for (std::uint32_t i = 0; i < 4; ++i) c[i * lanes + lane] = k.counter[i];
      isa_cases(GetParam()).philox(c, key_of(k));
      for (std::uint32_t i = 0; i < 4; ++i) ASSERT_EQ(c[i * lanes + lane], k.answer[i]) << "lane " << lane;
    }
  }
}

constexpr std::int64_t component_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 300};

struct Block {
  std::uint64_t seed;
  Stream stream;
  std::uint64_t first_chain, first_step;
  std::int64_t n_chains, n_steps, n_components;
};

Matrix<std::uint32_t> words(const Block& b) {
  Matrix<std::uint32_t> out(b.n_steps * b.n_chains, b.n_components);
  fill_words(b.seed, b.stream, b.first_chain, b.first_step, b.n_steps, out);
  return out;
}
Matrix<float> normals(const Block& b) {
  Matrix<float> out(b.n_steps * b.n_chains, b.n_components);
  fill_normals(b.seed, b.stream, b.first_chain, b.first_step, b.n_steps, out);
  return out;
}

void expect_random123(const Block& b) {
  const auto out = words(b);
  for (std::int64_t t = 0; t < b.n_steps; ++t) {
    for (std::int64_t i = 0; i < b.n_chains; ++i) {
      for (std::int64_t j = 0; j < b.n_components; ++j) {
        const auto chain = b.first_chain + static_cast<std::uint64_t>(i),
                   step = b.first_step + static_cast<std::uint64_t>(t);
        const auto at = word_address(b.stream, chain, step, static_cast<std::uint64_t>(j),
                                     static_cast<std::uint64_t>(b.n_components));
        ASSERT_EQ(out(t * b.n_chains + i, j), random123_word(b.seed, at))
            << "D " << b.n_components << ", chain " << chain << ", step " << step << ", component " << j;
      }
    }
  }
}

TEST_P(NoiseOn, WordsEqualRandom123AtEveryComponentCount) {
  for (std::int64_t d : component_counts) {
    for (std::int64_t n_chains : {1, 15, 16, 17, 33}) {
      for (std::uint64_t first_step : {0, 1, 2, 3, 7}) {
        expect_random123({0x0123456789abcdefu, Stream::training_noise, 5, first_step, n_chains, 6, d});
      }
    }
  }
}

TEST_P(NoiseOn, WordsEqualRandom123WhereCountersCarry) {
  constexpr std::uint64_t chain_starts[] = {(1ull << 32) - 9, (1ull << 40) - 5, max_chains - 20};
  for (std::int64_t d : component_counts) {
    const auto stride = static_cast<std::uint64_t>(step_stride(d));
    // the last start leaves room for exactly the five steps: the highest addresses of a subsequence
    const std::uint64_t step_starts[] = {(1ull << 32) - 3, (1ull << 34) - 2, (1ull << 34) / stride,
                                         (1ull << 50) / stride, ~0ull / stride - 5};
    for (std::uint64_t chain : chain_starts) {
      for (std::uint64_t step : step_starts) {
        expect_random123({~0ull - 3, stream_of_layer(Stream::ancestral, 1000), chain, step, 20, 5, d});
      }
    }
  }
}

TEST_P(NoiseOn, WordsEqualRandom123AtRandomAddresses) {
  std::mt19937_64 random(21);
  for (int i = 0; i < 20000; ++i) {
    const std::int64_t d = component_counts[random() % std::size(component_counts)];
    const std::uint64_t last_step = ~0ull / static_cast<std::uint64_t>(step_stride(d)) - 4;
    Block b{random(),
            static_cast<Stream>(random()),
            (random() >> (16 + random() % 40)) % (max_chains - 3),
            (random() >> (random() % 60)) % last_step,
            static_cast<std::int64_t>(1 + random() % 3),
            static_cast<std::int64_t>(1 + random() % 3),
            d};
    expect_random123(b);
    if (HasFatalFailure()) return;
  }
}

// Long requests are worked off in pieces; few chains share a pack over several steps.
TEST_P(NoiseOn, LongRequestsEqualRandom123) {
  std::mt19937_64 random(23);
  for (const Block& b :
       {Block{1, Stream::dynamics, 9, 11, 1, 1100000, 3}, Block{2, Stream::dynamics, 0, 5, 1050000, 2, 3},
        Block{3, Stream::evaluation, 4, 1, 2, 2, 4300001}, Block{4, Stream::dynamics, 3, 2, 5, 70000, 9},
        Block{5, Stream::dynamics, 3, 2, 3, 300000, 4}, Block{6, Stream::dynamics, 3, 1, 1, 300001, 1}}) {
    const auto out = words(b);
    const auto expect_at = [&](std::int64_t row, std::int64_t j) {
      const auto at = word_address(b.stream, b.first_chain + static_cast<std::uint64_t>(row % b.n_chains),
                                   b.first_step + static_cast<std::uint64_t>(row / b.n_chains),
                                   static_cast<std::uint64_t>(j), static_cast<std::uint64_t>(b.n_components));
      ASSERT_EQ(out(row, j), random123_word(b.seed, at))
          << "D " << b.n_components << ", row " << row << ", component " << j;
    };
    for (int i = 0; i < 20000; ++i) {
      expect_at(static_cast<std::int64_t>(random() >> 1) % out.rows(),
                static_cast<std::int64_t>(random() >> 1) % b.n_components);
      if (HasFatalFailure()) return;
    }
    for (std::int64_t i = 1; i <= 40; ++i) {
      expect_at(out.rows() - 1 - (i - 1) / b.n_components % out.rows(), b.n_components - 1 - (i - 1) % b.n_components);
    }
  }
}

TEST_P(NoiseOn, NormalsAreTheTransformOfTheWords) {
  for (std::int64_t d : component_counts) {
    const Block b{3407, Stream::initial_law, 1000, 5, 37, 9, d};
    const auto out = normals(b);
    for (std::int64_t row = 0; row < out.rows(); ++row) {
      for (std::int64_t j = 0; j < d; ++j) {
        const auto chain = b.first_chain + static_cast<std::uint64_t>(row % b.n_chains);
        const auto step = b.first_step + static_cast<std::uint64_t>(row / b.n_chains);
        auto at = word_address(b.stream, chain, step, static_cast<std::uint64_t>(j), static_cast<std::uint64_t>(d));
        const bool second = at.lane % 2 == 1;
        at.lane &= ~1u;
        const std::uint32_t radius_word = random123_word(b.seed, at);
        ++at.lane;
        float cosine, sine;
        normal_pair(radius_word, random123_word(b.seed, at), cosine, sine);
        ASSERT_EQ(std::bit_cast<std::uint32_t>(out(row, j)), std::bit_cast<std::uint32_t>(second ? sine : cosine))
            << "D " << d << ", row " << row << ", component " << j;
      }
    }
  }
}

TEST_P(NoiseOn, AnySliceGivesTheSameNumbers) {
  std::mt19937_64 random(22);
  for (std::int64_t d : component_counts) {
    const Block whole{42, Stream::dynamics, 77, 3, 70, 13, d};
    const auto all_words = words(whole);
    const auto all_normals = normals(whole);
    for (int repeat = 0; repeat < 40; ++repeat) {
      Block part = whole;
      const auto chain = static_cast<std::int64_t>(random() % 70), step = static_cast<std::int64_t>(random() % 13);
      part.n_chains = 1 + static_cast<std::int64_t>(random() >> 1) % (70 - chain);
      part.n_steps = 1 + static_cast<std::int64_t>(random() >> 1) % (13 - step);
      part.first_chain += static_cast<std::uint64_t>(chain);
      part.first_step += static_cast<std::uint64_t>(step);
      const auto some_words = words(part);
      const auto some_normals = normals(part);
      for (std::int64_t t = 0; t < part.n_steps; ++t) {
        for (std::int64_t i = 0; i < part.n_chains; ++i) {
          const std::int64_t row = (step + t) * 70 + chain + i;
          for (std::int64_t j = 0; j < d; ++j) {
            ASSERT_EQ(some_words(t * part.n_chains + i, j), all_words(row, j));
            ASSERT_EQ(std::bit_cast<std::uint32_t>(some_normals(t * part.n_chains + i, j)),
                      std::bit_cast<std::uint32_t>(all_normals(row, j)));
          }
        }
      }
    }
  }
}

TEST_P(NoiseOn, ThreadsDoNotDisturbEachOther) {
  const Block whole{9, Stream::dynamics, 0, 0, 4000, 8, 3};
  const auto expected = normals(whole);
  Matrix<float> out(whole.n_steps * whole.n_chains, whole.n_components);
  std::vector<std::thread> threads;
  for (std::int64_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (std::int64_t t = i; t < whole.n_steps; t += 4) {
        fill_normals(9, Stream::dynamics, 0, static_cast<std::uint64_t>(t), 1,
                     out.view().slice(t * whole.n_chains, (t + 1) * whole.n_chains));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(out, expected);
}

TEST_P(NoiseOn, NothingIsWrittenOutsideTheView) {
  constexpr std::int64_t guard = 64;
  for (std::int64_t d : component_counts) {
    for (std::int64_t n_chains : {1, 3, 16, 19}) {
      for (std::int64_t n_steps : {1, 2, 5}) {
        const std::int64_t size = n_steps * n_chains * d;
        std::vector<float> memory(static_cast<std::size_t>(size + 2 * guard), -77.0f);
        fill_normals(1, Stream::dynamics, 6, 1, n_steps, {memory.data() + guard, n_steps * n_chains, d});
        for (std::int64_t i = 0; i < guard; ++i) {
          ASSERT_EQ(memory[static_cast<std::size_t>(i)], -77.0f);
          ASSERT_EQ(memory[static_cast<std::size_t>(guard + size + i)], -77.0f);
        }
        for (std::int64_t i = 0; i < size; ++i) ASSERT_LT(std::abs(memory[static_cast<std::size_t>(guard + i)]), 6.7f);
      }
    }
  }
}

std::string test_name(const testing::TestParamInfo<Isa>& info) {
  std::string name(name_of(info.param));
  std::erase_if(name, [](char c) { return c == '-'; });
  return name;
}
INSTANTIATE_TEST_SUITE_P(Isas, NoiseOn, testing::ValuesIn(available_isas()), test_name);

TEST(Noise, SeedsAndStreamsDiffer) {
  const Block b{1, Stream::dynamics, 0, 0, 100, 10, 3};
  const auto first = words(b);
  for (std::uint64_t seed : {0ull, 2ull, 1ull << 32, (1ull << 32) + 1, 1ull << 63}) {
    Block other = b;
    other.seed = seed;
    EXPECT_NE(words(other), first) << seed;
  }
  for (int stream = 1; stream < 128; ++stream) {
    Block other = b;
    other.stream = static_cast<Stream>(stream);
    EXPECT_NE(words(other), first) << stream;
  }
}

TEST(Noise, RejectsWhatHasNoAddress) {
  Matrix<float> out(6, 3);
  const auto fill = [&](std::uint64_t chain, std::uint64_t step, std::int64_t n_steps) {
    fill_normals(1, Stream::dynamics, chain, step, n_steps, out);
  };
  EXPECT_NO_THROW(fill(0, 0, 3));
  EXPECT_THROW(fill(0, 0, 4), Error);
  EXPECT_THROW(fill(0, 0, 0), Error);
  EXPECT_THROW(fill(0, 0, -2), Error);
  EXPECT_NO_THROW(fill(max_chains - 2, 0, 3));
  EXPECT_THROW(fill(max_chains - 1, 0, 3), Error);
  EXPECT_THROW(fill(max_chains, 0, 6), Error);
  EXPECT_THROW(fill(~0ull, 0, 6), Error);  // the sum would wrap around
  EXPECT_THROW(fill(~0ull - 1, 0, 3), Error);
  const std::uint64_t n_addresses = ~0ull / 4;  // steps 0 .. n_addresses - 1 at stride 4
  EXPECT_NO_THROW(fill(0, n_addresses - 3, 3));
  EXPECT_THROW(fill(0, n_addresses - 2, 3), Error);
  EXPECT_THROW(fill(0, ~0ull, 1), Error);
  Matrix<std::uint32_t> words(6, 3);
  EXPECT_THROW(fill_words(1, Stream::dynamics, max_chains, 0, 2, words), Error);
  EXPECT_THROW(fill_words(1, Stream::dynamics, 0, 0, 5, words), Error);
}

TEST(Noise, EmptyViewsAreLeftAlone) {
  Matrix<float> no_rows(0, 3), no_columns(4, 0);
  EXPECT_NO_THROW(fill_normals(1, Stream::dynamics, 0, 0, 1, no_rows));
  EXPECT_NO_THROW(fill_normals(1, Stream::dynamics, 0, 0, 2, no_columns));
}

TEST(Noise, UniformFromWordIsInsideTheUnitInterval) {
  EXPECT_EQ(uniform_from_word(0), 0x1p-33);
  EXPECT_EQ(uniform_from_word(0xffffffffu), 1.0 - 0x1p-33);
  EXPECT_EQ(uniform_from_word(0x80000000u), 0.5 + 0x1p-33);
}

}  // namespace
}  // namespace tarn::test
