// exp, log, tanh, sigmoid and softplus: errors against double on a sample of all floats (math_exhaustive_test takes
// every one), specials, and the same bits from numbers and packs on every instruction set.
#include "tarn/core/math.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "apply_operations.hpp"
#include "isa_cases.hpp"
#include "math_sweep.hpp"

namespace tarn::test {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float smallest = std::numeric_limits<float>::denorm_min();
constexpr float smallest_normal = std::numeric_limits<float>::min();
constexpr float largest = std::numeric_limits<float>::max();

#if defined(__OPTIMIZE__)
constexpr std::uint64_t stride = 257;
#else
constexpr std::uint64_t stride = 257 * 31;
#endif

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }
bool same(float a, float b) { return (a != a && b != b) || bits(a) == bits(b); }

class MathFunctions : public testing::TestWithParam<MathClaim> {};

TEST_P(MathFunctions, SampledFloatsAreWithinTheStatedError) {
  const auto result = sweep(GetParam(), isa_cases(available_isas().back()), 0, std::uint64_t{1} << 32, stride);
  EXPECT_EQ(result.failure, "");
  EXPECT_LE(result.ulp, GetParam().largest_ulp) << "at " << result.ulp_at;
  EXPECT_LE(result.absolute, GetParam().largest_absolute) << "at " << result.absolute_at;
}

TEST_P(MathFunctions, BoundariesAreWithinTheStatedError) {
  SweepResult result;
  for (float x : boundary_floats()) {
    if (x < GetParam().low || x > GetParam().high) continue;
    result.add(x, apply_math(GetParam().function, x), GetParam().reference(static_cast<double>(x)));
  }
  EXPECT_EQ(result.failure, "");
  EXPECT_LE(result.ulp, GetParam().largest_ulp) << "at " << result.ulp_at;
  EXPECT_LE(result.absolute, GetParam().largest_absolute) << "at " << result.absolute_at;
}

INSTANTIATE_TEST_SUITE_P(Functions, MathFunctions, testing::ValuesIn(math_claims()),
                         [](const auto& claim) { return math_function_names[static_cast<int>(claim.param.function)]; });

TEST(MathSpecials, NotANumberGoesThrough) {
  for (float nan :
       {not_a_number, -not_a_number, std::bit_cast<float>(0x7fffffffu), std::bit_cast<float>(0xffc12345u)}) {
    EXPECT_TRUE(std::isnan(math::exp(nan)));
    EXPECT_TRUE(std::isnan(math::log(nan)));
    EXPECT_TRUE(std::isnan(math::tanh(nan)));
    EXPECT_TRUE(std::isnan(math::sigmoid(nan)));
    EXPECT_TRUE(std::isnan(math::softplus(nan)));
    EXPECT_TRUE(std::isnan(math::expm1_negative(nan)));
  }
}

TEST(MathSpecials, Exp) {
  EXPECT_EQ(math::exp(0.0f), 1.0f);
  EXPECT_EQ(math::exp(-0.0f), 1.0f);
  EXPECT_EQ(math::exp(smallest), 1.0f);
  EXPECT_EQ(math::exp(-infinity), 0.0f);
  EXPECT_EQ(math::exp(infinity), infinity);
  EXPECT_EQ(math::exp(largest), infinity);
  EXPECT_EQ(math::exp(-largest), 0.0f);
  EXPECT_EQ(math::exp(88.7228394f), infinity);
  EXPECT_LT(math::exp(88.7228317f), infinity);
  EXPECT_GE(math::exp(-87.3365402f), smallest_normal);
  EXPECT_LT(math::exp(-87.3365479f), smallest_normal);
  EXPECT_EQ(math::exp(-103.972077f), smallest);
  EXPECT_EQ(math::exp(-103.972084f), 0.0f);
}

TEST(MathSpecials, Log) {
  EXPECT_EQ(math::log(1.0f), 0.0f);
  EXPECT_EQ(math::log(0.0f), -infinity);
  EXPECT_EQ(math::log(-0.0f), -infinity);
  EXPECT_EQ(math::log(infinity), infinity);
  EXPECT_TRUE(std::isnan(math::log(-infinity)));
  EXPECT_TRUE(std::isnan(math::log(-smallest)));
  EXPECT_TRUE(std::isnan(math::log(-1.0f)));
  EXPECT_FLOAT_EQ(math::log(smallest), -103.278929f);
  EXPECT_FLOAT_EQ(math::log(largest), 88.7228391f);
}

