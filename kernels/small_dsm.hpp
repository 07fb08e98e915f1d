// Training steps of a small network, many in one launch.
#pragma once

#include <algorithm>
#include <cstdint>

#include "adam.hpp"
#include "dsm_record.hpp"
#include "dsm_residual.hpp"
#include "dsm_rows.hpp"
#include "handles.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::cuda {

inline constexpr int small_dsm_threads = 256;
inline constexpr int small_dsm_most_outputs = 16, small_dsm_most_columns = 32;

/// How the work is shared out: a function of the sizes and of what a block may have. Neurons are split over blocks; within a block, forward, over
/// groups of warps (each row is a lane's), and backward, rows over groups of threads (each neuron is a thread's).
struct SmallDsmPlan {
  int n_outputs = 0, n_columns = 0, n_neurons = 0, n_rows = 0;
  int n_blocks = 0;        ///< 0: these sizes do not fit
  int block_neurons = 0;   ///< a multiple of 4
  int padded_rows = 0;     ///< a multiple of 32
  int forward_groups = 0;  ///< each has its own sums
  int neuron_threads = 0;  ///< a multiple of 32
  int row_groups = 0;      ///< each has its own gradients
  int copies = 0;          ///< of a block's parameters: themselves, moments, and what else the optimiser keeps

  constexpr int n_params() const { return n_columns + 1 + n_outputs; }  ///< of a neuron
  constexpr int block_params() const { return n_params() * block_neurons; }
  constexpr int row_floats() const { return (n_columns + n_outputs + 1) * padded_rows; }  ///< points, targets, scales
  constexpr int n_sums() const { return n_outputs * padded_rows; }
  /// Of shared memory.
  constexpr std::int64_t shared_bytes() const {
    return 4 * (std::int64_t{copies + row_groups} * block_params() + 2 * row_floats() +
                std::int64_t{forward_groups} * n_sums()) +
           small_dsm_fixed_bytes;
  }
  static constexpr std::int64_t small_dsm_fixed_bytes = 4 * sizeof(DsmRecord) + 3 * (small_dsm_threads / 32) * 8;
};

/// The plan for so many blocks.
constexpr SmallDsmPlan small_dsm_plan(std::int64_t D, std::int64_t K, std::int64_t N, std::int64_t rows, int copies,
                                      int n_blocks) {
  constexpr int warps = small_dsm_threads / 32;
  SmallDsmPlan p;
  p.n_outputs = static_cast<int>(D);
  p.n_columns = static_cast<int>(K);
  p.n_neurons = static_cast<int>(N);
  p.n_rows = static_cast<int>(rows);
  p.block_neurons = (p.n_neurons + 4 * n_blocks - 1) / (4 * n_blocks) * 4;
  p.n_blocks = (p.n_neurons + p.block_neurons - 1) / p.block_neurons;
  p.padded_rows = (p.n_rows + 31) / 32 * 32;
  p.forward_groups = std::clamp(warps / (p.padded_rows / 32), 1, std::max(p.block_neurons / 4, 1));
  p.neuron_threads = std::min((p.block_neurons + 31) / 32 * 32, small_dsm_threads);
  p.row_groups = std::min(small_dsm_threads / p.neuron_threads, p.padded_rows / 4);
  p.copies = copies;
  return p;
}

/// The plan that the sizes ask for: enough blocks that each has little to do between two barriers, and that everything fits into their shared
/// memory; `n_blocks` 0 where they would be more than `most_blocks`. The constants are from an H200, where 16 and 32 blocks were the fastest of 1 to 32 for N = 1000 to
/// 4000 (bench/results).
constexpr SmallDsmPlan small_dsm_plan(Nonlinearity phi, std::int64_t D, std::int64_t K, std::int64_t N,
                                      std::int64_t rows, int copies, std::int64_t most_shared_bytes, int most_blocks) {
  if (D < 1 || D > small_dsm_most_outputs || K > small_dsm_most_columns || N < 1 || N > 16384 || rows < 1 ||
      rows > 1024)
    return {};
  // instructions of a step, over the number that takes a block about as long as a barrier
  const std::int64_t of_phi = phi == Nonlinearity::relu || phi == Nonlinearity::leaky_relu ? 10 : 80;
  const std::int64_t work = N * rows * (3 * K + 4 * D + of_phi) / 32768;
  for (std::int64_t blocks = std::clamp<std::int64_t>(work, 1, std::min(32, most_blocks)); blocks <= most_blocks;
       ++blocks) {
    const SmallDsmPlan p = small_dsm_plan(D, K, N, rows, copies, static_cast<int>(blocks));
    if (p.shared_bytes() <= most_shared_bytes) return p;
  }
  return {};
}

/// Steps `first` to `first + n_steps - 1` of a run: its records there are read, its losses there written. Arrays as in `DsmLayout`.
struct SmallDsmCall {
  SmallDsmPlan plan;
  std::int64_t in_width = 0, hidden_width = 0, v_begin = 0;
  DsmRowsCall rows;           ///< `points`, `targets` and `target_scale` are not looked at
  DsmResidualCall constants;  ///< nor pointers here
  AdamArrays adam;            ///< read at the start, written at the end; `gradient` is not looked at
  bool amsgrad = false, averages = false;
  double clip_norm = 0.0;  ///< 0: off
  const DsmRecord* records = nullptr;
  DsmLossRecord* losses = nullptr;
  std::int64_t first = 0, n_steps = 0;
  float* partials = nullptr;    ///< `[2, n_blocks, D, padded_rows]`, where there is more than one block
  double* squares = nullptr;    ///< `[2, n_blocks]`
  unsigned* arrived = nullptr;  ///< zero at the start of the launch
};

/// Asynchronous. The launcher of each nonlinearity is in a file of its own, since kernels take long to compile.
template <Nonlinearity phi>
void launch_small_dsm_of(const SmallDsmCall& call, StreamHandle stream);

}  // namespace tarn::cuda
