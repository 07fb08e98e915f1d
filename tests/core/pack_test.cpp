// Every pack operation, on every instruction set of this machine, against the same operation on numbers: bit for bit,
// NaN for NaN.
#include "tarn/core/pack.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "apply_operations.hpp"
#include "isa_cases.hpp"

namespace tarn::test {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

// All ordered pairs of these, then random bit patterns and random moderate numbers.
const std::vector<float> special_floats{0.0f,       -0.0f,        1.0f,   -1.0f,           0.5f,          -2.5f,
                                        1e-45f,     -1e-45f,      1e-38f, 3.4e38f,         -3.4e38f,      infinity,
                                        -infinity,  not_a_number, 3.0f,   1.17549435e-38f, -not_a_number, 16777216.0f,
                                        8388607.5f, 1.00000012f};

std::vector<std::array<float, 3>> float_triples() {
  std::vector<std::array<float, 3>> triples;
  std::mt19937_64 random(11);
  for (float a : special_floats) {
    for (float b : special_floats) triples.push_back({a, b, special_floats[random() % special_floats.size()]});
  }
  for (int i = 0; i < 20000; ++i) {
    std::array<float, 3> t;
    for (float& v : t) {
      v = i % 2 == 0 ? std::bit_cast<float>(static_cast<std::uint32_t>(random()))
                     : static_cast<float>(static_cast<double>(random()) * 0x1p-63 - 1.0);
    }
    if (i % 7 == 0) t[1] = t[0];
    triples.push_back(t);
  }
  while (triples.size() % lanes != 0) triples.push_back({1.0f, 2.0f, 3.0f});
  return triples;
}

template <class T>
std::vector<std::array<T, 3>> word_triples() {
  const std::vector<std::uint32_t> special{0u,          1u,          2u,          0x7fffffffu,
                                           0x80000000u, 0x80000001u, 0xffffffffu, 0xfffffffeu,
                                           0x00ffffffu, 0x01000001u, 0x0000ffffu, 0xffff0000u};
  std::vector<std::array<T, 3>> triples;
  std::mt19937_64 random(12);
  const auto push = [&](std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    triples.push_back({std::bit_cast<T>(a), std::bit_cast<T>(b), std::bit_cast<T>(c)});
  };
  for (std::uint32_t a : special) {
    for (std::uint32_t b : special) push(a, b, static_cast<std::uint32_t>(random()));
  }
  for (int i = 0; i < 20000; ++i) {
    const auto a = static_cast<std::uint32_t>(random()), b = static_cast<std::uint32_t>(random());
    push(a, i % 5 == 0 ? a : b, static_cast<std::uint32_t>(random()));
  }
  while (triples.size() % lanes != 0) push(1u, 2u, 3u);
  return triples;
}

bool same(float a, float b) {
  return (a != a && b != b) || std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}
template <class T>
bool same(T a, T b) {
  return a == b;
}

// Runs `pack` on sixteen triples at a time and `number` on each one; reports the first lane that differs.
template <class T, class RunPack, class RunNumber>
void compare(const std::vector<std::array<T, 3>>& triples, const char* name, RunPack&& pack, RunNumber&& number) {
  for (std::size_t first = 0; first < triples.size(); first += lanes) {
    T a[lanes], b[lanes], c[lanes], out[lanes];
    for (std::size_t i = 0; i < lanes; ++i) {
      a[i] = triples[first + i][0];
      b[i] = triples[first + i][1];
      c[i] = triples[first + i][2];
    }
    pack(a, b, c, out);
    for (std::size_t i = 0; i < lanes; ++i) {
      const T expected = number(a[i], b[i], c[i]);
      ASSERT_TRUE(same(out[i], expected)) << name << "(" << a[i] << ", " << b[i] << ", " << c[i] << ") in lane " << i
                                          << ": pack " << out[i] << ", number " << expected;
    }
  }
}

class PackOn : public testing::TestWithParam<Isa> {
 protected:
  const IsaCases& cases() const { return isa_cases(GetParam()); }
};

TEST_P(PackOn, FloatOperations) {
  const auto triples = float_triples();
  for (int i = 0; i < static_cast<int>(FloatOperation::count); ++i) {
    const auto operation = static_cast<FloatOperation>(i);
    compare(
        triples, float_operation_names[i],
        [&](const float* a, const float* b, const float* c, float* out) {
          cases().apply_float(operation, a, b, c, out);
        },
        [&](float a, float b, float c) { return apply_float(operation, a, b, c); });
  }
}

TEST_P(PackOn, IntOperations) {
  const auto triples = word_triples<std::int32_t>();
  for (int i = 0; i < static_cast<int>(IntOperation::count); ++i) {
    const auto operation = static_cast<IntOperation>(i);
    compare(
        triples, int_operation_names[i],
        [&](const std::int32_t* a, const std::int32_t* b, const std::int32_t* c, std::int32_t* out) {
          cases().apply_int(operation, a, b, c, out);
        },
        [&](std::int32_t a, std::int32_t b, std::int32_t c) { return apply_int(operation, a, b, c); });
  }
}

TEST_P(PackOn, WordOperations) {
  const auto triples = word_triples<std::uint32_t>();
  for (int i = 0; i < static_cast<int>(WordOperation::count); ++i) {
    const auto operation = static_cast<WordOperation>(i);
    compare(
        triples, word_operation_names[i],
        [&](const std::uint32_t* a, const std::uint32_t* b, const std::uint32_t*, std::uint32_t* out) {
          cases().apply_word(operation, a, b, out);
        },
        [&](std::uint32_t a, std::uint32_t b, std::uint32_t) { return apply_word(operation, a, b); });
  }
  EXPECT_EQ(cases().word_to_int(0xffffffffu), -1);
  EXPECT_EQ(cases().word_to_int(0x80000000u), std::numeric_limits<std::int32_t>::min());
}

// Numbers first, against closed forms, so that the comparison above stands on firm ground.
TEST(PackReference, NumbersDoWhatTheNamesSay) {
  EXPECT_EQ(apply_float(FloatOperation::fused_multiply_add, 1.0f + 0x1p-12f, 1.0f - 0x1p-12f, -1.0f), -0x1p-24f);
  EXPECT_TRUE(same(positive_part(-0.0f), 0.0f));
  EXPECT_TRUE(same(positive_part(not_a_number), 0.0f));
  EXPECT_EQ(positive_part(2.0f), 2.0f);
  EXPECT_EQ(positive_part(-infinity), 0.0f);
  EXPECT_TRUE(same(copy_sign(3.0f, -0.0f), -3.0f));
  EXPECT_TRUE(same(tarn::abs(-0.0f), 0.0f));
  EXPECT_EQ(tarn::select(true, 1.0f, 2.0f), 1.0f);
  EXPECT_EQ(apply_int(IntOperation::shift_right, -32, 0, 0), -1);
  EXPECT_EQ(to_float(16777217), 16777216.0f);
  EXPECT_EQ(to_float(16777219), 16777220.0f);
  std::uint32_t high, low;
  multiply_wide(0xffffffffu, 0xffffffffu, high, low);
  EXPECT_EQ(high, 0xfffffffeu);
  EXPECT_EQ(low, 1u);
}

TEST_P(PackOn, MasksFindEachLane) {
  std::array<float, lanes> a{}, b{};
  b.fill(1.0f);
  EXPECT_FALSE(cases().any_equal(a.data(), b.data()));
  EXPECT_EQ(cases().equal_lanes(a.data(), b.data()), 0u);
  for (std::size_t i = 0; i < lanes; ++i) {
    auto one = b;
    one[i] = 0.0f;
    EXPECT_TRUE(cases().any_equal(a.data(), one.data())) << i;
    EXPECT_EQ(cases().equal_lanes(a.data(), one.data()), 1u << i);
    one.fill(not_a_number);
    EXPECT_FALSE(cases().any_equal(one.data(), one.data()));
  }
  EXPECT_EQ(cases().equal_lanes(a.data(), a.data()), 0xffffu);
}

TEST_P(PackOn, LanesKeepTheirOrder) {
  ASSERT_EQ(cases().pack_lanes, lanes);
  std::array<float, lanes> a;
  for (std::size_t i = 0; i < lanes; ++i) a[i] = static_cast<float>(i) - 7.25f;
  for (int i = 0; i < lanes; ++i) EXPECT_EQ(cases().lane(a.data(), i), a[static_cast<std::size_t>(i)]);
}

TEST_P(PackOn, SumFollowsTheFixedTree) {
  std::mt19937_64 random(13);
  for (int repeat = 0; repeat < 1000; ++repeat) {
    std::array<float, lanes> a;
    for (float& v : a) v = std::ldexp(static_cast<float>(random() >> 40), static_cast<int>(random() % 30) - 15);
    auto v = a;
    for (std::size_t half = 8; half >= 1; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) v[i] += v[i + half];
    }
    ASSERT_TRUE(same(cases().sum(a.data()), v[0]));
  }
}

std::string test_name(const testing::TestParamInfo<Isa>& info) {
  std::string name(name_of(info.param));
  std::erase_if(name, [](char c) { return c == '-'; });
  return name;
}
INSTANTIATE_TEST_SUITE_P(Isas, PackOn, testing::ValuesIn(available_isas()), test_name);

}  // namespace
}  // namespace tarn::test
