#include "tarn/sampling/live_diagnostics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "host_watch.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/evaluation/convergence.hpp"

namespace tarn {
namespace {

constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

// Chains `[n_chains, n_looks]` of one output, in tiles, as an engine would have them looked at.
LiveSums watched(const Matrix<float>& draws, std::int64_t tile = 1 << 20, int n_threads = 1,
                 std::int64_t chains_a_law = 0) {
  WatchPlan plan;
  plan.n_outputs = 1;
  plan.chains_a_law = chains_a_law;
  LiveSums sums(plan, draws.rows(), 1);
  for (std::int64_t begin = 0; begin < draws.rows(); begin += tile) {
    const std::int64_t n = std::min(tile, draws.rows() - begin);
    HostWatch watch(plan, n, 1, nullptr);
    Matrix<float> x(n, 1);
    for (std::int64_t t = 0; t < draws.cols(); ++t) {
      for (std::int64_t i = 0; i < n; ++i) x(i, 0) = draws(begin + i, t);
      watch.observe(x.view(), n_threads);
    }
    sums.add_tile(watch.state());
  }
  return sums;
}
LiveDiagnostics diagnostics_of(const Matrix<float>& draws) { return watched(draws).diagnostics(); }

// x_{t+1} = a x_t + sqrt(1 - a^2) noise from its stationary law N(0, 1).
Matrix<float> autoregression(std::int64_t n_chains, std::int64_t n_looks, double a, std::uint64_t seed) {
  Matrix<float> x(n_chains, n_looks);
  fill_normals(seed, Stream::evaluation, 0, 0, 1, x);
  for (std::int64_t i = 0; i < n_chains; ++i) {
    for (std::int64_t t = 1; t < n_looks; ++t)
      x(i, t) = static_cast<float>(a * static_cast<double>(x(i, t - 1)) +
                                   std::sqrt(1.0 - a * a) * static_cast<double>(x(i, t)));
  }
  return x;
}

struct Sample {
  double n = 0.0, mean = 0.0, variance = 0.0;
};
Sample sample_of(const std::vector<double>& x) {
  Sample s;
  s.n = static_cast<double>(x.size());
  s.mean = std::accumulate(x.begin(), x.end(), 0.0) / s.n;
  for (const double v : x) s.variance += (v - s.mean) * (v - s.mean) / (s.n - 1.0);
  return s;
}
std::vector<double> part(const Matrix<float>& x, std::int64_t chain, std::int64_t begin, std::int64_t n) {
  return {x.row(chain) + begin, x.row(chain) + begin + n};
}

// Two passes over stored draws, batches as the clock has them: what the sums must say.
void expect_as_from_stored_draws(const Matrix<float>& x) {
  const std::int64_t C = x.rows(), T = x.cols();
  SCOPED_TRACE(testing::Message() << C << " chains, " << T << " looks");
  WatchClock clock;
  for (std::int64_t t = 0; t < T; ++t) clock.advance();
  ASSERT_EQ(clock.n_batches * clock.batch_length + clock.in_batch, T);
  const LiveQuantity live = diagnostics_of(x).quantities.at(0);
  const Sample all = sample_of({x.data(), x.data() + x.size()});
  EXPECT_NEAR(live.mean, all.mean, 1e-12);
  if (C * T > 1) {
    EXPECT_NEAR(live.deviation, std::sqrt(all.variance), 1e-12 * std::sqrt(all.variance));
  }
  if (C >= 4) {
    EXPECT_NEAR(live.nested_r_hat, nested_r_hat(x.view(), std::min<std::int64_t>(16, C / 2)), 1e-11);
  }
  if (T < 4) {
    EXPECT_TRUE(std::isnan(live.r_hat) && std::isnan(live.ess) && std::isnan(live.mcse));
    return;
  }
  const std::int64_t full = clock.n_batches * clock.batch_length, half = clock.n_batches / 2 * clock.batch_length;
  std::vector<double> half_means, batch_means, whole_means;
  double within = 0.0;
  for (std::int64_t i = 0; i < C; ++i) {
    for (const std::int64_t begin : {std::int64_t{0}, full - half}) {
      const Sample s = sample_of(part(x, i, begin, half));
      half_means.push_back(s.mean);
      within += s.variance / static_cast<double>(2 * C);
    }
    whole_means.push_back(sample_of(part(x, i, 0, full)).mean);
    for (std::int64_t b = 0; b < clock.n_batches; ++b)
      batch_means.push_back(sample_of(part(x, i, b * clock.batch_length, clock.batch_length)).mean);
  }
  const auto n = static_cast<double>(half);
  const double r_hat = std::sqrt(sample_of(half_means).variance / within + (n - 1.0) / n);
  EXPECT_NEAR(live.r_hat, r_hat, 1e-11 * r_hat);
  const bool whole = C >= 64, halves = !whole && 2 * C >= 64;
  const double length = static_cast<double>(whole ? full : halves ? half : clock.batch_length);
  const double of_means = sample_of(whole ? whole_means : halves ? half_means : batch_means).variance;
  const double looks = static_cast<double>(C * T);
  const double ess = std::min(looks * all.variance / (length * of_means), looks * std::log10(looks));
  if (!whole && !halves && clock.batch_length < 8) {
    EXPECT_TRUE(std::isnan(live.ess) && std::isnan(live.mcse));
  } else {
    EXPECT_NEAR(live.ess, ess, 1e-10 * ess);
    EXPECT_NEAR(live.mcse, std::sqrt(all.variance / ess), 1e-10);
  }
  for (int j = 0; j < WatchState::n_lags; ++j) {
    const std::int64_t lag = WatchState::lags[j];
    if (lag >= T) {
      EXPECT_TRUE(std::isnan(live.autocorrelation[j]));
      continue;
    }
    double square = 0.0;
    for (std::int64_t i = 0; i < C; ++i) {
      for (std::int64_t t = lag; t < T; ++t) {
        const double apart = static_cast<double>(x(i, t)) - static_cast<double>(x(i, t - lag));
        square += apart * apart;
      }
    }
    EXPECT_NEAR(live.autocorrelation[j], 1.0 - square / static_cast<double>(2 * C * (T - lag)) / all.variance, 1e-11);
  }
}

TEST(LiveDiagnosticsTest, SumsSayWhatStoredDrawsWould) {
  for (const std::int64_t T : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100, 250})
    for (const std::int64_t C : {1, 2, 5, 40, 80}) expect_as_from_stored_draws(autoregression(C, T, 0.7, 3));
}

TEST(LiveDiagnosticsTest, AMeanFarFromZeroCostsNoDigits) {
  Matrix<float> x = autoregression(6, 96, 0.5, 4);
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] += 4096.0f;
  expect_as_from_stored_draws(x);
}

