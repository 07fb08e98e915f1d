// Are the normals standard, independent normals? Seeds are fixed, so a test passes or fails for good; the bounds are
// those that a fresh seed would break with probability at most `family_alarm` over all checks of this file together.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "tarn/core/noise.hpp"

namespace tarn::test {
namespace {

constexpr double family_alarm = 1e-6;
// Union bound: no two-sided check alarms more often than this. Counted in `checks`, which every test adds to.
constexpr int max_checks = 1000;
constexpr double alarm = family_alarm / max_checks;

constexpr int ks_checks = 7, moment_checks = 3 * 8, tail_checks = 6, product_checks = 714, table_checks = 3 * 3 + 6,
              cross_checks = 8 * 3;
static_assert(ks_checks + moment_checks + tail_checks + product_checks + table_checks + cross_checks <= max_checks);

#if defined(__OPTIMIZE__)
constexpr int log2_scale = 0;
#else
constexpr int log2_scale = -3;  // a build for debugging draws fewer; every bound follows from the count
#endif
constexpr std::int64_t scaled(int log2_count) { return std::int64_t{1} << (log2_count + log2_scale); }

/// Standard errors that a normal statistic stays within, but for the alarm level: 6.1.
double z_bound() {
  static const double z = boost::math::quantile(boost::math::complement(boost::math::normal(), alarm / 2));
  return z;
}

/// `[n_steps, n_chains, d]`
struct Draws {
  std::int64_t n_steps, n_chains, d;
  std::vector<float> x;

