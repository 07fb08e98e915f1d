// Training of small-D networks by the fused kernels.
#pragma once

#include <memory>

#include "small_dsm.hpp"
#include "tarn/compute/dsm.hpp"

namespace tarn::cpu {

/// A session whose parameters lie in blocks of sixteen neurons (small_dsm.hpp). Runs on the calling thread: a step takes microseconds.
std::unique_ptr<DsmSession> make_small_session(const DsmParameters& initial, const OptimizerSettings& optimizer);

/// Loss and gradients of one batch by the same kernels.
DsmLoss small_dsm_gradient(const DsmParameters& parameters, const DsmLevel& level, const DsmBatch& batch,
                           DsmParameters& gradient);

}  // namespace tarn::cpu