// In multiples of 1/1024, so that any language has the same numbers: x <- floor(1024 (0.7 x + e + 0.1 chain)) / 1024, e the sum of four 16-bit
// uniforms from a linear congruence, less 2.
Matrix<float> exact_chains(std::int64_t n_chains, std::int64_t n_draws) {
  Matrix<float> out(n_chains, n_draws);
  std::uint32_t s = 12345;
  for (std::int64_t c = 0; c < n_chains; ++c) {
    double x = 0.0;
    for (std::int64_t t = 0; t < n_draws; ++t) {
      double u = 0.0;
      for (int k = 0; k < 4; ++k) {
        s = 1664525u * s + 1013904223u;
        u += s >> 16;
      }
      x = std::floor((0.7 * x + (u - 131070.0) / 65536.0 + 0.1 * static_cast<double>(c)) * 1024.0) / 1024.0;
      out(c, t) = static_cast<float>(x);
    }
  }
  return out;
}

struct Reference {
  std::int64_t n_chains, n_draws;
  double mean, deviation, r_hat;
};
// ArviZ 0.23.4 in float64: mean, standard deviation (divisor n - 1), az.rhat(x, method="split"). The lengths are even numbers of full batches.
constexpr Reference arviz[] = {{4, 64, 0.5632362365722656, 0.867906934465776, 1.1603743967600688},
                               {3, 40, 0.41275227864583336, 0.7492903495795018, 1.149351654117369},
                               {80, 16, 11.223915100097656, 7.24518221435471, 2.9403998485386245}};