  Draws(std::int64_t steps, std::int64_t chains, std::int64_t components, std::uint64_t seed = 3407,
        Stream stream = Stream::dynamics)
      : n_steps(steps), n_chains(chains), d(components), x(static_cast<std::size_t>(steps * chains * components)) {
    fill_normals(seed, stream, 100, 1, n_steps, {x.data(), n_steps * n_chains, d});
  }
  float operator()(std::int64_t t, std::int64_t i, std::int64_t j) const {
    return x[static_cast<std::size_t>((t * n_chains + i) * d + j)];
  }
};

double normal_cdf(double x) { return 0.5 * std::erfc(-x * std::numbers::sqrt2 / 2); }

// Largest distance between the empirical and the exact distribution function, against the inequality of Dvoretzky,
// Kiefer, Wolfowitz and Massart, which holds at every n: P(D > e) <= 2 exp(-2 n e^2).
void expect_ks(std::vector<double> uniforms, const char* what) {
  std::sort(uniforms.begin(), uniforms.end());
  const auto n = static_cast<double>(uniforms.size());
  double distance = 0.0;
  for (std::size_t i = 0; i < uniforms.size(); ++i) {
    distance = std::max({distance, std::fabs(uniforms[i] - static_cast<double>(i) / n),
                         std::fabs(uniforms[i] - static_cast<double>(i + 1) / n)});
  }
  EXPECT_LT(distance, std::sqrt(std::log(2 / alarm) / (2 * n))) << what;
}

TEST(NoiseStatistics, KolmogorovSmirnov) {
  for (std::int64_t d : {1, 2, 3, 5, 100}) {
    const Draws draws(64, scaled(20) / 64 / d + 1, d);
    std::vector<double> uniforms;
    for (float v : draws.x) uniforms.push_back(normal_cdf(static_cast<double>(v)));
    expect_ks(std::move(uniforms), "normals");
  }
}

// The polar form of a pair: radius^2 / 2 is exponential, the angle uniform.
TEST(NoiseStatistics, PairsAreRound) {
  const Draws draws(16, scaled(16), 2);
  std::vector<double> radii, angles;
  for (std::size_t i = 0; i < draws.x.size(); i += 2) {
    const auto x = static_cast<double>(draws.x[i]), y = static_cast<double>(draws.x[i + 1]);
    radii.push_back(-std::expm1(-0.5 * (x * x + y * y)));
    angles.push_back(0.5 + std::atan2(y, x) / (2 * std::numbers::pi));
  }
  expect_ks(std::move(radii), "radii");
  expect_ks(std::move(angles), "angles");
}

// The k-th sample moment has mean (k-1)!! (0 for odd k) and variance (m_2k - m_k^2) / n. Cutting the law at 6.66 sigma
// takes 4e-9 of the eighth moment: nothing beside its standard error.
TEST(NoiseStatistics, MomentsToTheEighth) {
  const auto moment = [](int k) {
    double m = k % 2 == 0 ? 1.0 : 0.0;
    for (int i = k - 1; i > 1 && k % 2 == 0; i -= 2) m *= i;
    return m;
  };
  for (std::int64_t d : {1, 2, 3}) {
    const Draws draws(64, scaled(24) / 64 / d, d);
    const auto n = static_cast<double>(draws.x.size());
    std::array<double, 9> sums{};
    for (float v : draws.x) {
      double power = 1.0;
      for (std::size_t k = 1; k <= 8; ++k) {
        power *= static_cast<double>(v);
        sums[k] += power;
      }
    }
    for (int k = 1; k <= 8; ++k) {
      const double deviation = std::sqrt((moment(2 * k) - moment(k) * moment(k)) / n);
      EXPECT_NEAR(sums[static_cast<std::size_t>(k)] / n, moment(k), z_bound() * deviation)
          << "moment " << k << ", D " << d;
    }
  }
}

// Counts beyond 3, 4 and 5 sigma on either side, against exact binomial bounds.
TEST(NoiseStatistics, Tails) {
  const std::int64_t n = scaled(27);
  constexpr std::int64_t n_chains = 1 << 14, tile = 16;
  std::array<std::int64_t, 3> above{}, below{};
  float largest = 0.0f;
  std::vector<float> x(static_cast<std::size_t>(n_chains * tile));
  for (std::int64_t step = 0; step < n / n_chains; step += tile) {
    fill_normals(7, Stream::dynamics, 0, static_cast<std::uint64_t>(step), tile, {x.data(), tile * n_chains, 1});
    for (float v : x) {
      largest = std::max(largest, std::abs(v));
      if (std::abs(v) <= 3.0f) continue;
      for (std::size_t k = 0; k < 3; ++k) {
        above[k] += v > 3.0f + static_cast<float>(k);
        below[k] += v < -3.0f - static_cast<float>(k);
      }
    }
  }
  for (std::size_t k = 0; k < 3; ++k) {
    const double p = normal_cdf(-3.0 - static_cast<double>(k));
    const boost::math::binomial law(static_cast<double>(n), p);
    const double low = boost::math::quantile(law, alarm / 2);
    const double high = boost::math::quantile(boost::math::complement(law, alarm / 2));
    for (std::int64_t count : {above[k], below[k]}) {
      EXPECT_GE(static_cast<double>(count), low) << 3 + k << " sigma";
      EXPECT_LE(static_cast<double>(count), high) << 3 + k << " sigma";
    }
  }
  EXPECT_LT(largest, 6.661f);
}

// Means of products of x, of y = (x^2 - 1)/sqrt 2, and of x with y: all have mean 0 and variance exactly 1/n,
// overlapping pairs included, since the products of distinct pairs are uncorrelated.
struct Products {
  double xx = 0.0, yy = 0.0, xy = 0.0;
  std::int64_t n = 0;
  void add(float a, float b) {
    const auto x0 = static_cast<double>(a), x1 = static_cast<double>(b);
    const double y0 = (x0 * x0 - 1) / std::numbers::sqrt2, y1 = (x1 * x1 - 1) / std::numbers::sqrt2;
    xx += x0 * x1;
    yy += y0 * y1;
    xy += x0 * y1;
    ++n;
  }
  int expect_none(const std::string& what) const {
    const double bound = z_bound() * std::sqrt(static_cast<double>(n));
    EXPECT_LT(std::fabs(xx), bound) << what << ": x with x";
    EXPECT_LT(std::fabs(yy), bound) << what << ": x^2 with x^2";
    EXPECT_LT(std::fabs(xy), bound) << what << ": x with x^2";
    return 3;
  }
};

TEST(NoiseStatistics, IndependentOverChainStepAndComponent) {
  int checks = 0;
  for (std::int64_t d : {1, 2, 3, 8, 20}) {
    const Draws draws(68, scaled(19) / 64 / d, d);
    // lag (steps, chains, components)
    std::vector<std::array<std::int64_t, 3>> lags;
    for (std::int64_t lag : {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33}) lags.push_back({0, lag, 0});
    for (std::int64_t lag : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 32, 64}) lags.push_back({lag, 0, 0});
    for (std::int64_t lag : {1, 2, 3, 4, 5, 7, 8, 16}) {
      if (lag < d) lags.push_back({0, 0, lag});
    }
    for (std::int64_t t : {-4, -3, -2, -1, 1, 2, 3, 4}) {
      lags.push_back({t, 1, 0});
      if (d > 1) lags.push_back({t, 0, 1});
      if (d > 2) lags.push_back({t, 1, 2});
    }
    for (const auto& [dt, di, dj] : lags) {
      Products products;
      const std::int64_t first = std::max<std::int64_t>(0, -dt), last = draws.n_steps - std::max<std::int64_t>(0, dt);
      for (std::int64_t t = first; t < last; ++t) {
        for (std::int64_t i = 0; i + di < draws.n_chains; ++i) {
          for (std::int64_t j = 0; j + dj < d; ++j) products.add(draws(t, i, j), draws(t + dt, i + di, j + dj));
        }
      }
      checks += products.expect_none(fmt::format("D {}, lag {} steps, {} chains, {} components", d, dt, di, dj));
    }
  }
  EXPECT_EQ(checks, product_checks);
}

// Neighbouring seeds and streams share nothing.
TEST(NoiseStatistics, IndependentOverSeedsAndStreams) {
  const Draws one(16, scaled(14), 4);
  const auto expect_independent = [&](const Draws& other, const std::string& what) {
    Products products;
    for (std::size_t i = 0; i < one.x.size(); ++i) products.add(one.x[i], other.x[i]);
    products.expect_none(what);
  };
  for (std::uint64_t seed : {std::uint64_t{3406}, std::uint64_t{3408}, std::uint64_t{3407} | std::uint64_t{1} << 32,
                             std::uint64_t{3407} | std::uint64_t{1} << 63}) {
    expect_independent(Draws(16, one.n_chains, 4, seed), fmt::format("seed {}", seed));
  }
  for (Stream stream : {Stream::dynamics_second, Stream::initial_law, Stream::interneurons, Stream::ancestral}) {
    expect_independent(Draws(16, one.n_chains, 4, 3407, stream), fmt::format("stream {}", static_cast<int>(stream)));
  }
}

/// Counts of pairs over an equiprobable grid, against chi-square on both sides (too even is as wrong as too uneven).
class Table {
 public:
  explicit Table(int cells) : cells_(cells), counts_(static_cast<std::size_t>(cells * cells)) {}
  void add(float a, float b) {
    ++counts_[cell(a) * static_cast<std::size_t>(cells_) + cell(b)];
    ++n_;
  }
  void expect_even(const std::string& what) const {
    const double expected = static_cast<double>(n_) / static_cast<double>(counts_.size());
    double sum = 0.0;
    for (auto count : counts_) sum += (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected);
    const boost::math::chi_squared law(static_cast<double>(counts_.size() - 1));
    EXPECT_LT(sum / expected, boost::math::quantile(boost::math::complement(law, alarm / 2))) << what;
    EXPECT_GT(sum / expected, boost::math::quantile(law, alarm / 2)) << what;
  }

