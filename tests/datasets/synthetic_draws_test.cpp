// Draws: their addresses, the same bits everywhere, and their laws. Statistical checks use n = 100000 draws of fixed
// seed; each is set to fail by chance with probability below 1e-7, about 60 checks in all.
#include <algorithm>
#include <array>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/quadrature/gauss.hpp>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <numbers>

#include "target_checks.hpp"
#include "tarn/core/isa.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/data/synthetic.hpp"

namespace tarn {
namespace {

constexpr std::uint64_t seed = 20240611;
constexpr std::int64_t n_draws = 100000;

std::vector<std::unique_ptr<Target>> all_targets() {
  std::vector<std::unique_ptr<Target>> all;
  const auto add = [&](auto target) { all.push_back(std::make_unique<decltype(target)>(std::move(target))); };
  const std::vector<MixtureComponent> line = {MixtureComponent::isotropic(0.2, {-1.0}, 0.5),
                                              MixtureComponent::isotropic(0.5, {1.0}, 0.3),
                                              MixtureComponent::isotropic(0.3, {4.0}, 1.0)};
  const std::vector<MixtureComponent> plane = {{0.3, {0.5, -1.0}, {1.0, 0.6, 0.6, 0.8}},
                                               {0.7, {-1.5, 0.7}, {0.3, -0.1, -0.1, 0.5}}};
  std::vector<double> covariance(49);
  for (int i = 0; i < 49; ++i) covariance[i] = (i % 8 == 0 ? 0.5 + i : 0.0) + 0.2;
  const std::vector<MixtureComponent> seven = {{0.4, std::vector<double>(7, 1.0), covariance},
                                               MixtureComponent::isotropic(0.6, std::vector<double>(7, -2.0), 2.0)};
  for (const auto& parts : {line, plane, seven}) {
    add(GaussianMixture(parts));
    add(LaplaceMixture(parts));
  }
  add(GaussianMixture({MixtureComponent::isotropic(1.0, std::vector<double>(300, 0.5), 1.5)}));
  add(RingTarget(2.0, 0.3));
  add(TwoMoonsTarget(0.15));
  add(CheckerboardTarget(4, 2.0));
  add(CheckerboardTarget(3, 1.0));
  return all;
}

Matrix<float> draws(const Target& target, std::int64_t n = n_draws, std::uint64_t first = 0) {
  Matrix<float> x(n, target.dimension());
  target.draw(seed, first, x);
  return x;
}

TEST(Draws, ArePureFunctionsOfTheirNumber) {
  for (const auto& target : all_targets()) {
    const std::int64_t n = 600, first = (std::int64_t{1} << 32) - 300;  // across a carry
    const auto whole = draws(*target, n, first);
    for (const std::int64_t piece : {1, 16, 33, 257}) {
      Matrix<float> parts(n, target->dimension());
      for (std::int64_t i = 0; i < n; i += piece) {
        target->draw(seed, first + i, parts.view().slice(i, std::min(i + piece, n)));
      }
      EXPECT_EQ(parts, whole) << target->name() << " in pieces of " << piece;
    }
    EXPECT_NE(draws(*target, n, first + 1), whole) << target->name();
    Matrix<float> other(n, target->dimension());
    target->draw(seed + 1, first, other);
    EXPECT_NE(other, whole) << target->name();
    Matrix<float> narrow(4, target->dimension() + 1);
    EXPECT_THROW(target->draw(seed, 0, narrow), Error);
    Matrix<float> few(4, target->dimension());
    EXPECT_THROW(target->draw(seed, max_chains - 3, few), Error);
  }
}

TEST(Draws, SameBitsOnEveryInstructionSet) {
  const auto best = current_isa();
  for (const auto& target : all_targets()) {
    use_isa(std::string(name_of(Isa::baseline)));
    const auto expected = draws(*target, 403);
    for (const auto isa : available_isas()) {
      use_isa(std::string(name_of(isa)));
      const auto x = draws(*target, 403);
      EXPECT_EQ(std::memcmp(x.data(), expected.data(), sizeof(float) * static_cast<std::size_t>(x.size())), 0)
          << target->name() << " on " << name_of(isa);
    }
    use_isa(std::string(name_of(best)));
  }
}

TEST(Draws, LayoutOfOneDimensionalMixture) {
  // Normal at component 0, choice at component 2, as core/noise gives them.
  const GaussianMixture target(
      {MixtureComponent::isotropic(0.25, {-1.0}, 0.5), MixtureComponent::isotropic(0.75, {1.0}, 0.25)});
  const std::int64_t n = 500, first = 77;
  Matrix<float> normals(n, 3);
  Matrix<std::uint32_t> words(n, 3);
  fill_normals(seed, Stream::synthetic_data, first, 0, 1, normals);
  fill_words(seed, Stream::synthetic_data, first, 0, 1, words);
  const auto x = draws(target, n, first);
  for (std::int64_t i = 0; i < n; ++i) {
    const bool second = words(i, 2) >= 0x40000000u;
    EXPECT_EQ(x(i, 0), second ? 1.0f + 0.25f * normals(i, 0) : -1.0f + 0.5f * normals(i, 0));
  }
}

TEST(Draws, LayoutOfLaplaceMixtureInThreeDimensions) {
  // Normals 0 to 2, the partner of normal 2 unused, choice 4, exponential variable 5.
  const LaplaceMixture target({MixtureComponent::isotropic(1.0, {0.0, 0.0, 0.0}, 1.0)});
  const std::int64_t n = 500;
  Matrix<float> normals(n, 6);
  Matrix<std::uint32_t> words(n, 6);
  fill_normals(seed, Stream::synthetic_data, 0, 0, 1, normals);
  fill_words(seed, Stream::synthetic_data, 0, 0, 1, words);
  const auto x = draws(target, n);
  for (std::int64_t i = 0; i < n; ++i) {
    const double root = std::sqrt(-std::log(uniform_from_word(words(i, 5))));
    for (int k = 0; k < 3; ++k) EXPECT_NEAR(x(i, k), root * normals(i, k), 2e-6 * (1 + std::abs(x(i, k))));
  }
}

// Kolmogorov's statistic sqrt(n) sup |F_n - F|; above 3.1 with probability below 1e-8.
double kolmogorov(std::vector<double> values, const std::function<double(double)>& cdf) {
  std::ranges::sort(values);
  const auto n = static_cast<double>(values.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double f = cdf(values[i]), below = static_cast<double>(i) / n;
    largest = std::max({largest, f - below, below + 1 / n - f});
  }
  return std::sqrt(n) * largest;
}

double normal_cdf(double u) { return 0.5 * std::erfc(-u / std::numbers::sqrt2); }
double laplace_cdf(double x, double deviation) {
  const double tail = 0.5 * std::exp(-std::abs(x) * std::numbers::sqrt2 / deviation);
  return x < 0 ? tail : 1 - tail;
}

TEST(Draws, KolmogorovOnTheLine) {
  const auto all = all_targets();
  const double weights[3] = {0.2, 0.5, 0.3}, means[3] = {-1, 1, 4}, deviations[3] = {0.5, 0.3, 1.0};
  for (const std::size_t which : {0u, 1u}) {
    const auto x = draws(*all[which]);
    const auto cdf = [&](double at) {
      double sum = 0.0;
      for (int k = 0; k < 3; ++k) {
        sum += weights[k] *
               (which == 0 ? normal_cdf((at - means[k]) / deviations[k]) : laplace_cdf(at - means[k], deviations[k]));
      }
      return sum;
    };
    EXPECT_LT(kolmogorov({x.data(), x.data() + n_draws}, cdf), 3.1) << all[which]->name();
  }
}

TEST(Draws, RingRadiusAndAngle) {
  const auto x = draws(RingTarget(2.0, 0.3));
  std::vector<double> radius, angle, early;
  for (std::int64_t i = 0; i < n_draws; ++i) {
    radius.push_back(std::hypot(x(i, 0), x(i, 1)));
    angle.push_back(std::atan2(x(i, 1), x(i, 0)));
    if (radius.back() < 2.0) early.push_back(angle.back());  // independent of the radius
  }
  const auto uniform = [](double t) { return 0.5 + t / (2 * std::numbers::pi); };
  EXPECT_LT(kolmogorov(radius, [](double r) { return normal_cdf((r - 2) / 0.3); }), 3.1);
  EXPECT_LT(kolmogorov(angle, uniform), 3.1);
  EXPECT_LT(kolmogorov(early, uniform), 3.1);
}

TEST(Draws, MomentsWithinFiveAndAHalfErrors) {
  // 5.5 standard errors: false alarm 4e-8 a check.
  for (const auto& target : all_targets()) {
    const std::int64_t count = target->dimension() > 100 ? 2000 : n_draws;
    const auto x = draws(*target, count);
    const auto mean = target->mean();
    double square_sum = 0.0, fourth_sum = 0.0;
    std::vector<double> sum(mean.size()), sum_square(mean.size());
    for (std::int64_t i = 0; i < count; ++i) {
      double square = 0.0;
      for (std::size_t d = 0; d < mean.size(); ++d) {
        const double deviation = x(i, static_cast<std::int64_t>(d)) - mean[d];
        sum[d] += deviation;
        sum_square[d] += deviation * deviation;
        square += deviation * deviation;
      }
      square_sum += square;
      fourth_sum += square * square;
    }
    const auto n = static_cast<double>(count);
    for (std::size_t d = 0; d < std::min<std::size_t>(mean.size(), 3); ++d) {
      EXPECT_LT(std::abs(sum[d] / n), 5.5 * std::sqrt(sum_square[d]) / n) << target->name() << " coordinate " << d;
    }
    const double variance = square_sum / n, error = std::sqrt((fourth_sum / n - variance * variance) / n);
    EXPECT_LT(std::abs(variance - target->total_variance()), 5.5 * error) << target->name() << mean.size();
  }
}

TEST(Draws, CovarianceInSevenDimensions) {
  const auto all = all_targets();
  for (const std::size_t which : {4u, 5u}) {
    const auto& target = dynamic_cast<const MixtureTarget&>(*all[which]);
    const auto x = draws(target);
    const auto mean = target.mean();
    for (int a = 0; a < 7; ++a) {
      for (int b = 0; b <= a; b += 3) {
        double expected = 0.0, sum = 0.0, square = 0.0;
        for (const auto& c : target.components()) {
          expected += c.weight * (c.covariance[a * 7 + b] + (c.mean[a] - mean[a]) * (c.mean[b] - mean[b]));
        }
        for (std::int64_t i = 0; i < n_draws; ++i) {
          const double product = (x(i, a) - mean[a]) * (x(i, b) - mean[b]);
          sum += product;
          square += product * product;
        }
        EXPECT_LT(std::abs(sum / n_draws - expected), 5.5 * std::sqrt(square) / n_draws) << a << b;
      }
    }
  }
}

// Chance of a chi-square statistic at least as large, for counts in bins of [-half, half]^2 and outside of it.
double chi_square_chance(const Target& target, double half, const std::function<double(double, double)>& density,
                         int splits = 1) {
  constexpr int bins = 12;
  const double width = 2 * half / bins;
  std::vector<double> observed(bins * bins + 1), expected(bins * bins + 1);
  const auto x = draws(target);
  for (std::int64_t i = 0; i < n_draws; ++i) {
    const double a = std::floor((x(i, 0) + half) / width), b = std::floor((x(i, 1) + half) / width);
    const bool inside = a >= 0 && a < bins && b >= 0 && b < bins;
    observed[inside ? static_cast<std::size_t>(a * bins + b) : bins * bins] += 1;
  }
  using Gauss = boost::math::quadrature::gauss<double, 7>;
  double rest = n_draws;
  for (int a = 0; a < bins; ++a) {
    for (int b = 0; b < bins; ++b) {
      double mass = 0.0;
      const double part = width / splits;
      for (int k = 0; k < splits * splits; ++k) {
        const double left = -half + a * width + k / splits * part, low = -half + b * width + k % splits * part;
        mass += Gauss::integrate(
            [&](double u) { return Gauss::integrate([&](double v) { return density(u, v); }, low, low + part); }, left,
            left + part);
      }
      expected[a * bins + b] = mass * n_draws;
      rest -= mass * n_draws;
    }
  }
  expected.back() = rest;
  double statistic = 0.0, small_observed = 0.0, small_expected = 0.0;
  int count = -1;
  for (std::size_t k = 0; k < expected.size(); ++k) {
    if (expected[k] < 20) {
      small_observed += observed[k];
      small_expected += expected[k];
      continue;
    }
    statistic += std::pow(observed[k] - expected[k], 2) / expected[k];
    ++count;
  }
  if (small_expected > 5) {
    statistic += std::pow(small_observed - small_expected, 2) / small_expected;
    ++count;
  } else {
    EXPECT_LT(small_observed, 40);
  }
  return boost::math::cdf(boost::math::complement(boost::math::chi_squared(count), statistic));
}

TEST(Draws, ChiSquareInThePlane) {
  const auto of = [](const Target& target) {
    return [&target](double u, double v) {
      const double x[2] = {u, v};
      return std::exp(target.log_density(x, 0.0));
    };
  };
  const auto all = all_targets();
  EXPECT_GT(chi_square_chance(*all[2], 4.0, of(*all[2])), 1e-8);
  // The density has a logarithmic peak: bin corners lie on it, so that no node does, and bins are integrated in parts.
  const LaplaceMixture cross({{0.5, {0, 0}, {1, 0.9, 0.9, 1}}, {0.5, {0, 0}, {1, -0.9, -0.9, 1}}});
  EXPECT_GT(chi_square_chance(cross, 6.0, of(cross), 8), 1e-8);
  const RingTarget ring(2.0, 0.3);
  EXPECT_GT(chi_square_chance(ring, 3.0, of(ring)), 1e-8);
  const TwoMoonsTarget moons(0.15);
  EXPECT_GT(chi_square_chance(moons, 2.5, of(moons)), 1e-8);
  // 12 bins are 4 cells of 3 and 3 of 4.
  const CheckerboardTarget board(4, 2.0), odd(3, 1.0);
  const auto cell = [](double u, double half, double width) {
    return static_cast<int>(std::floor((u + half) / width));
  };
  EXPECT_GT(
      chi_square_chance(board, 2.0,
                        [&](double u, double v) { return (cell(u, 2, 1) + cell(v, 2, 1)) % 2 == 0 ? 1.0 / 8 : 0.0; }),
      1e-8);
  EXPECT_GT(chi_square_chance(odd, 1.0,
                              [&](double u, double v) {
                                return (cell(u, 1, 2.0 / 3) + cell(v, 1, 2.0 / 3)) % 2 == 0 ? 1.0 / (5 * 4.0 / 9) : 0.0;
                              }),
            1e-8);
}

TEST(Draws, CheckerboardNeverLeavesItsCells) {
  for (const std::int64_t cells : {1, 3, 4}) {
    const CheckerboardTarget target(cells, 1.5);
    const auto x = draws(target);
    const double width = 3.0 / static_cast<double>(cells);
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < n_draws; ++i) {
      ASSERT_LE(std::abs(x(i, 0)), 1.5f);
      ASSERT_LE(std::abs(x(i, 1)), 1.5f);
      wrong += (static_cast<int>((x(i, 0) + 1.5) / width) + static_cast<int>((x(i, 1) + 1.5) / width)) % 2;
    }
    EXPECT_LE(wrong, 2);  // a place within half a float of an edge may round onto it
  }
}

}  // namespace
}  // namespace tarn
