// One fused denoising-score-matching step of a small-D network: forward, loss, backward and optimiser in two passes over the
// neurons, activations never written. Lanes are neurons; internal interface of the CPU backend.
#pragma once

#include <cstdint>

#include "adam_step.hpp"
#include "tarn/compute/dsm.hpp"
#include "tarn/core/isa.hpp"

namespace tarn::cpu {

inline constexpr int neurons_a_block = 16;

/// Parameters are kept in blocks of sixteen neurons: `[n_blocks][D+U + 1 + D][16]`, rows W_in columns, b, V rows.
/// Moments, running mean and gradients have the same layout. Neurons beyond N are zero and stay so.
struct SmallDsmStep {
  Nonlinearity phi = Nonlinearity::relu;
  int n_outputs = 0, n_columns = 0;  ///< D, D + U
  std::int64_t n_neurons = 0, n_blocks = 0;
  int batch_rows = 0, rows = 0;    ///< data rows; data and confinement rows
  const float* points = nullptr;   ///< `[rows, D+U]` noisy data, then confinement points
  const float* targets = nullptr;  ///< `[rows, D]`: xi / sigma for data rows, pull * direction for confinement rows
  const float* target_scale = nullptr;  ///< `[rows]`: residual is `target_scale * s + target`: 1, or sigma^2 / R
  float output_scale = 1.0f;            ///< W_out = output_scale * V
  float loss_scale = 1.0f;              ///< of data rows
  float* parameters = nullptr;
  float *first_moment = nullptr, *second_moment = nullptr, *largest_moment = nullptr, *average = nullptr;
  float* gradient = nullptr;   ///< written where `update` is off, else unused
  const float* map = nullptr;  ///< `[D, D]` `M` with `score = f M^T`, or null: the score is `f`
  double* dJ = nullptr;        ///< `[D, D]`, with `map`: written, `d loss / d J` for `M = (I + J)^-1`
  bool update = true;          ///< take the optimiser step in the same pass
  AdamStep adam;
  float* row_sums = nullptr;  ///< `[rows, D, 16]` workspace
  float* deltas = nullptr;    ///< `[rows, D]` workspace: d loss / d (phi V^T)
};

struct SmallDsmKernels {
  DsmLoss (*step)(const SmallDsmStep&);
  /// The optimiser step from stored gradients, for values `first` to `last` of the arrays, multiples of 16.
  void (*update)(const SmallDsmStep&, std::int64_t first, std::int64_t last);
  /// Sum of squares of the first `n` values of the stored gradient.
  double (*gradient_square)(const SmallDsmStep&, std::int64_t n);
};

const SmallDsmKernels& small_dsm_kernels(Isa isa);

#define TARN_DECLARE_SMALL_DSM_KERNELS(isa) \
  namespace isa {                           \
  extern const SmallDsmKernels dsm_table;   \
  }
TARN_DECLARE_SMALL_DSM_KERNELS(x86_64)
TARN_DECLARE_SMALL_DSM_KERNELS(x86_64_v3)
TARN_DECLARE_SMALL_DSM_KERNELS(x86_64_v4)
#undef TARN_DECLARE_SMALL_DSM_KERNELS

}  // namespace tarn::cpu
