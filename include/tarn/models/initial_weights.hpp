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

}  // namespace tarn
