// Inference and learning of hierarchical models on the CPU: each thread takes tiles of chains through all steps of a call, without
// barriers.
#pragma once

#include <memory>

#include "tarn/compute/hee.hpp"

namespace tarn::cpu {

std::unique_ptr<HeeSession> make_hee_session(const HeeParameters& initial, const HeeOptimizer& optimizer,
                                             int n_threads);

}  // namespace tarn::cpu