TEST(LiveDiagnosticsTest, AgreesWithArvizOnStoredDraws) {
  for (const Reference& r : arviz) {
    const LiveQuantity q = diagnostics_of(exact_chains(r.n_chains, r.n_draws)).quantities.at(0);
    EXPECT_NEAR(q.mean, r.mean, 1e-12);
    EXPECT_NEAR(q.deviation, r.deviation, 1e-12);
    EXPECT_NEAR(q.r_hat, r.r_hat, 1e-12);
  }
  // az.ess(x, method="mean") of two chains of 1000 draws is 252.0, by Geyer's sequence; by batch means the same within its own error.
  const double ess = diagnostics_of(exact_chains(2, 1000)).quantities.at(0).ess;
  EXPECT_NEAR(ess, 252.0, 5.0 * std::sqrt(2.0 / 30.0) * 252.0);
}

// An autoregression has 1 + 2 sum a^k = (1 + a) / (1 - a) looks for each effective one; relative error of the ESS sqrt(2 / chains).
// Nine checks at five standard errors: a false alarm once in 10^5 seeds.
TEST(LiveDiagnosticsTest, EffectiveLooksOfAnAutoregression) {
  constexpr std::int64_t C = 4000, T = 512;
  for (const double a : {0.0, 0.5, 0.9}) {
    const LiveDiagnostics d = diagnostics_of(autoregression(C, T, a, 11));
    const LiveQuantity& q = d.quantities.at(0);
    // the mean of T looks: (1 + a) / (1 - a) less the part that the ends cut off
    const double time = (1.0 + a) / (1.0 - a) - 2.0 * a * (1.0 - std::pow(a, T)) / (T * (1.0 - a) * (1.0 - a));
    const double expected = static_cast<double>(C * T) / time;
    EXPECT_NEAR(q.ess, expected, 5.0 * std::sqrt(2.0 / C) * expected) << a;
    EXPECT_NEAR(q.mean, 0.0, 5.0 / std::sqrt(expected)) << a;
    EXPECT_NEAR(q.autocorrelation[3], std::pow(a, 8), 5.0 * std::sqrt(2.0 * time / static_cast<double>(C * T)) + 1e-3)
        << a;
    EXPECT_LT(q.r_hat, 1.0 + 2.0 * time / T) << a;
    EXPECT_LT(q.nested_r_hat, 1.0 + 2.0 / (C / 16)) << a;
    EXPECT_EQ(d.n_stuck + d.n_duplicate + d.n_lost, 0);
  }
}

TEST(LiveDiagnosticsTest, QuantilesOfANormalLaw) {
  const LiveQuantity q = diagnostics_of(autoregression(2000, 64, 0.0, 12)).quantities.at(0);
  const double exact[] = {-1.6448536, -0.6744898, 0.0, 0.6744898, 1.6448536};
  const double density[] = {0.1031, 0.3178, 0.3989, 0.3178, 0.1031};
  for (int k = 0; k < 5; ++k) {
    const double p = live_probabilities[k], error = std::sqrt(p * (1.0 - p) / 128000.0) / density[k];
    EXPECT_NEAR(q.quantiles[k], exact[k], 5.0 * error + std::fabs(exact[k]) / 256.0) << p;
  }
  EXPECT_NEAR(q.below_zero, 0.5, 5.0 * 0.5 / std::sqrt(128000.0));
}

