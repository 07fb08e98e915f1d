// Training on a CUDA device (docs/gpu.md).
#pragma once

#include <memory>

#include "context.hpp"
#include "tarn/compute/dsm.hpp"

namespace tarn::cuda {

/// Ways that a session may take where they apply; others than these are for tests and benches that compare.
struct DsmPaths {
  bool graphs = true;  ///< kernels recorded and replayed, or launched one by one: the same bits
  bool slices = true;  ///< sums over neurons cut and added up here, or by the library
  /// Gradients and optimiser in one pass over the parameters, or gradients to memory first: off, since it takes longer on an H200 (docs/profiling.md).
  bool descent = false;
  bool small = true;     ///< steps of a small network in one kernel, or by products
  int small_blocks = 0;  ///< of that kernel; 0: by the sizes
  /// What operands of products with neurons are rounded to. Gradients that are summed in the optimiser's pass are float32, as is a small network's kernel.
  Precision precision = Precision::fp32;
  /// Of the kernel for products with neurons in float32; 0: the library's products, unless the context chooses by measurement; -1: the best by counting.
  int neuron_tile = 0;
};

/// A session of a network of any size; `context` must outlive it. The same bits for the same run on the same kind of device, in however many calls.
/// Throws `Error` where the parameters do not fit or memory is short.
std::unique_ptr<DsmSession> make_cuda_session(Context& context, const DsmParameters& initial,
                                              const OptimizerSettings& optimizer, const DsmPaths& paths = {});

/// Loss and gradients of one batch by the same code.
DsmLoss cuda_dsm_gradient(Context& context, const DsmParameters& parameters, const DsmLevel& level,
                          const DsmBatch& batch, DsmParameters& gradient);

}  // namespace tarn::cuda