 private:
  std::size_t cell(float x) const {
    return static_cast<std::size_t>(
        std::min(cells_ - 1, static_cast<int>(normal_cdf(static_cast<double>(x)) * cells_)));
  }
  int cells_;
  std::vector<std::int64_t> counts_;
  std::int64_t n_ = 0;
};

TEST(NoiseStatistics, NeighboursFillTheSquareEvenly) {
  for (std::int64_t d : {1, 2, 6}) {
    const Draws draws(64, scaled(21) / 64 / d / 2 * 2, d);
    // disjoint pairs along chains, steps, and components (at D = 1: over both at once)
    Table chains(16), steps(16), components(16);
    for (std::int64_t t = 0; t < draws.n_steps; ++t) {
      for (std::int64_t i = 0; i < draws.n_chains; ++i) {
        for (std::int64_t j = 0; j < d; ++j) {
          if (i % 2 == 0) chains.add(draws(t, i, j), draws(t, i + 1, j));
          if (t % 2 == 0) steps.add(draws(t, i, j), draws(t + 1, i, j));
          if (d > 1 && j % 2 == 0) components.add(draws(t, i, j), draws(t, i, j + 1));
          if (d == 1 && t % 2 == 0 && i % 2 == 0) components.add(draws(t, i, j), draws(t + 1, i + 1, j));
        }
      }
    }
    chains.expect_even(fmt::format("D {}, chains", d));
    steps.expect_even(fmt::format("D {}, steps", d));
    components.expect_even(fmt::format("D {}, components", d));
  }
}

// The four normals of one Philox block, two by two.
TEST(NoiseStatistics, LanesOfABlockFillTheSquareEvenly) {
  const Draws draws(16, scaled(17), 4);
  for (std::int64_t a = 0; a < 4; ++a) {
    for (std::int64_t b = a + 1; b < 4; ++b) {
      Table table(32);
      for (std::size_t i = 0; i < draws.x.size(); i += 4) {
        table.add(draws.x[i + static_cast<std::size_t>(a)], draws.x[i + static_cast<std::size_t>(b)]);
      }
      table.expect_even(fmt::format("lanes {} and {}", a, b));
    }
  }
}

}  // namespace
}  // namespace tarn::test
