#include "tarn/evaluation/calibration.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tarn/core/error.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// Transforms under N(0, 1) of draws of N(shift, width^2).
std::vector<double> transforms(std::int64_t n, double width, double shift, std::uint64_t which) {
  Matrix<float> z(n, 1);
  fill_normals(90 + which, Stream::evaluation, 0, 0, 1, z.view());
  std::vector<double> result;
  for (std::int64_t i = 0; i < n; ++i) result.push_back(normal_cdf(shift + width * z(i, 0)));
  return result;
}

TEST(Calibration, ExactDrawsLeaveTheBandAsOftenAsStated) {
  // Massart's band is conservative at small n and exact in the limit: 400 sets of 300 draws leave it 20 times in the mean; 4.5 deviations
  // of a binomial count (4.4) to either side, false alarm 7e-6
  int left = 0;
  for (std::uint64_t k = 0; k < 400; ++k) left += calibration(transforms(300, 1.0, 0.0, k)).calibrated ? 0 : 1;
  EXPECT_GE(left, 1);
  EXPECT_LE(left, 40);
}

TEST(Calibration, NarrowWideAndShiftedDrawsAreSeenForWhatTheyAre) {
  constexpr std::int64_t n = 5000;
  const Calibration narrow = calibration(transforms(n, 0.7, 0.0, 500)),
                    wide = calibration(transforms(n, 1.4, 0.0, 501)),
                    shifted = calibration(transforms(n, 1.0, 0.3, 502));
  for (const Calibration* c : {&narrow, &wide, &shifted}) EXPECT_FALSE(c->calibrated);
  // the share of N(0, w^2) within the central half of N(0, 1), |x| < 0.6745; deviation 0.007: 5 of them
  const std::size_t half = 20;
  ASSERT_DOUBLE_EQ(narrow.expected[half], 0.5);
  EXPECT_NEAR(narrow.observed[half], 2.0 * normal_cdf(0.6744898 / 0.7) - 1.0, 0.035);
  EXPECT_NEAR(wide.observed[half], 2.0 * normal_cdf(0.6744898 / 1.4) - 1.0, 0.035);
  // a hill, and a U
  EXPECT_GT(narrow.histogram[10], 1.2);
  EXPECT_LT(narrow.histogram[0], 0.3);
  EXPECT_LT(wide.histogram[10], 0.85);
  EXPECT_GT(wide.histogram[0], 2.0);
  EXPECT_GT(shifted.histogram[19], 1.5 * shifted.histogram[0]);
}

TEST(Calibration, SmallCasesByHand) {
  const Calibration one = calibration(std::vector<double>{0.75}, 4, 2, 0.05);  // |2 F - 1| = 0.5
  EXPECT_EQ(one.observed, (std::vector<double>{0.0, 0.0, 1.0, 1.0, 1.0}));
  EXPECT_DOUBLE_EQ(one.largest_gap, 0.5);
  EXPECT_DOUBLE_EQ(one.band, std::sqrt(std::log(40.0) / 2.0));
  EXPECT_TRUE(one.calibrated) << "one draw says nothing";
  EXPECT_EQ(one.histogram, (std::vector<double>{0.0, 2.0}));
  const Calibration ends = calibration(std::vector<double>{0.0, 1.0}, 2, 2, 0.05);
  EXPECT_DOUBLE_EQ(ends.largest_gap, 1.0);
  EXPECT_EQ(ends.histogram, (std::vector<double>{1.0, 1.0}));
}

TEST(Calibration, TransformsThatAreNotFiniteAreCounted) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Calibration c = calibration(std::vector<double>{nan, 0.5, nan});
  EXPECT_EQ(c.n, 1);
  EXPECT_EQ(c.n_not_finite, 2);
  const Calibration none = calibration(std::vector<double>{nan});
  EXPECT_EQ(none.n, 0);
  EXPECT_TRUE(std::isnan(none.largest_gap));
  EXPECT_FALSE(none.calibrated);
  EXPECT_THROW(calibration(std::vector<double>{1.5}), Error);
  EXPECT_THROW(calibration(std::vector<double>{0.5}, 0), Error);
  EXPECT_THROW(calibration(std::vector<double>{0.5}, 10, 10, 1.0), Error);
}

}  // namespace
}  // namespace tarn
