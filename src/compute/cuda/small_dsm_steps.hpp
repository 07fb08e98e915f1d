// Training steps of small networks: whether one kernel takes them, and its memory.
#pragma once

#include <cstdint>

#include "context.hpp"
#include "dsm_layout.hpp"
#include "memory.hpp"
#include "small_dsm.hpp"
#include "tarn/compute/dsm.hpp"

namespace tarn::cuda {

class SmallDsmSteps {
 public:
  /// `n_blocks` 0: as many as the sizes ask for.
  SmallDsmSteps(Context& context, const DsmLayout& layout, Nonlinearity phi, const OptimizerSettings& optimizer,
                int n_blocks = 0);

  /// How steps of so many rows are taken; `n_blocks` 0 where the kernel does not take them: D, D + U, N or the rows are too large, J is trained, or the
  /// blocks' share of weights and moments does not fit into shared memory.
  SmallDsmPlan plan(std::int64_t rows) const;

  /// Steps `first` to `first + n - 1` of a run, put into the context's stream. Allocates at the first call of a shape. `rows`: with whatever
  /// pointers for points and targets.
  void enqueue(const SmallDsmPlan& plan, const DsmRowsCall& rows, const DsmResidualCall& constants,
               const AdamArrays& arrays, const DsmRecord* records, DsmLossRecord* losses, std::int64_t first,
               std::int64_t n);

 private:
  Context& context_;
  DsmLayout layout_;
  Nonlinearity phi_;
  OptimizerSettings optimizer_;
  int n_blocks_;
  DeviceBuffer<float> partials_;
  DeviceBuffer<double> squares_;
  DeviceBuffer<unsigned> arrived_;
};

}  // namespace tarn::cuda