TEST(LiveDiagnosticsTest, QuantilesAreWithinABinOfTheOrderedValues) {
  Matrix<float> x(1, 1001);
  for (std::int64_t i = 0; i < x.size(); ++i)
    x.data()[i] = std::ldexp(static_cast<float>((i * 389) % 1001 - 500) / 7.0f, static_cast<int>(i % 5));
  std::vector<float> sorted(x.data(), x.data() + x.size());
  std::ranges::sort(sorted);
  const LiveQuantity q = diagnostics_of(x).quantities.at(0);
  for (int k = 0; k < 5; ++k) {
    const auto rank = static_cast<std::size_t>(std::ceil(live_probabilities[k] * 1001.0)) - 1;
    EXPECT_NEAR(q.quantiles[k], sorted[rank], std::fabs(sorted[rank]) / 128.0f + 1e-38f) << live_probabilities[k];
  }
}

TEST(LiveDiagnosticsTest, AConstantChainHasNoEffectiveLooks) {
  Matrix<float> x(3, 40);
  std::fill_n(x.data(), x.size(), 1.25f);
  LiveDiagnostics d = diagnostics_of(x);
  EXPECT_EQ(d.n_stuck, 3);
  EXPECT_EQ(d.first_stuck, 0);
  EXPECT_EQ(d.quantities[0].ess, 0.0);
  EXPECT_EQ(d.quantities[0].deviation, 0.0);
  EXPECT_TRUE(std::isnan(d.quantities[0].r_hat) && std::isnan(d.quantities[0].mcse));
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(i / 40);  // each at a place of its own
  d = diagnostics_of(x);
  EXPECT_EQ(d.n_stuck, 3);
  EXPECT_EQ(d.n_duplicate, 0);
  EXPECT_EQ(d.quantities[0].ess, 0.0);
  EXPECT_EQ(d.quantities[0].r_hat, std::numeric_limits<double>::infinity());
}

TEST(LiveDiagnosticsTest, AChainThatStopsIsNamed) {
  Matrix<float> x = autoregression(70, 40, 0.0, 13);
  const double before = diagnostics_of(x).quantities[0].ess;
  for (std::int64_t t = 37; t < 40; ++t) x(23, t) = x(23, 36);
  const LiveDiagnostics d = diagnostics_of(x);
  EXPECT_EQ(d.n_stuck, 1);
  EXPECT_EQ(d.first_stuck, 23);
  EXPECT_LT(d.quantities[0].ess, before * 1.05);
  x(23, 39) += 1.0f;  // and goes on
  EXPECT_EQ(diagnostics_of(x).n_stuck, 0);
}

TEST(LiveDiagnosticsTest, CopiesAreFlaggedAndBringNothing) {
  const Matrix<float> one = autoregression(70, 64, 0.5, 14);
  Matrix<float> x(140, 64);
  for (std::int64_t i = 0; i < 140; ++i) std::copy_n(one.row(i / 2), 64, x.row(i));
  const LiveDiagnostics d = diagnostics_of(x), alone = diagnostics_of(one);
  EXPECT_EQ(d.n_duplicate, 70);
  EXPECT_EQ(d.first_duplicate, 1);
  EXPECT_EQ(d.twin_of_first, 0);
  EXPECT_EQ(alone.n_duplicate, 0);
  EXPECT_NEAR(d.quantities[0].ess, alone.quantities[0].ess, 0.02 * alone.quantities[0].ess);
  // Chains that came together are copies from then on; that they were others before does not hide it.
  Matrix<float> late = one;
  std::copy_n(one.row(9) + 61, 3, late.row(40) + 61);
  const LiveDiagnostics joined = diagnostics_of(late);
  EXPECT_EQ(joined.n_duplicate, 1);
  EXPECT_EQ(joined.first_duplicate, 40);
  EXPECT_EQ(joined.twin_of_first, 9);
  late(40, 62) += 1.0f;  // two common places in three looks: chance
  EXPECT_EQ(diagnostics_of(late).n_duplicate, 0);
}