TEST(MathSpecials, Tanh) {
  EXPECT_TRUE(same(math::tanh(0.0f), 0.0f));
  EXPECT_TRUE(same(math::tanh(-0.0f), -0.0f));
  EXPECT_EQ(math::tanh(infinity), 1.0f);
  EXPECT_EQ(math::tanh(-infinity), -1.0f);
  EXPECT_EQ(math::tanh(20.0f), 1.0f);
  EXPECT_EQ(math::tanh(smallest), smallest);
  EXPECT_EQ(math::tanh(-smallest_normal), -smallest_normal);
}

TEST(MathSpecials, SigmoidAndSoftplus) {
  EXPECT_EQ(math::sigmoid(0.0f), 0.5f);
  EXPECT_EQ(math::sigmoid(-0.0f), 0.5f);
  EXPECT_EQ(math::sigmoid(infinity), 1.0f);
  EXPECT_EQ(math::sigmoid(-infinity), 0.0f);
  EXPECT_FLOAT_EQ(math::softplus(0.0f), 0.693147181f);
  EXPECT_EQ(math::softplus(infinity), infinity);
  EXPECT_EQ(math::softplus(-infinity), 0.0f);
  EXPECT_EQ(math::softplus(1e30f), 1e30f);
  EXPECT_EQ(math::expm1_negative(0.0f), 0.0f);
  EXPECT_EQ(math::expm1_negative(-80.0f), -1.0f);
}

TEST(MathShape, TanhIsOddAndBounded) {
  for (std::uint64_t i = 0; i < (1ull << 31); i += 65537) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(i));
    if (x != x) continue;
    ASSERT_TRUE(same(math::tanh(-x), -math::tanh(x))) << x;
    ASSERT_LE(math::tanh(x), 1.0f) << x;
    ASSERT_LE(math::sigmoid(x), 1.0f) << x;
    ASSERT_GE(math::sigmoid(-x), 0.0f) << x;
    ASSERT_GE(math::softplus(-x), 0.0f) << x;
    ASSERT_GE(math::softplus(x), x) << x;
  }
}

class MathOn : public testing::TestWithParam<Isa> {};

// Numbers in this file, and numbers and packs in the file built for the instruction set: three compilations, one
// result.
TEST_P(MathOn, NumbersAndPacksGiveTheSameBits) {
  const IsaCases& cases = isa_cases(GetParam());
  std::vector<float> floats = boundary_floats();
  for (std::uint64_t i = 0; i < (1ull << 32); i += stride * 15) {
    floats.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(i)));
  }
  while (floats.size() % lanes != 0) floats.push_back(0.5f);
  const auto n = static_cast<std::int64_t>(floats.size());
  std::vector<float> x(floats.size()), by_packs(floats.size()), by_numbers(floats.size());
  for (const MathClaim& claim : math_claims()) {
    const MathFunction function = claim.function;
    const char* name = math_function_names[static_cast<int>(function)];
    std::transform(floats.begin(), floats.end(), x.begin(), [&](float value) { return claim.within(value); });
    cases.math_pack(function, x.data(), by_packs.data(), n);
    cases.math_scalar(function, x.data(), by_numbers.data(), n);
    for (std::size_t k = 0; k < x.size(); ++k) {
      const float expected = apply_math(function, x[k]);
      ASSERT_TRUE(same(by_packs[k], expected))
          << name << "(" << x[k] << "), pack " << by_packs[k] << ", number " << expected;
      ASSERT_TRUE(same(by_numbers[k], expected)) << name << "(" << x[k] << ")";
    }
  }
}

std::string test_name(const testing::TestParamInfo<Isa>& info) {
  std::string name(name_of(info.param));
  std::erase_if(name, [](char c) { return c == '-'; });
  return name;
}
INSTANTIATE_TEST_SUITE_P(Isas, MathOn, testing::ValuesIn(available_isas()), test_name);

}  // namespace
}  // namespace tarn::test
