// Training of large-D networks by matrix products.
#pragma once

#include <memory>

#include "tarn/compute/dsm.hpp"

namespace tarn::cpu {

/// A session on `n_threads` threads, any D; the same bits for any number of threads.
std::unique_ptr<DsmSession> make_large_session(const DsmParameters& initial, const OptimizerSettings& optimizer,
                                               int n_threads);

/// Loss and gradients of one batch by the same code, any size.
DsmLoss large_dsm_gradient(const DsmParameters& parameters, const DsmLevel& level, const DsmBatch& batch,
                           DsmParameters& gradient, int n_threads);

}  // namespace tarn::cpu