TEST(LiveDiagnosticsTest, NanIsNeverAveragedAway) {
  const Matrix<float> well = autoregression(70, 48, 0.5, 15);
  for (const std::int64_t since : {0, 20, 47}) {
    Matrix<float> x(71, 48);
    std::copy_n(well.data(), well.size(), x.data());
    std::copy_n(well.row(3), 48, x.row(70));
    for (std::int64_t t = since; t < 48; ++t) x(70, t) = since == 20 ? INFINITY : quiet_nan;
    const LiveDiagnostics d = diagnostics_of(x), expected = diagnostics_of(well);
    EXPECT_EQ(d.n_lost, 1) << since;
    EXPECT_EQ(d.n_duplicate + d.n_stuck, 0) << since;
    EXPECT_EQ(d.quantities[0].mean, expected.quantities[0].mean) << since;
    EXPECT_EQ(d.quantities[0].deviation, expected.quantities[0].deviation);
    EXPECT_EQ(d.quantities[0].r_hat, expected.quantities[0].r_hat);
    EXPECT_EQ(d.quantities[0].ess, expected.quantities[0].ess);
  }
  Matrix<float> none(3, 20);
  std::fill_n(none.data(), none.size(), quiet_nan);
  const LiveDiagnostics d = diagnostics_of(none);
  EXPECT_EQ(d.n_lost, 3);
  const LiveQuantity& q = d.quantities[0];
  for (const double value : {q.mean, q.deviation, q.r_hat, q.nested_r_hat, q.ess, q.mcse, q.quantiles[2], q.below_zero})
    EXPECT_TRUE(std::isnan(value));
}

TEST(LiveDiagnosticsTest, OneDrawAChainWorks) {
  const Matrix<float> x = autoregression(640, 1, 0.0, 16);
  const LiveDiagnostics d = diagnostics_of(x);
  EXPECT_NEAR(d.quantities[0].nested_r_hat, nested_r_hat(x.view(), 16), 1e-12);
  EXPECT_LT(d.quantities[0].nested_r_hat, 1.06);
  EXPECT_TRUE(std::isnan(d.worst_r_hat()));
  EXPECT_EQ(d.n_stuck + d.n_duplicate, 0);  // on a line one common place says nothing
  Matrix<float> apart = x;
  for (std::int64_t i = 0; i < 320; ++i) apart(i, 0) += 3.0f;
  EXPECT_GT(diagnostics_of(apart).quantities[0].nested_r_hat, 1.5);
}

TEST(LiveDiagnosticsTest, TilesAndThreadsChangeNoBit) {
  Matrix<float> x = autoregression(1300, 37, 0.8, 17);
  x(700, 12) = quiet_nan;
  for (std::int64_t t = 12; t < 37; ++t) x(700, t) = quiet_nan;
  const std::vector<double> whole = watched(x).pack();
  for (const std::int64_t tile : {1, 7, 640, 1299}) EXPECT_EQ(watched(x, tile).pack(), whole) << tile;
  for (const int threads : {2, 5}) EXPECT_EQ(watched(x, 1 << 20, threads).pack(), whole) << threads;
}

// Means of pieces about the mean of their law: sum of squares, and degrees of freedom.
struct WithinLaws {
  double squares = 0.0, degrees = 0.0;
  void add(const std::vector<double>& of_a_law) {
    const Sample s = sample_of(of_a_law);
    if (s.n > 1.0) squares += s.variance * (s.n - 1.0);
    degrees += s.n - 1.0;
  }
  double variance() const { return squares / degrees; }
};

