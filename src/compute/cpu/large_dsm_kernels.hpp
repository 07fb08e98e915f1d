// Elementwise work of a large-D training step: residuals and the optimiser.
#pragma once

#include <cstdint>

#include "adam_step.hpp"
#include "gemm.hpp"
#include "tarn/core/isa.hpp"

namespace tarn::cpu {

/// Residuals of components `first` to `last` (at most 16 of them) of all rows, from the partial sums of groups of
/// neurons. Rows of the batch lie in lanes: "panels" below are `[panel][component][32]`.
struct ResidualCall {
  std::int64_t first = 0, last = 0;
  std::int64_t n_outputs = 0, n_rows = 0, n_groups = 0;
  const float* partials = nullptr;  ///< panels `[D]`, one set a group, `group_stride` apart; added in order
  std::int64_t group_stride = 0;
  const float* points = nullptr;  ///< panels, `points_stride` apart
  std::int64_t points_stride = 0;
  const float* targets = nullptr;       ///< panels `[D]`
  const float* target_scale = nullptr;  ///< `[rows]`, as the next two padded to whole panels with zeros
  const float* weight = nullptr;        ///< d loss / d (phi V^T) is `weight * residual`
  const float* counts = nullptr;        ///< 1 for data rows, 0 for confinement rows
  float output_scale = 1.0f;
  float* deltas = nullptr;      ///< panels `[D]`: `weight * residual`
  float* delta_rows = nullptr;  ///< the same as rows `[n_rows, delta_stride]`
  std::int64_t delta_stride = 0;
  double loss = 0.0, excess = 0.0;  ///< results: sums over data rows and these components
};

/// Arrays of one optimiser step, all `n` long (a multiple of 16); `largest` and `average` may be null where not in use.
struct AdamArrays {
  const float* gradient;
  float *weight, *first, *second, *largest, *average;
};

struct LargeDsmKernels {
  void (*residuals)(ResidualCall&);
  void (*adam)(const AdamStep&, const AdamArrays&, std::int64_t n);
  /// Sum of squares in double, one order everywhere.
  double (*sum_of_squares)(const float* values, std::int64_t n);
};

const LargeDsmKernels& large_dsm_kernels(Isa isa);

#define TARN_DECLARE_LARGE_DSM(isa)             \
  namespace isa {                               \
  extern const LargeDsmKernels large_dsm_table; \
  }
TARN_DECLARE_LARGE_DSM(x86_64)
TARN_DECLARE_LARGE_DSM(x86_64_v3)
TARN_DECLARE_LARGE_DSM(x86_64_v4)
#undef TARN_DECLARE_LARGE_DSM

}  // namespace tarn::cpu
