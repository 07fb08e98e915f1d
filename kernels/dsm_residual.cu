// Residuals, their derivative and their loss, for every row of a training step:
//   s = output_scale sum - x    e = target_scale s + target    delta = weight e
//   loss of a data row = sum over d of 1/2 e^2,   excess = sum over d of s (s/2 + target)
// values [rows, out_width]: sums in, deltas out, in place; pads are left alone. row_losses [rows, 2] in double: overwritten, confinement rows
// get 0. Then one block adds the rows' losses up. A warp a row, 4 rows a block. Deterministic: sums in a fixed order, no atomics.
// s, e and delta are the CPU's operations; the losses are summed in double here. Moves 16 D bytes a row.
#include "block_sum.cuh"
#include "dsm_residual.hpp"
#include "platform.cuh"
#include "tarn/core/host_device.hpp"

namespace tarn::cuda {
namespace {

constexpr int rows_a_block = 4;
constexpr unsigned most_finish_threads = 256;
constexpr unsigned all_lanes = 0xffffffffu;

__global__ void dsm_residual_kernel(DsmResidualCall q, bool mapped, float* values, double* row_losses) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * rows_a_block + threadIdx.y;
  if (row >= q.n_rows) return;
  const bool counts = row < q.batch_size;
  const float target_scale = q.target_scale[row];
  const float weight = counts ? q.data_weight : mul(q.confinement_weight, target_scale);
  double loss = 0.0, excess = 0.0;
  for (std::int64_t d = threadIdx.x; d < q.n_outputs; d += 32) {
    float& value = values[row * q.out_width + d];
    const float target = q.targets[row * q.out_width + d];
    const float score = mapped ? value : fma(q.output_scale, value, sub(0.0f, q.points[row * q.in_width + d]));
    const float residual = fma(target_scale, score, target);
    value = mul(weight, residual);
    loss += 0.5 * static_cast<double>(residual) * residual;
    excess += static_cast<double>(score) * (0.5 * static_cast<double>(score) + target);
  }
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    loss += __shfl_xor_sync(all_lanes, loss, lanes);
    excess += __shfl_xor_sync(all_lanes, excess, lanes);
  }
  if (threadIdx.x == 0) {
    row_losses[2 * row] = counts ? loss : 0.0;
    row_losses[2 * row + 1] = counts ? excess : 0.0;
  }
}

__global__ void dsm_outputs_kernel(DsmResidualCall q, float* values) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * rows_a_block + threadIdx.y;
  if (row >= q.n_rows) return;
  for (std::int64_t d = threadIdx.x; d < q.n_outputs; d += 32) {
    float& value = values[row * q.out_width + d];
    value = fma(q.output_scale, value, sub(0.0f, q.points[row * q.in_width + d]));
  }
}

// One block.
__global__ void dsm_finish_kernel(const double* row_losses, std::int64_t batch_size, const double* norm,
                                  DsmLossRecord* losses, DsmClock clock) {
  TARN_SHARED(double, shared, most_finish_threads);
  double loss = 0.0, excess = 0.0;
  for (std::int64_t row = threadIdx.x; row < batch_size; row += blockDim.x) {
    loss += row_losses[2 * row];
    excess += row_losses[2 * row + 1];
  }
  loss = block_sum(loss, shared);
  excess = block_sum(excess, shared);
  if (threadIdx.x != 0) return;
  const std::int64_t now = clock.now ? *clock.now : 0;
  losses[now] = {loss / static_cast<double>(batch_size), excess / static_cast<double>(batch_size), norm ? *norm : 0.0};
  if (clock.now) *clock.now = now + 1;
}

LaunchConfig row_config(std::int64_t rows, StreamHandle stream) {
  return {dim3(static_cast<unsigned>((rows + rows_a_block - 1) / rows_a_block)), dim3(32, rows_a_block), 0, stream};
}

}  // namespace

void launch_dsm_residual(const DsmResidualCall& call, bool mapped, float* values, double* row_losses,
                         StreamHandle stream) {
  if (call.n_rows > 0) launch(dsm_residual_kernel, row_config(call.n_rows, stream), call, mapped, values, row_losses);
}

void launch_dsm_outputs(const DsmResidualCall& call, float* values, StreamHandle stream) {
  if (call.n_rows > 0) launch(dsm_outputs_kernel, row_config(call.n_rows, stream), call, values);
}

void launch_dsm_finish(const double* row_losses, std::int64_t batch_size, const double* norm, DsmLossRecord* losses,
                       const DsmClock& clock, StreamHandle stream) {
  const unsigned threads = batch_size <= 256 ? 32 : most_finish_threads;
  launch(dsm_finish_kernel, {dim3(1), dim3(threads), 0, stream}, row_losses, batch_size, norm, losses, clock);
}

}  // namespace tarn::cuda
