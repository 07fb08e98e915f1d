#include "tarn/evaluation/resampling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/evaluation/kernel_distances.hpp"
#include "tarn/evaluation/nearest_neighbours.hpp"

namespace tarn {
namespace {

Matrix<float> normals(std::int64_t n, std::int64_t D, std::uint64_t chain, float shift = 0.0f) {
  Matrix<float> x(n, D);
  fill_normals(11, Stream::synthetic_data, chain, 0, 1, x.view());
  for (std::int64_t i = 0; i < n; ++i) x(i, 0) += shift;
  return x;
}

TEST(Resampling, FiniteRowsAreKeptAndTheOthersCounted) {
  Matrix<float> x(4, 2);
  for (std::int64_t i = 0; i < 8; ++i) x.data()[i] = static_cast<float>(i);
  x(1, 0) = std::numeric_limits<float>::quiet_NaN();
  x(3, 1) = std::numeric_limits<float>::infinity();
  const FiniteRows finite = finite_rows(x);
  EXPECT_EQ(finite.n_not_finite, 2);
  ASSERT_EQ(finite.rows.rows(), 2);
  EXPECT_EQ(finite.rows(1, 1), 5.0f);
}

TEST(Resampling, SubsetsAreRandomAndWithoutRepeats) {
  const auto subset = random_subset(300, 1000, 1, 2, 3);
  EXPECT_EQ(std::set<std::int64_t>(subset.begin(), subset.end()).size(), 300u);
  EXPECT_EQ(subset, random_subset(300, 1000, 1, 2, 3));
  EXPECT_NE(subset, random_subset(300, 1000, 1, 2, 4));
  EXPECT_NE(subset, random_subset(300, 1000, 1, 3, 3));
  // each row is as likely as any: in 2000 subsets of half of 20 rows a row's count is 1000 +- 22; 20 checks at 6 sigma, 4e-8
  std::vector<int> count(20, 0);
  for (std::uint64_t r = 0; r < 2000; ++r) {
    for (const auto i : random_subset(10, 20, 5, 0, r)) ++count[static_cast<std::size_t>(i)];
  }
  for (const int c : count) EXPECT_NEAR(c, 1000, 134);
  EXPECT_THROW(random_subset(4, 3, 0, 0, 0), Error);
}

// The mean: sigma / sqrt(n) is known, so the interval's half width is 1.96 sigma / sqrt(n). With 2000 resamples the ends are good to 4 %.
TEST(Resampling, SpreadOfAMeanIsTheStandardError) {
  for (const std::int64_t n : {400, 401, 5}) {
    const Matrix<float> x = normals(n, 1, 0);
    double mean = 0.0, square = 0.0;
    for (std::int64_t i = 0; i < n; ++i) mean += x(i, 0) / static_cast<double>(n);
    for (std::int64_t i = 0; i < n; ++i) square += (x(i, 0) - mean) * (x(i, 0) - mean);
    const double error = std::sqrt(square / static_cast<double>(n - 1) / static_cast<double>(n));
    const std::int64_t sizes[] = {n};
    const Interval interval = half_sample_intervals({mean}, sizes, 3, 0, 2000, [&](const HalfSample& half) {
      double sum = 0.0;
      for (const auto i : half[0]) sum += x(i, 0);
      return std::vector{sum / static_cast<double>(half[0].size())};
    })[0];
    if (n > 5) {
      EXPECT_NEAR(interval.high - interval.low, 2.0 * 1.96 * error, 0.12 * 2.0 * 1.96 * error) << n;
    } else {  // ten different half-samples only
      EXPECT_GT(interval.high - interval.low, error);
      EXPECT_LT(interval.high - interval.low, 5.0 * error);
    }
    EXPECT_LT(interval.low, mean);
    EXPECT_GT(interval.high, mean);
  }
}

// Of 200 intervals for the energy distance, coverage and precision of shifted Gaussians 95 % should hold the expected value. Fewer
// than 174 or all of them has a probability below 1e-5 each at a true level of 0.95.
TEST(Resampling, IntervalsCover) {
  constexpr int n_trials = 200;
  constexpr std::int64_t n = 80;
  const double s = std::sqrt(2.0), mu = 1.0;
  const double cross = s * std::sqrt(2.0 / M_PI) * std::exp(-mu * mu / (2.0 * s * s)) + mu * std::erf(mu / (s * s));
  const double exact = 2.0 * cross - 2.0 * 2.0 / std::sqrt(M_PI);
  std::vector<Interval> energy, coverage;
  double mean_energy = 0.0, mean_coverage = 0.0;
  for (int t = 0; t < n_trials; ++t) {
    const auto chain = static_cast<std::uint64_t>(t) * 2 * n;
    const PairDistances d = squared_distances(normals(n, 1, chain, 1.0f), normals(n, 1, chain + n));
    const auto statistics = [](const PairDistances& p) {
      return std::vector{energy_distance(p), neighbour_shares(p, 3).coverage};
    };
    const std::int64_t sizes[] = {n, n};
    const auto found =
        half_sample_intervals(statistics(d), sizes, static_cast<std::uint64_t>(t), 0, 200,
                              [&](const HalfSample& half) { return statistics(d.subset(half[0], half[1])); });
    energy.push_back(found[0]);
    coverage.push_back(found[1]);
    mean_energy += found[0].value / n_trials;
    mean_coverage += found[1].value / n_trials;
  }
  EXPECT_NEAR(mean_energy, exact, 0.05) << "standard error 0.01";
  const auto share = [](const std::vector<Interval>& intervals, double truth) {
    return std::count_if(intervals.begin(), intervals.end(),
                         [&](const Interval& i) { return i.low <= truth && truth <= i.high; });
  };
  EXPECT_GE(share(energy, exact), 174);
  EXPECT_LT(share(energy, exact), 200);
  EXPECT_GE(share(coverage, mean_coverage), 174);
  EXPECT_LT(share(coverage, mean_coverage), 200);
}

TEST(Resampling, TooLittleGivesNoInterval) {
  const std::int64_t three[] = {3}, many[] = {100};
  const auto one = [](const HalfSample&) { return std::vector{1.0}; };
  const Interval few = half_sample_intervals({1.0}, three, 0, 0, 10, one)[0];
  EXPECT_EQ(few.value, 1.0);
  EXPECT_TRUE(std::isnan(few.low) && std::isnan(few.high));
  const auto nan = [](const HalfSample&) { return std::vector{std::numeric_limits<double>::quiet_NaN()}; };
  EXPECT_TRUE(std::isnan(half_sample_intervals({1.0}, many, 0, 0, 10, nan)[0].low));
  const Interval constant = half_sample_intervals({1.0}, many, 0, 0, 10, one)[0];
  EXPECT_EQ(constant.low, 1.0);
  EXPECT_EQ(constant.high, 1.0);
  EXPECT_THROW(half_sample_intervals({1.0}, many, 0, 0, 1, one), Error);
}

}  // namespace
}  // namespace tarn
