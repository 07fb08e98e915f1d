// Inference and learning of hierarchical models on a CUDA device (docs/hee.md, docs/gpu.md).
#pragma once

#include <memory>

#include "context.hpp"
#include "tarn/compute/hee.hpp"

namespace tarn::cuda {

/// `context` must outlive the session. The same bits for the same calls on the same kind of device. `graphs` false launches each kernel by itself: the
/// same bits again. Throws `Error` where parameters do not fit together or memory is short.
std::unique_ptr<HeeSession> make_cuda_hee_session(Context& context, const HeeParameters& initial,
                                                  const HeeOptimizer& optimizer, bool graphs = true);

}  // namespace tarn::cuda
