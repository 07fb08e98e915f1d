// Weights before training.
#pragma once

#include <cstdint>

#include "tarn/models/sampling_network.hpp"

namespace tarn {

/// Multiply the bound of the initial weights; > 0.
struct InitialGains {
  double input = 1.0;  ///< of W_in
  double bias = 1.0;   ///< of b
};

/// The reference's initialisation: each linear layer uniform in `+-1/sqrt(fan_in)`, weights and biases alike; fan_in is
/// `D + U` for `W_in` and `b`, `N` for `W_out`. Sampler-only networks (`N = D`, `U = 0`) have `gamma = 1` and `S = I`.
///
/// Words of `Stream::weight_init`, with `D + U + 1` components a step: chain = neuron, step 0 = its incoming weights
/// and its bias last, step 1 = its outgoing weights (the neuron's column of `W_out`) in the first D components. So no
/// word serves twice, and a neuron's draw does not depend on `N`.
///
/// Throws `UsageError` for extents below 1 (U: below 0), gains that are not positive and finite, and sampler-only
/// networks with `N != D` or `U != 0`.
SamplingNetwork initial_network(ModelKind kind, Nonlinearity phi, std::int64_t n_outputs, std::int64_t n_inputs,
                                std::int64_t n_neurons, std::uint64_t seed, const InitialGains& gains = {});

/// Rewrites fresh weights of a reservoir-sampler so that `phi(x W_in^T + b) W_out^T = -x`: neurons 2d and 2d + 1 read output d
/// alone, with weights `+-gain / sqrt(3)` (the norm that random rows have) and no bias; the others keep `W_in` and `b` and have
/// no output weights yet. With `W_out = V / sigma^2` the first drift is `-(1 + 1/sigma^2) x`, all but the score of noise alone,
/// and training adds what the data change. In many dimensions random weights take most of the training to come that far.
///
/// Works for relu, leaky_relu and softplus, for which `phi(u) - phi(-u)` is a straight line. Throws `UsageError` for others,
/// for sampler-only networks and where `N < 2 D`.
void start_from_noise_score(SamplingNetwork& network, double input_gain);

/// Rewrites fresh weights of a reservoir-sampler so that neuron 2j + 1 has minus the incoming weights and bias of neuron 2j, and none
/// has output weights: the first drift is `-x`. Since `phi(u) - phi(-u) = u`, a straight line in x is then something that the output
/// weights of all pairs learn together and exactly, whereas random rectifiers approach it with an error of its own in each direction
/// (docs/models.md, section 4). What curves is learned by the sums `phi(u) + phi(-u)`. An odd neuron at the end stays alone.
///
/// Works for relu, leaky_relu and softplus. Throws `UsageError` for others (a pair of tanh neurons would be the same neuron twice)
/// and for sampler-only networks.
void start_in_pairs(SamplingNetwork& network);

/// Whether `phi(u) - phi(-u)` is a straight line through 0 for all u: relu, leaky_relu and softplus.
constexpr bool pairs_are_straight(Nonlinearity phi) {
  return phi == Nonlinearity::relu || phi == Nonlinearity::leaky_relu || phi == Nonlinearity::softplus;
}

}  // namespace tarn