// Neighbours that sample a law of their own each, far from one another: what is said of a law must not see how far.
TEST(LiveDiagnosticsTest, ChainsOfSeveralLawsAreComparedWithinThem) {
  constexpr std::int64_t T = 64, half = T / 2;
  for (const auto& [laws, each] : {std::pair<std::int64_t, std::int64_t>{70, 1}, {40, 2}, {25, 4}, {6, 3}}) {
    SCOPED_TRACE(testing::Message() << laws << " laws of " << each << " chains");
    Matrix<float> x = autoregression(laws * each, T, 0.6, 21);
    for (std::int64_t i = 0; i < x.rows(); ++i) {
      for (std::int64_t t = 0; t < T; ++t) x(i, t) += static_cast<float>(16 * (i / each));
    }
    const LiveSums sums = watched(x, 1 << 20, 1, each);
    const LiveQuantity live = sums.diagnostics().quantities[0];
    for (const std::int64_t tile : {1, 3, 7}) EXPECT_EQ(watched(x, tile, 1, each).pack(), sums.pack()) << tile;

    WithinLaws looks, wholes, halves, batches;
    double inside = 0.0;
    for (std::int64_t k = 0; k < laws; ++k) {
      std::vector<double> all, whole_means, half_means, batch_means;
      for (std::int64_t i = k * each; i < (k + 1) * each; ++i) {
        all.insert(all.end(), x.row(i), x.row(i) + T);
        whole_means.push_back(sample_of(part(x, i, 0, T)).mean);
        for (const std::int64_t begin : {std::int64_t{0}, half}) {
          const Sample s = sample_of(part(x, i, begin, half));
          half_means.push_back(s.mean);
          inside += s.variance / static_cast<double>(2 * laws * each);
        }
        for (std::int64_t b = 0; b < T; b += 8) batch_means.push_back(sample_of(part(x, i, b, 8)).mean);
      }
      looks.add(all);
      wholes.add(whole_means);
      halves.add(half_means);
      batches.add(batch_means);
    }
    EXPECT_NEAR(live.mean, sample_of({x.data(), x.data() + x.size()}).mean, 1e-9);
    EXPECT_NEAR(live.deviation, std::sqrt(looks.variance()), 1e-9);
    const double r_hat = std::sqrt(halves.variance() / inside + (half - 1.0) / half);
    EXPECT_NEAR(live.r_hat, r_hat, 1e-9);
    EXPECT_LT(live.r_hat, 1.1);
    EXPECT_TRUE(std::isnan(live.nested_r_hat));
    // of one law, in the mean: the longest pieces of which there are 64, counting what their laws' means take
    const bool whole = wholes.degrees >= 63.0, is_half = !whole && halves.degrees >= 63.0;
    const double length = whole ? T : is_half ? half : 8.0;
    const double of_means = (whole ? wholes : is_half ? halves : batches).variance();
    const double ess = static_cast<double>(each * T) * looks.variance() / (length * of_means);
    EXPECT_NEAR(live.ess, ess, 1e-8 * ess);
    EXPECT_NEAR(live.mcse, std::sqrt(looks.variance() / ess), 1e-8);
    // x_t = 0.6 x_(t-1) + ..., 25 ESS in 100 looks for long chains; the estimate is good to 20 %, so five of them here
    EXPECT_NEAR(live.ess / static_cast<double>(each * T), 0.25, 0.25);
    EXPECT_GT(diagnostics_of(x).quantities[0].r_hat, 5.0);  // taken for chains of one law
  }
}

// A law that loses all its chains is one fewer; that the last law is cut short does not matter.
TEST(LiveDiagnosticsTest, ALostLawIsNotCounted) {
  Matrix<float> x = autoregression(75, 64, 0.5, 22), rest(73, 64);
  for (const std::int64_t i : {6, 7}) std::fill_n(x.row(i), 64, quiet_nan);
  for (std::int64_t i = 0, to = 0; i < 75; ++i) {
    if (i != 6 && i != 7) std::copy_n(x.row(i), 64, rest.row(to++));
  }
  const LiveQuantity a = watched(x, 5, 1, 2).diagnostics().quantities[0],
                     b = watched(rest, 5, 1, 2).diagnostics().quantities[0];
  EXPECT_EQ(a.r_hat, b.r_hat);
  EXPECT_EQ(a.ess, b.ess);
  EXPECT_EQ(a.deviation, b.deviation);
}

