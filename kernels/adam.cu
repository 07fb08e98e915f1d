// Adam and AdamW with AMSGrad and a running mean (src/compute/adam_math.hpp), one launch over the flat array of all parameters:
//   m = b1 m + (1 - b1) g    v = b2 v + (1 - b2) g^2    w = shrink w - step_size m / (sqrt(v or largest v) correction + epsilon)
// Arrays [n], n a multiple of 4; weights and moments are overwritten in place. Four parameters a thread. Deterministic, the CPU's bits for the
// same gradient. Moves 28 bytes a parameter, 8 more with AMSGrad, 8 more with a mean.
// Norm: each block adds the squares of its share in double, one block the blocks' sums; a fixed order for every n, whatever the card.
// Moves 4 bytes a parameter.
#include <algorithm>

#include "adam.cuh"
#include "adam.hpp"
#include "block_sum.cuh"
#include "dsm_finish.cuh"
#include "dsm_rows.cuh"
#include "platform.cuh"

namespace tarn::cuda {
namespace {

constexpr int threads = 256, norm_threads = 64;

__device__ __forceinline__ void update(const AdamArrays& a, const DsmClock& clock, const float* gradient_scale,
                                       unsigned block) {
  const std::int64_t i = static_cast<std::int64_t>(block) * threads + threadIdx.x;
  if (4 * i >= a.n) return;
  AdamStep step = clock.records[*clock.now].adam;
  if (gradient_scale) step.gradient_scale = *gradient_scale;
  if (4 * i >= a.n_decayed) {
    step.l2 = 0.0f;
    step.shrink = 1.0f;
  }
  update_quad(a, step, i, reinterpret_cast<const float4*>(a.gradient)[i], load_quad(a, step, i));
}

__global__ void adam_kernel(AdamArrays a, DsmClock clock, const float* gradient_scale) {
  update(a, clock, gradient_scale, blockIdx.x);
}

// The first `row_blocks` blocks have the next step's rows, a warp a row: nobody reads this step's any more.
__global__ void __launch_bounds__(threads, 4)
    last_adam_kernel(AdamArrays a, DsmClock clock, const float* gradient_scale, StepEnd end, DsmRowsCall next_rows,
                     unsigned row_blocks) {
  TARN_SHARED(double, shared, threads);
  TARN_SHARED(int, is_last, 1);
  if (blockIdx.x >= row_blocks) {
    update(a, clock, gradient_scale, blockIdx.x - row_blocks);
  } else if (const DsmRecord* const record = clock.records + *clock.now; record->is_followed) {
    make_row(next_rows, record[1], static_cast<std::int64_t>(blockIdx.x) * (threads / 32) + threadIdx.x / 32);
  }
  __syncthreads();  // the block has read the clock
  if (threadIdx.x == 0) {
    __threadfence();
    *is_last = atomicAdd(end.ticket, 1u) == gridDim.x - 1 ? 1 : 0;
  }
  __syncthreads();
  if (*is_last == 0) return;
  // what it reads was written by kernels before this one
  finish_step(end.row_losses, end.batch_size, end.norm, end.losses, clock, shared);
  if (threadIdx.x == 0) *end.ticket = 0;
}

__global__ void squares_kernel(const float* values, std::int64_t n, double* partials) {
  TARN_SHARED(double, shared, threads);
  double square = 0.0;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * threads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x; i < n; i += stride)
    square += static_cast<double>(values[i]) * values[i];
  square = block_sum(square, shared);
  if (threadIdx.x == 0) partials[blockIdx.x] = square;
}

// One block.
__global__ void norm_kernel(const double* partials, std::int64_t n_partials, double clip_norm, double* norm,
                            float* gradient_scale) {
  TARN_SHARED(double, shared, norm_threads);
  double square = 0.0;
  for (std::int64_t i = threadIdx.x; i < n_partials; i += norm_threads) square += partials[i];
  const double length = ::sqrt(block_sum(square, shared));
  if (threadIdx.x != 0) return;
  *norm = length;
  *gradient_scale = length > clip_norm ? static_cast<float>(clip_norm / length) : 1.0f;
}

unsigned blocks_of(const AdamArrays& arrays) { return static_cast<unsigned>((arrays.n / 4 + threads - 1) / threads); }

}  // namespace

void launch_adam(const AdamArrays& arrays, const DsmClock& clock, const float* gradient_scale, StreamHandle stream) {
  if (arrays.n > 0)
    launch(adam_kernel, {dim3(blocks_of(arrays)), dim3(threads), 0, stream}, arrays, clock, gradient_scale);
}

void launch_last_adam(const AdamArrays& arrays, const DsmClock& clock, const float* gradient_scale, const StepEnd& end,
                      const DsmRowsCall& next_rows, StreamHandle stream) {
  const std::int64_t rows = next_rows.batch_size + next_rows.confinement_points;
  const auto row_blocks = static_cast<unsigned>((rows + threads / 32 - 1) / (threads / 32));
  launch(last_adam_kernel, {dim3(row_blocks + blocks_of(arrays)), dim3(threads), 0, stream}, arrays, clock,
         gradient_scale, end, next_rows, row_blocks);
}

void launch_gradient_norm(const float* gradient, std::int64_t n, double clip_norm, double* partials, double* norm,
                          float* gradient_scale, StreamHandle stream) {
  // a function of n alone
  const std::int64_t blocks = std::clamp<std::int64_t>((n + 8 * threads - 1) / (8 * threads), 1, norm_partials);
  launch(squares_kernel, {dim3(static_cast<unsigned>(blocks)), dim3(threads), 0, stream}, gradient, n, partials);
  launch(norm_kernel, {dim3(1), dim3(norm_threads), 0, stream}, partials, blocks, clip_norm, norm, gradient_scale);
}

}  // namespace tarn::cuda
