// What a state of a hierarchical exponential-family model says of it: energy, reconstruction, natural parameters in use. In double, on
// the host, for some chains: a gauge, not a hot path.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tarn/compute/hee.hpp"

namespace tarn {

struct HeeReading {
  double energy = 0.0;          ///< mean over chains of E(x_0..x_L), docs/hee.md
  double reconstruction = 0.0;  ///< mean over chains and units of (x_0 - E[x_0 | x_1])^2
  std::int64_t n_chains = 0;    ///< that were finite
};

/// `x[l]` `[n, n_l]`, l = 0..L. Chains that are not finite are left out; NaN where none is finite.
HeeReading read_state(const HeeParameters& parameters, std::span<const Matrix<float>> x);

/// Natural parameters of layer `layer` given the state of the layer above it, `[n, n_l]`; of the top layer `[1, n_L]`.
Matrix<double> natural_parameters(const HeeParameters& parameters, int layer, std::span<const Matrix<float>> x);

/// `E[x | eta]` of a unit.
double mean_state(const HeeLayer& layer, double eta);

/// `E[x_l | x_{l+1}]` of layer l below the top, `[n, n_l]`, from states `x` of all layers. NaN in rows that are not finite.
Matrix<float> mean_given(const HeeParameters& parameters, int layer, std::span<const Matrix<float>> x);

}  // namespace tarn
