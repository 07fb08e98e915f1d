// Residuals, their derivative and their loss, for every row of a training step:
//   sum = the slices' sums, added up in their order    s = output_scale sum - x    e = target_scale s + target    delta = weight e
//   loss of a data row = sum over d of 1/2 e^2,   excess = sum over d of s (s/2 + target)
// sums [n_slices, rows, out_width] in, deltas [rows, out_width] out; pads are left alone. row_losses [rows, 2] in double: overwritten, confinement
// rows get 0. Then one block adds the rows' losses up. A block a row. Deterministic: sums in a fixed order, no atomics.
// s, e and delta are the CPU's operations; the losses are summed in double here. Moves 4 (n_slices + 3) D bytes a row.
#include "block_sum.cuh"
#include "dsm_finish.cuh"
#include "dsm_residual.hpp"
#include "platform.cuh"
#include "tarn/core/host_device.hpp"

namespace tarn::cuda {
namespace {

constexpr unsigned most_threads = 512, most_finish_threads = 256;
constexpr unsigned all_lanes = 0xffffffffu;
constexpr int slices_at_a_time = 12;  // loads in flight

// f = output_scale (sum over slices) - x
__device__ float output(const DsmResidualCall& q, const float* sums, std::int64_t row, std::int64_t d) {
  const std::int64_t distance = q.n_rows * q.out_width;
  const float* from = sums + row * q.out_width + d;
  float sum = 0.0f;
  int slice = 0;
  for (; slice + slices_at_a_time <= q.n_slices; slice += slices_at_a_time) {
    float part[slices_at_a_time];
#pragma unroll
    for (int i = 0; i < slices_at_a_time; ++i) part[i] = from[(slice + i) * distance];
#pragma unroll
    for (int i = 0; i < slices_at_a_time; ++i) sum = add(sum, part[i]);
  }
  for (; slice < q.n_slices; ++slice) sum = add(sum, from[slice * distance]);
  return fma(q.output_scale, sum, sub(0.0f, q.points[row * q.in_width + d]));
}

__global__ void dsm_residual_kernel(DsmResidualCall q, bool mapped, const float* from, float* deltas,
                                    double* row_losses) {
  TARN_SHARED(double, warps, 2 * most_threads / 32);
  const std::int64_t row = blockIdx.x;
  const bool counts = row < q.batch_size;
  const float target_scale = q.target_scale[row];
  const float weight = counts ? q.data_weight : mul(q.confinement_weight, target_scale);
  double loss = 0.0, excess = 0.0;
  for (std::int64_t d = threadIdx.x; d < q.n_outputs; d += blockDim.x) {
    const float target = q.targets[row * q.out_width + d];
    const float score = mapped ? from[row * q.out_width + d] : output(q, from, row, d);
    const float residual = fma(target_scale, score, target);
    deltas[row * q.out_width + d] = mul(weight, residual);
    loss += 0.5 * static_cast<double>(residual) * residual;
    excess += static_cast<double>(score) * (0.5 * static_cast<double>(score) + target);
  }
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    loss += __shfl_xor_sync(all_lanes, loss, lanes);
    excess += __shfl_xor_sync(all_lanes, excess, lanes);
  }
  if (threadIdx.x % 32 == 0) {
    warps[threadIdx.x / 32 * 2] = loss;
    warps[threadIdx.x / 32 * 2 + 1] = excess;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (unsigned warp = 1; warp < blockDim.x / 32; ++warp) {
    loss += warps[2 * warp];
    excess += warps[2 * warp + 1];
  }
  row_losses[2 * row] = counts ? loss : 0.0;
  row_losses[2 * row + 1] = counts ? excess : 0.0;
}

__global__ void dsm_outputs_kernel(DsmResidualCall q, const float* sums, float* outputs) {
  const std::int64_t row = blockIdx.x;
  for (std::int64_t d = threadIdx.x; d < q.n_outputs; d += blockDim.x)
    outputs[row * q.out_width + d] = output(q, sums, row, d);
}

// One block.
__global__ void dsm_finish_kernel(const double* row_losses, std::int64_t batch_size, const double* norm,
                                  DsmLossRecord* losses, DsmClock clock) {
  TARN_SHARED(double, shared, most_finish_threads);
  finish_step(row_losses, batch_size, norm, losses, clock, shared);
}

// A thread an output, in whole warps.
LaunchConfig row_config(const DsmResidualCall& q, StreamHandle stream) {
  const auto threads = static_cast<unsigned>((q.n_outputs + 31) / 32 * 32);
  return {dim3(static_cast<unsigned>(q.n_rows)), dim3(threads < most_threads ? threads : most_threads), 0, stream};
}

}  // namespace

void launch_dsm_residual(const DsmResidualCall& call, bool mapped, const float* from, float* deltas, double* row_losses,
                         StreamHandle stream) {
  if (call.n_rows > 0) launch(dsm_residual_kernel, row_config(call, stream), call, mapped, from, deltas, row_losses);
}

void launch_dsm_outputs(const DsmResidualCall& call, const float* sums, float* outputs, StreamHandle stream) {
  if (call.n_rows > 0) launch(dsm_outputs_kernel, row_config(call, stream), call, sums, outputs);
}

void launch_dsm_finish(const double* row_losses, std::int64_t batch_size, const double* norm, DsmLossRecord* losses,
                       const DsmClock& clock, StreamHandle stream) {
  const unsigned threads = batch_size <= 256 ? 32 : most_finish_threads;
  launch(dsm_finish_kernel, {dim3(1), dim3(threads), 0, stream}, row_losses, batch_size, norm, losses, clock);
}

}  // namespace tarn::cuda
