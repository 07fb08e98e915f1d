// Chains of large-D networks by matrix products over tiles. Every chain is a vector lane: the bits of a chain depend
// neither on the other chains, nor on tiles, nor on the number of threads.
#pragma once

#include <cstdint>

#include "large_network.hpp"
#include "tarn/compute/backend.hpp"

namespace tarn::cpu {

/// Output mode, any D (Backend::advance). Shapes are the caller's to check.
void advance_large(const LargeNetwork& network, const LangevinSteps& steps, const ChainBlock& block, int n_threads);

/// Reservoir mode, any D (Backend::advance_reservoir). Clamped outputs are held by moving `r` along the columns of P.
void advance_reservoir_large(const LargeNetwork& network, const LangevinSteps& steps, const ReservoirBlock& block,
                             int n_threads);

/// Drift at points `[n, D+U]`, any D (Backend::drift).
void drift_large(const LargeNetwork& network, MatrixView<const float> points, MatrixView<float> out, int n_threads);

/// Chains in a block that keep all threads busy with full tiles.
std::int64_t preferred_block_large(int n_threads);

}  // namespace tarn::cpu
