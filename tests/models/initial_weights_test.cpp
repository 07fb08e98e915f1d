#include "tarn/models/initial_weights.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "models/networks.hpp"
#include "tarn/core/activations.hpp"

namespace tarn {
namespace {

constexpr std::uint64_t seed = 3407;

SamplingNetwork reservoir(std::int64_t D, std::int64_t U, std::int64_t N, const InitialGains& gains = {}) {
  return initial_network(ModelKind::reservoir_sampler, Nonlinearity::relu, D, U, N, seed, gains);
}

/// Values uniform in `+-bound`: Kolmogorov-Smirnov distance below 1.95 / sqrt(n), which a true uniform exceeds once in
/// 1000. Nine such checks in this file: false alarm at most 0.9 %, and the seed is fixed.
void expect_uniform(const Matrix<float>& values, double bound, const char* what) {
  std::vector<double> sorted(values.data(), values.data() + values.size());
  std::sort(sorted.begin(), sorted.end());
  const auto n = static_cast<double>(sorted.size());
  double distance = 0.0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    ASSERT_LE(std::abs(sorted[i]), bound * (1.0 + 1e-7)) << what;
    const double u = 0.5 * (sorted[i] / bound + 1.0), k = static_cast<double>(i);
    distance = std::max({distance, u - k / n, (k + 1.0) / n - u});
  }
  EXPECT_LT(distance, 1.95 / std::sqrt(n)) << what;
}

TEST(InitialWeights, EachLayerIsUniformWithinOneOverRootFanIn) {
  const SamplingNetwork network = reservoir(3, 2, 5000);
  network.validate();
  expect_uniform(network.W_in, 1.0 / std::sqrt(5.0), "W_in");
  expect_uniform(network.b, 1.0 / std::sqrt(5.0), "b");
  expect_uniform(network.W_out, 1.0 / std::sqrt(5000.0), "W_out");
}

TEST(InitialWeights, GainsMultiplyTheirOwnArrayOnly) {
  const SamplingNetwork network = reservoir(4, 0, 3000, {.input = 6.0, .bias = 3.0});
  expect_uniform(network.W_in, 6.0 / 2.0, "W_in");
  expect_uniform(network.b, 3.0 / 2.0, "b");
  expect_uniform(network.W_out, 1.0 / std::sqrt(3000.0), "W_out");
  EXPECT_EQ(network.W_out, reservoir(4, 0, 3000).W_out);
}

TEST(InitialWeights, SamplerOnlyStartsWithPlainLeak) {
  for (const ModelKind kind : {ModelKind::sampler_only_sc, ModelKind::sampler_only_fr}) {
    const SamplingNetwork network = initial_network(kind, Nonlinearity::tanh, 40, 0, 40, seed);
    network.validate();
    expect_uniform(network.W_in, 1.0 / std::sqrt(40.0), "W");
    for (std::int64_t i = 0; i < 40; ++i) {
      EXPECT_EQ(network.gamma(0, i), 1.0f);
      for (std::int64_t j = 0; j < 40; ++j) EXPECT_EQ(network.S(i, j), i == j ? 1.0f : 0.0f);
    }
  }
}

// Words of a step of one size would run into those of another: with D + U > N and with N > D + U, no value may stand
// twice.
TEST(InitialWeights, NoWordServesTwice) {
  for (const auto& [D, N] : {std::pair<std::int64_t, std::int64_t>{60, 7}, {3, 200}, {1, 9}}) {
    const SamplingNetwork network = reservoir(D, 0, N);
    // back to the uniforms, so that arrays with other bounds compare
    std::multiset<std::int64_t> seen;
    const auto add = [&](const Matrix<float>& values, double bound) {
      for (std::int64_t i = 0; i < values.size(); ++i) seen.insert(std::llround(values.data()[i] / bound * 0x1p22));
    };
    add(network.W_in, 1.0 / std::sqrt(static_cast<double>(D)));
    add(network.b, 1.0 / std::sqrt(static_cast<double>(D)));
    add(network.W_out, 1.0 / std::sqrt(static_cast<double>(N)));
    const std::set<std::int64_t> distinct(seen.begin(), seen.end());
    // By chance n values of 2^23 meet n^2 / 2^24 times: at most 0.06 here; one shared row would be 3 or more.
    EXPECT_LE(seen.size() - distinct.size(), 1u) << D << " " << N;
  }
}

TEST(InitialWeights, DependOnSeedAloneAndAddingNeuronsKeepsTheOthers) {
  const SamplingNetwork small = reservoir(3, 1, 50), large = reservoir(3, 1, 60);
  for (std::int64_t i = 0; i < 50; ++i) {
    for (std::int64_t k = 0; k < 4; ++k) EXPECT_EQ(small.W_in(i, k), large.W_in(i, k));
    EXPECT_EQ(small.b(0, i), large.b(0, i));
  }
  EXPECT_EQ(reservoir(3, 1, 50).W_out, small.W_out);
  const SamplingNetwork other = initial_network(ModelKind::reservoir_sampler, Nonlinearity::relu, 3, 1, 50, seed + 1);
  EXPECT_NE(other.W_in, small.W_in);
}

// The sum over a pair is exact up to the rounding of two products, so the tolerance is a few units in the last place of x.
TEST(InitialWeights, NoiseScoreStartsAsMinusX) {
  constexpr std::int64_t D = 3, U = 2, N = 8;
  for (const Nonlinearity phi : {Nonlinearity::relu, Nonlinearity::leaky_relu, Nonlinearity::softplus}) {
    SamplingNetwork network = initial_network(ModelKind::reservoir_sampler, phi, D, U, N, seed);
    const SamplingNetwork fresh = network;
    start_from_noise_score(network, 6.0);
    network.validate();
    const std::vector<float> state{0.7f, -1.9f, 0.02f, 5.0f, -3.0f};  // x, then u, which no pair reads
    const std::vector<double> drift = dispatch(phi, [&](auto p) {
      std::vector<double> sum(D);
      for (std::int64_t i = 0; i < N; ++i) {
        float u = network.b(0, i);
        for (std::int64_t k = 0; k < D + U; ++k) u += network.W_in(i, k) * state[static_cast<std::size_t>(k)];
        for (std::int64_t d = 0; d < D; ++d)
          sum[static_cast<std::size_t>(d)] += double{network.W_out(d, i)} * activate<p>(u);
      }
      return sum;
    });
    for (std::size_t d = 0; d < D; ++d) EXPECT_NEAR(drift[d], -state[d], 1e-6) << name_of(phi) << ", output " << d;
    for (std::int64_t i = 2 * D; i < N; ++i) {
      EXPECT_EQ(network.b(0, i), fresh.b(0, i));
      for (std::int64_t k = 0; k < D + U; ++k) EXPECT_EQ(network.W_in(i, k), fresh.W_in(i, k));
      for (std::int64_t d = 0; d < D; ++d) EXPECT_EQ(network.W_out(d, i), 0.0f);
    }
  }
  SamplingNetwork few = reservoir(3, 0, 5),
                  bounded = initial_network(ModelKind::reservoir_sampler, Nonlinearity::tanh, 1, 0, 4, seed),
                  plain = initial_network(ModelKind::sampler_only_fr, Nonlinearity::relu, 2, 0, 2, seed);
  for (SamplingNetwork* network : {&few, &bounded, &plain})
    EXPECT_THROW(start_from_noise_score(*network, 1.0), UsageError);
}

// Pairs of neurons with output weights v and -v add up to v . (w x + b), a straight line: up to the rounding of N products.
TEST(InitialWeights, PairsAreStraightLines) {
  constexpr std::int64_t D = 3, U = 2, N = 21;
  for (const Nonlinearity phi : {Nonlinearity::relu, Nonlinearity::leaky_relu, Nonlinearity::softplus}) {
    const double slope = phi == Nonlinearity::leaky_relu ? 1.01 : 1.0;
    SamplingNetwork network = initial_network(ModelKind::reservoir_sampler, phi, D, U, N, seed);
    const SamplingNetwork fresh = network;
    start_in_pairs(network);
    network.validate();
    for (std::int64_t k = 0; k < network.W_out.size(); ++k) ASSERT_EQ(network.W_out.data()[k], 0.0f);
    const std::vector<float> state{0.7f, -1.9f, 0.02f, 5.0f, -3.0f};
    double sum = 0.0, line = 0.0;
    for (std::int64_t i = 0; i < N; ++i) {
      double u = network.b(0, i), kept = fresh.b(0, i);
      for (std::int64_t k = 0; k < D + U; ++k) {
        u += double{network.W_in(i, k)} * state[static_cast<std::size_t>(k)];
        kept += double{fresh.W_in(i, k)} * state[static_cast<std::size_t>(k)];
      }
      if (i % 2 == 0) {
        ASSERT_EQ(u, kept) << i;
      }
      if (i == N - 1) break;  // alone
      const double v = 0.1 * static_cast<double>(i / 2 + 1);
      sum += dispatch(phi, [&](auto p) { return (i % 2 == 0 ? v : -v) * activate<p>(static_cast<float>(u)); });
      if (i % 2 == 0) line += slope * v * kept;
    }
    EXPECT_NEAR(sum, line, 1e-5) << name_of(phi);
  }
  SamplingNetwork bounded = initial_network(ModelKind::reservoir_sampler, Nonlinearity::tanh, 1, 0, 4, seed),
                  plain = initial_network(ModelKind::sampler_only_fr, Nonlinearity::relu, 2, 0, 2, seed);
  EXPECT_THROW(start_in_pairs(bounded), UsageError);
  EXPECT_THROW(start_in_pairs(plain), UsageError);
}

TEST(InitialWeights, WrongSizesAndGainsAreRefused) {
  EXPECT_THROW(reservoir(0, 0, 5), UsageError);
  EXPECT_THROW(reservoir(1, -1, 5), UsageError);
  EXPECT_THROW(reservoir(1, 0, 0), UsageError);
  EXPECT_THROW(reservoir(1, 0, 5, {.input = 0.0}), UsageError);
  EXPECT_THROW(reservoir(1, 0, 5, {.bias = NAN}), UsageError);
  constexpr auto sc = ModelKind::sampler_only_sc;
  EXPECT_THROW(initial_network(sc, Nonlinearity::relu, 2, 0, 3, seed), UsageError);
  EXPECT_THROW(initial_network(sc, Nonlinearity::relu, 2, 1, 2, seed), UsageError);
}

}  // namespace
}  // namespace tarn
