#include "tarn/models/initial_weights.hpp"

#include <algorithm>
#include <cmath>

#include "tarn/core/activations.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

enum WeightStep : std::uint64_t { incoming_step = 0, outgoing_step = 1 };

float uniform_weight(std::uint32_t word, double bound) {
  return static_cast<float>(bound * (2.0 * uniform_from_word(word) - 1.0));
}

void check_gain(double gain, std::string_view name) {
  if (!(std::isfinite(gain) && gain > 0.0)) fail_usage("{} is {}; it must be finite and above 0", name, gain);
}

// Where phi(u) - phi(-u) is a straight line; throws for other networks.
void check_pairs(const SamplingNetwork& network) {
  if (network.kind != ModelKind::reservoir_sampler) {
    fail_usage("a {} network has no output weights to start with", name_of(network.kind));
  }
  if (!pairs_are_straight(network.phi)) {
    fail_usage("pairs of {} neurons do not add up to a straight line; allowed: relu, leaky_relu, softplus",
               name_of(network.phi));
  }
}

}  // namespace

SamplingNetwork initial_network(ModelKind kind, Nonlinearity phi, std::int64_t D, std::int64_t U, std::int64_t N,
                                std::uint64_t seed, const InitialGains& gains) {
  if (D < 1) fail_usage("a network needs at least one output, found {}", D);
  if (U < 0) fail_usage("the number of inputs must not be negative, found {}", U);
  if (N < 1) fail_usage("a network needs at least one neuron, found {}", N);
  check_gain(gains.input, "input_gain");
  check_gain(gains.bias, "bias_gain");
  const bool reservoir = kind == ModelKind::reservoir_sampler;
  if (!reservoir && U != 0) fail_usage("a {} network takes no inputs, found {}", name_of(kind), U);
  if (!reservoir && N != D) {
    fail_usage("a {} network has as many neurons as outputs, found {} neurons and {} outputs", name_of(kind), N, D);
  }

  SamplingNetwork network;
  network.kind = kind;
  network.phi = phi;
  network.n_outputs = D;
  network.n_inputs = U;
  network.W_in = Matrix<float>(N, D + U);
  network.b = Matrix<float>(1, N);

  const double bound_in = 1.0 / std::sqrt(static_cast<double>(D + U)),
               bound_out = 1.0 / std::sqrt(static_cast<double>(N));
  Matrix<std::uint32_t> words(N, D + U + 1);
  fill_words(seed, Stream::weight_init, 0, incoming_step, 1, words);
  for (std::int64_t i = 0; i < N; ++i) {
    for (std::int64_t k = 0; k < D + U; ++k) network.W_in(i, k) = uniform_weight(words(i, k), gains.input * bound_in);
    network.b(0, i) = uniform_weight(words(i, D + U), gains.bias * bound_in);
  }
  if (reservoir) {
    network.W_out = Matrix<float>(D, N);
    fill_words(seed, Stream::weight_init, 0, outgoing_step, 1, words);
    for (std::int64_t i = 0; i < N; ++i) {
      for (std::int64_t d = 0; d < D; ++d) network.W_out(d, i) = uniform_weight(words(i, d), bound_out);
    }
  } else {
    network.gamma = Matrix<float>(1, D);
    network.S = Matrix<float>(D, D);
    for (std::int64_t d = 0; d < D; ++d) network.gamma(0, d) = network.S(d, d) = 1.0f;
  }
  return network;
}

void start_from_noise_score(SamplingNetwork& network, double input_gain) {
  check_gain(input_gain, "input_gain");
  check_pairs(network);
  const std::int64_t D = network.n_outputs, N = network.W_in.rows();
  if (N < 2 * D) fail_usage("{} neurons cannot pair up for {} outputs; allowed: {} or more", N, D, 2 * D);

  const double weight = input_gain / std::sqrt(3.0),
               slope = network.phi == Nonlinearity::leaky_relu ? 1.0 + leaky_slope : 1.0;
  std::fill_n(network.W_out.data(), network.W_out.size(), 0.0f);
  for (std::int64_t i = 0; i < 2 * D; ++i) {
    const double sign = i % 2 == 0 ? 1.0 : -1.0;
    for (std::int64_t k = 0; k < network.W_in.cols(); ++k) network.W_in(i, k) = 0.0f;
    network.W_in(i, i / 2) = static_cast<float>(sign * weight);
    network.b(0, i) = 0.0f;
    network.W_out(i / 2, i) = static_cast<float>(-sign / (slope * weight));
  }
}

void start_in_pairs(SamplingNetwork& network) {
  check_pairs(network);
  for (std::int64_t i = 1; i < network.W_in.rows(); i += 2) {
    for (std::int64_t k = 0; k < network.W_in.cols(); ++k) network.W_in(i, k) = -network.W_in(i - 1, k);
    network.b(0, i) = -network.b(0, i - 1);
  }
  std::fill_n(network.W_out.data(), network.W_out.size(), 0.0f);
}

}  // namespace tarn
