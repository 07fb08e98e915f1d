// How stiff a hierarchical exponential-family model is: what step its latents bear, and whether interneurons are faster than they are.
#pragma once

#include <span>
#include <vector>

#include "tarn/compute/hee.hpp"

namespace tarn {

/// Largest curvature of a unit's own energy, `-eta T''(x) - (log h)''(x)`, over the states where the unit is found.
double largest_prior_curvature(const HeeLayer& layer, double eta);

/// `A''(eta) g'(a)^2`, the information that a unit gives about its input `a`: with weights w it adds `w^2` times this to the curvature of
/// what drives it.
double response_curvature(const HeeLayer& layer, double eta);

/// The largest of all latent layers: prior at zero input, and the spectral norm of the message from below. An explicit step of the plain
/// dynamics is stable below two over this.
double largest_curvature(const HeeParameters& parameters);

/// Interneurons of a layer beside the neurons that listen to them, the layer above.
struct Separation {
  int layer = 0;
  double eta = 0.0;                                  ///< in use, where the gap is smallest
  double gap = 0.0;                                  ///< spectral gap of the interneurons there, in 1/tau_e
  double interneuron_rate = 0.0, neuron_rate = 0.0;  ///< slowest of the ones, fastest of the others; 1/tau
};

/// One entry a layer below the top. `x` `[n, n_l]` for l = 0..L is a state whose natural parameters are looked at, from the first
/// hundredth to the last; empty: those at zero input.
std::vector<Separation> separations(const HeeParameters& parameters, double tau_ratio,
                                    std::span<const Matrix<float>> x = {});

}  // namespace tarn
