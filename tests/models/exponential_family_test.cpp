// The families in double: densities integrate to 1, derivatives are difference quotients, moments are those of quadrature, draws
// follow the density, spectral gaps are the known ones.
#include "tarn/models/exponential_family.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "family_cases.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn::test {
namespace {

class Families : public testing::TestWithParam<FamilyCase> {
 protected:
  ExponentialFamily family{GetParam().family, GetParam().parameters};
};

TEST_P(Families, TheLogPartitionAndMomentsAreThoseOfQuadrature) {
  for (const double eta : GetParam().etas) {
    const Panels panels(family, eta);
    EXPECT_NEAR(family.log_partition(eta), panels.log_partition(), 1e-9 * (1 + std::fabs(panels.log_partition())))
        << eta;
    const double mean = panels.expectation([&](double x) { return family.statistic(x); });
    const double variance = panels.expectation([&](double x) { return std::pow(family.statistic(x) - mean, 2.0); });
    EXPECT_NEAR(family.mean_statistic(eta), mean, 1e-9 * (std::fabs(mean) + std::sqrt(variance))) << eta;
    EXPECT_NEAR(family.variance(eta), variance, 1e-8 * variance) << eta;
    EXPECT_NEAR(family.log_density(0.3, eta),
                eta * family.statistic(0.3) + family.log_base(0.3) - family.log_partition(eta),
                1e-12 * (1 + std::fabs(family.log_partition(eta))));
  }
}

TEST_P(Families, MeanAndVarianceAreDerivativesOfTheLogPartition) {
  for (const double eta : GetParam().etas) {
    const double h = 1e-4 * std::min({1.0, std::fabs(family.range().high - eta), std::fabs(family.range().low - eta)});
    const double up = family.log_partition(eta + h), at = family.log_partition(eta),
                 down = family.log_partition(eta - h);
    const double scale = std::sqrt(family.variance(eta));
    EXPECT_NEAR((up - down) / (2 * h), family.mean_statistic(eta),
                1e-5 * (scale + std::fabs(family.mean_statistic(eta))))
        << eta;
    EXPECT_NEAR((family.mean_statistic(eta + h) - family.mean_statistic(eta - h)) / (2 * h), family.variance(eta),
                1e-5 * family.variance(eta))
        << eta;
    EXPECT_GE(up + down - 2 * at, -1e-12 * std::fabs(at)) << "A is convex; eta " << eta;
  }
}

TEST_P(Families, DerivativesAreDifferenceQuotients) {
  constexpr double h = 1e-6;
  for (double x = std::max(family.least() + 2 * h, -6.0); x < 6.0; x += 0.0771) {
    EXPECT_NEAR((family.statistic(x + h) - family.statistic(x - h)) / (2 * h), family.statistic_derivative(x),
                1e-6 * (1 + std::fabs(family.statistic_derivative(x))))
        << x;
    EXPECT_NEAR((family.log_base(x + h) - family.log_base(x - h)) / (2 * h), family.log_base_derivative(x),
                1e-6 * (1 + std::fabs(family.log_base_derivative(x))))
        << x;
  }
  for (double a = -8.0; a < 8.0; a += 0.0771) {
    EXPECT_NEAR((family.link(a + h) - family.link(a - h)) / (2 * h), family.link_derivative(a), 1e-7) << a;
    EXPECT_GT(family.link(a), family.range().low) << a;
    EXPECT_LT(family.link(a), family.range().high) << a;
  }
}

// Kolmogorov-Smirnov against the distribution function by quadrature, by the inequality of Dvoretzky, Kiefer, Wolfowitz and Massart:
// P(D > e) <= 2 exp(-2 n e^2). False-alarm level 1e-6 for all comparisons of this test together.
TEST_P(Families, DrawsFollowTheDensity) {
#if defined(__OPTIMIZE__)
  constexpr int n = 40000;
#else
  constexpr int n = 4000;
#endif
  constexpr int comparisons = 100;
  for (std::size_t k = 0; k < GetParam().etas.size(); ++k) {
    const double eta = GetParam().etas[k];
    std::vector<double> draws(n);
    std::int64_t words = 0;
    for (int i = 0; i < n; ++i) {
      WordSequence source(3407, stream_of_layer(Stream::ancestral, 0), static_cast<std::uint64_t>(i), k,
                          ExponentialFamily::words_per_draw, 0);
      draws[static_cast<std::size_t>(i)] = family.draw(eta, source);
      words += source.taken();
    }
    EXPECT_LT(static_cast<double>(words) / n, 17.0) << "words a draw at eta " << eta;
    std::sort(draws.begin(), draws.end());
    const std::vector<double> exact = Panels(family, eta).distribution(draws);
    double distance = 0.0;
    for (int i = 0; i < n; ++i) {
      const double below = exact[static_cast<std::size_t>(i)];
      distance = std::max(
          {distance, std::fabs(below - static_cast<double>(i) / n), std::fabs(below - static_cast<double>(i + 1) / n)});
    }
    EXPECT_LT(distance, std::sqrt(std::log(2.0 * comparisons / 1e-6) / (2.0 * n))) << eta;
    EXPECT_GE(draws.front(), family.least());
  }
}

TEST_P(Families, EtaOutOfRangeIsRefused) {
  const EtaRange range = family.range();
  if (std::isfinite(range.low)) {
    EXPECT_THROW(family.log_partition(range.low), Error);
    EXPECT_THROW(family.mean_statistic(range.low - 1.0), Error);
    EXPECT_THROW(family.spectral_gap(range.low), Error);
  }
  EXPECT_THROW(family.variance(std::nan("")), Error);
}

INSTANTIATE_TEST_SUITE_P(All, Families, testing::ValuesIn(family_cases()), [](const auto& c) { return c.param.name; });

double gap(Family family, double eta, const FamilyParameters& parameters = {}) {
  return ExponentialFamily(family, parameters).spectral_gap(eta);
}

TEST(SpectralGaps, AreTheKnownOnes) {
  EXPECT_DOUBLE_EQ(gap(Family::gaussian, 3.0, {0.3, 4.0, 0.1, 1.0}), 1.0 / 0.09);
  EXPECT_DOUBLE_EQ(gap(Family::gaussian_scale, 0.7), 0.7);
  // a narrow peak: the continuous spectrum from (lambda - |eta|)^2/4 on
  EXPECT_NEAR(gap(Family::laplace, 0.0), 4.0, 1e-12);
  EXPECT_NEAR(gap(Family::laplace, 3.0), 0.25, 1e-12);
  EXPECT_NEAR(gap(Family::laplace, -3.6), 0.04, 1e-12);
  EXPECT_NEAR(gap(Family::laplace_scale, 1.0), 0.25, 1e-12);
  // reflected Ornstein-Uhlenbeck: the even Hermite functions at eta = 0, the odd ones that vanish in slope at eta = -s
  EXPECT_NEAR(gap(Family::rectified, 0.0), 2.0, 1e-4);
  EXPECT_NEAR(gap(Family::rectified, 0.0, {2.0, 4.0, 0.1, 1.0}), 0.5, 1e-4);
  EXPECT_NEAR(gap(Family::rectified, -1.0), 3.0, 1e-4);
  EXPECT_NEAR(gap(Family::rectified, 12.0), 1.0, 1e-4);
  EXPECT_NEAR(gap(Family::quartic, 0.0), 0.792, 5e-4);
  EXPECT_NEAR(gap(Family::quartic, 0.0, {1.0, 4.0, 0.1, 3.0}), 0.1306, 5e-5);
  EXPECT_NEAR(gap(Family::quartic, 0.0, {1.0, 4.0, 0.1, -30.0}), 30.1, 0.05);  // nearly Ornstein-Uhlenbeck
}

// A wide peak is nearly a Gaussian of precision lambda/d at eta = 0, slower than the edge of the continuous spectrum.
TEST(SpectralGaps, AWidePeakIsSlowerThanTheContinuousSpectrum) {
  const double wide = gap(Family::laplace, 0.0, {1.0, 4.0, 10.0, 1.0});
  EXPECT_LT(wide, 0.4);
  EXPECT_GT(wide, 0.36);
  EXPECT_LT(gap(Family::laplace, 0.0, {1.0, 4.0, 1.0, 1.0}), 3.0);
}

}  // namespace
}  // namespace tarn::test
