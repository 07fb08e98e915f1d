// Where learning of a hierarchical exponential-family model starts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tarn/compute/hee.hpp"

namespace tarn {

/// The input `a` at which a layer's link gives this natural parameter, `g(a) = eta`. Throws `UsageError` where no input does.
double inverse_link(const HeeLayer& layer, double eta);

/// Columns of `W_l` are directions drawn at random, of norm 1: component i of column j is normal number i of `Stream::weight_init`, chain
/// `l << 32 | j`, step 0, before it is scaled. Biases give each layer `eta[l]` at zero input, `[L + 1]`. Throws `UsageError` where sizes
/// or natural parameters are out of range.
HeeParameters initial_hee(std::vector<HeeLayer> layers, std::span<const double> eta, std::uint64_t seed);

}  // namespace tarn
