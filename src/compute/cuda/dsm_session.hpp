// Training on a CUDA device (docs/gpu.md).
#pragma once

#include <memory>

#include "context.hpp"
#include "tarn/compute/dsm.hpp"

namespace tarn::cuda {

/// A session of a network of any size; `context` must outlive it. The same bits for the same run on the same kind of device, in however many calls.
/// `graphs` false launches each kernel by itself: the same bits again. Throws `Error` where the parameters do not fit or memory
/// is short.
std::unique_ptr<DsmSession> make_cuda_session(Context& context, const DsmParameters& initial,
                                              const OptimizerSettings& optimizer, bool graphs = true);

/// Loss and gradients of one batch by the same code.
DsmLoss cuda_dsm_gradient(Context& context, const DsmParameters& parameters, const DsmLevel& level,
                          const DsmBatch& batch, DsmParameters& gradient);

}  // namespace tarn::cuda