TEST(LiveDiagnosticsTest, SumsAreStoredAndComeBack) {
  const Matrix<float> x = autoregression(80, 37, 0.8, 18);
  WatchPlan plan;
  plan.n_outputs = 1;
  const LiveSums sums = watched(x);
  LiveSums back(plan, 80, 1);
  back.unpack(sums.pack());
  EXPECT_EQ(back.pack(), sums.pack());
  EXPECT_EQ(back.diagnostics().quantities[0].ess, sums.diagnostics().quantities[0].ess);
  LiveSums other(plan, 79, 1);
  EXPECT_THROW(other.unpack(sums.pack()), Error);
  // within a law
  plan.chains_a_law = 4;
  LiveSums first(plan, 80, 1), second(plan, 80, 1);
  const auto tile = [&](LiveSums& to, std::int64_t begin, std::int64_t n) {
    HostWatch watch(plan, n, 1, nullptr);
    Matrix<float> looks(n, 1);
    for (std::int64_t t = 0; t < 37; ++t) {
      for (std::int64_t i = 0; i < n; ++i) looks(i, 0) = x(begin + i, t);
      watch.observe(looks.view(), 1);
    }
    to.add_tile(watch.state());
  };
  tile(first, 0, 30);
  second.unpack(first.pack());
  tile(second, 30, 50);
  EXPECT_EQ(second.pack(), watched(x, 80, 1, 4).pack());
  std::vector<double> damaged = sums.pack();
  damaged.pop_back();
  EXPECT_THROW(back.unpack(damaged), Error);
  EXPECT_THROW(back.unpack({}), Error);
}

// Two outputs, |x|^2 and two modes.
TEST(LiveDiagnosticsTest, ModesAndTheNormAreWatched) {
  WatchPlan plan;
  plan.n_outputs = 2;
  plan.centers = Matrix<float>(2, 3);
  for (std::int64_t d = 0; d < 3; ++d) {
    plan.centers(0, d) = -1.0f;
    plan.centers(1, d) = 1.0f;
  }
  HostWatch watch(plan, 4, 3, nullptr);
  Matrix<float> x(4, 3);
  double norms = 0.0;
  for (std::int64_t t = 0; t < 10; ++t) {
    for (std::int64_t i = 0; i < 4; ++i) {
      const bool right = i == 0 || (i == 1 && t >= 5) || (i == 2 && t % 2 == 0);
      for (std::int64_t d = 0; d < 3; ++d)
        x(i, d) = (right ? 1.0f : -1.0f) * (1.0f + 0.125f * static_cast<float>(t + d));
      for (std::int64_t d = 0; d < 3; ++d) norms += static_cast<double>(x(i, d) * x(i, d)) / 40.0;
    }
    if (t == 9) x(3, 2) = quiet_nan;  // lost: no mode has it
    watch.observe(x.view(), 1);
  }
  LiveSums sums(plan, 4, 3);
  sums.add_tile(watch.state());
  const LiveDiagnostics d = sums.diagnostics();
  ASSERT_EQ(d.quantities.size(), 3u);
  EXPECT_DOUBLE_EQ(d.mode_shares.at(0), 19.0 / 39.0);
  EXPECT_DOUBLE_EQ(d.mode_shares.at(1), 20.0 / 39.0);
  EXPECT_DOUBLE_EQ(d.mode_changes, 10.0 / 39.0);
  EXPECT_EQ(d.n_lost, 1);
  EXPECT_NEAR(d.quantities[2].mean, norms * 4.0 / 4.0, 1e-6 * norms);  // all chains have one course of |x|
}

TEST(LiveDiagnosticsTest, AStateOfAnotherShapeIsRefused) {
  WatchPlan plan;
  plan.n_outputs = 1;
  const WatchState state(plan, 5, 2);
  EXPECT_THROW(HostWatch(plan, 6, 2, &state), Error);
  WatchState damaged = state;
  damaged.recent.pop_back();
  EXPECT_THROW(HostWatch(plan, 5, 2, &damaged), Error);
  damaged = state;
  damaged.clock.n_batches = 16;
  EXPECT_THROW(HostWatch(plan, 5, 2, &damaged), Error);
  plan.n_outputs = 3;
  EXPECT_THROW(HostWatch(plan, 5, 2, nullptr), Error);
}

}  // namespace
}  // namespace tarn
