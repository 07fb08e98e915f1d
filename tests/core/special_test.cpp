// The ratio of Bessel functions and the mean of a truncated normal law against double, over all positive (and negative) floats.
#include "tarn/core/special.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <boost/math/special_functions/bessel.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

#include "math_sweep.hpp"

namespace tarn::test {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
#if defined(__OPTIMIZE__)
constexpr std::uint32_t stride = 9973;
#else
constexpr std::uint32_t stride = 9973 * 31;
#endif

double exact_bessel_ratio(double z) {
  if (z > 500.0) {  // where K itself leaves the doubles; the next term is 63/(128 z^4)
    const double t = 1.0 / z;
    return 1.0 - 0.5 * t + 0.375 * t * t - 0.375 * t * t * t;
  }
  return boost::math::cyl_bessel_k(0, z) / boost::math::cyl_bessel_k(1, z);
}

double exact_truncated_mean(double z) {
  if (z > -4.0)
    return z + std::exp(-0.5 * z * z) / (std::sqrt(std::numbers::pi / 2) * std::erfc(-z / std::numbers::sqrt2));
  double fraction = 0.0;  // y + 1/(y + 2/(y + 3/(y + ...))) at y = -z, without the leading y
  for (int k = 400; k >= 1; --k) fraction = k / (-z + fraction);
  return fraction;
}

TEST(BesselRatio, IsWithinTheStatedErrorOverAllPositiveFloats) {
  SweepResult sweep;
  const auto try_one = [&](float z) {
    sweep.add(z, math::bessel_ratio(z), exact_bessel_ratio(static_cast<double>(z)));
  };
  for (std::uint32_t bits = 0x00800000u; bits < 0x7f800000u; bits += stride) try_one(std::bit_cast<float>(bits));
  for (float z = 0.01f; z < 40.0f; z *= 1.0003f) try_one(z);
  for (float z = 0.99999f; z < 1.00001f; z = std::nextafter(z, 2.0f)) try_one(z);
  EXPECT_EQ(sweep.failure, "");
  EXPECT_LE(sweep.ulp, 5.0) << "at " << sweep.ulp_at;
}

TEST(BesselRatio, GrowsFromNoughtToOne) {
  EXPECT_EQ(math::bessel_ratio(0.0f), 0.0f);
  EXPECT_EQ(math::bessel_ratio(infinity), 1.0f);
  EXPECT_EQ(math::bessel_ratio(3e38f), 1.0f);
  EXPECT_TRUE(std::isnan(math::bessel_ratio(std::numeric_limits<float>::quiet_NaN())));
}

// The recurrence K_2 = K_0 + (2/z) K_1 is what A' of the smoothed Laplace law uses.
TEST(BesselRatio, GivesTheNextRatioByTheRecurrence) {
  for (double z = 0.01; z < 300.0; z *= 1.37) {
    const double next = boost::math::cyl_bessel_k(2, z) / boost::math::cyl_bessel_k(1, z);
    EXPECT_NEAR(math::bessel_ratio(static_cast<float>(z)) + 2.0 / z, next, 4e-7 * next) << z;
  }
}

TEST(TruncatedNormalMean, IsWithinTheStatedErrorOverAllFloats) {
  SweepResult sweep;
  const auto try_one = [&](float z) {
    sweep.add(z, math::truncated_normal_mean(z), exact_truncated_mean(static_cast<double>(z)));
  };
  for (std::uint32_t bits = 0x00800000u; bits < 0x7f800000u; bits += stride) {
    const auto z = std::bit_cast<float>(bits);
    try_one(z);
    if (z < 1e37f) try_one(-z);  // beyond, the result is below the normal floats
  }
  for (float z = -40.0f; z < 40.0f; z += 0.0007f) try_one(z);
  EXPECT_EQ(sweep.failure, "");
  EXPECT_LE(sweep.ulp, 5.0) << "at " << sweep.ulp_at;
}

TEST(TruncatedNormalMean, Specials) {
  EXPECT_FLOAT_EQ(math::truncated_normal_mean(0.0f), std::sqrt(2.0f * std::numbers::inv_pi_v<float>));
  EXPECT_EQ(math::truncated_normal_mean(infinity), infinity);
  EXPECT_EQ(math::truncated_normal_mean(-infinity), 0.0f);
  EXPECT_TRUE(std::isnan(math::truncated_normal_mean(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace tarn::test
