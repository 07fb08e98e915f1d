// x = x + dt f + scale (xi [+ xi_next]),  f = sums - x + c or given;  then x = clamp where that is finite;  then |x|^2 <= limit.
// With a momentum, x and v take the step of momentum_step.hpp instead, and v = 0 where x is held.
//
// State [n, stride] row-major, [x u 0..] in a row, x overwritten; drift [n, stride]; clamp [n, D]. A warp has a chain, a lane four
// neighbouring components (a Philox block) and every 128th after them. The noise never is in memory. The sum of squares: by lane in
// ascending order, then the xor tree of the lanes: deterministic, and the same for any number of chains. 128 threads a block, no shared
// memory. 12 bytes moved an element (+ 4 with a clamp, + 8 with a momentum).
#include <algorithm>

#include "langevin_chain.cuh"
#include "langevin_update.hpp"
#include "platform.cuh"

namespace tarn::cuda {
namespace {

constexpr int block_threads = 128;
constexpr int block_chains = block_threads / 32;

__global__ void begin_call_kernel(LangevinCall call, LangevinCall* to) { *to = call; }

__global__ void skip_steps_kernel(LangevinCall* call, std::uint64_t n) { call->step += n; }

__global__ void pack_state_kernel(const float* __restrict__ x, std::int64_t D, const float* __restrict__ u,
                                  std::int64_t U, float* __restrict__ state, std::int64_t stride, std::int64_t n) {
  const std::int64_t d = static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x;
  if (d >= stride) return;
  for (std::int64_t i = blockIdx.y; i < n; i += gridDim.y) {
    state[i * stride + d] = d < D ? x[i * D + d] : (d < D + U ? u[i * U + d - D] : 0.0f);
  }
}

__global__ void unpack_state_kernel(const float* __restrict__ state, std::int64_t stride, float* __restrict__ x,
                                    std::int64_t D, std::int64_t n) {
  const std::int64_t d = static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x;
  if (d >= D) return;
  for (std::int64_t i = blockIdx.y; i < n; i += gridDim.y) x[i * D + d] = state[i * stride + d];
}

// No __restrict__ on sums and out: they may be the same.
__global__ void leak_kernel(const float* sums, std::int64_t sums_stride, const float* __restrict__ state,
                            std::int64_t state_stride, const float* __restrict__ c, float* out, std::int64_t out_stride,
                            std::int64_t n, std::int64_t D) {
  const std::int64_t d = static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x;
  if (d >= D) return;
  for (std::int64_t i = blockIdx.y; i < n; i += gridDim.y) {
    float f = sub(sums[i * sums_stride + d], state[i * state_stride + d]);
    if (c) f = add(f, c[d]);
    out[i * out_stride + d] = f;
  }
}

__global__ void __launch_bounds__(block_threads)
    langevin_update_kernel(LangevinUpdate q, const LangevinCall* __restrict__ shared_call, std::uint64_t step_offset) {
  const int lane = threadIdx.x % 32;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * block_chains + threadIdx.x / 32;
  if (i >= q.n) return;  // whole warps; there is no barrier below
  const LangevinCall call = *shared_call;
  const auto drift = [&](std::int64_t g, float(&f)[4]) {
    const float* const from = q.drift + i * q.drift_stride + 4 * g;
    load4(from, f);
    for (std::int64_t part = 1; part < q.n_parts; ++part) {
      float more[4];
      load4(from + part * q.part_stride, more);
#pragma unroll
      for (int k = 0; k < 4; ++k) f[k] = add(f[k], more[k]);
    }
  };
  step_chain(q, call, i, call.step + step_offset, drift, lane);
}

// Threads along the columns, blocks down the rows: enough of them to fill any card, the loop does the rest.
LaunchConfig by_rows(std::int64_t cols, std::int64_t rows, StreamHandle stream) {
  const std::int64_t across = (cols + block_threads - 1) / block_threads;
  const std::int64_t down = std::clamp<std::int64_t>(32768 / across, 1, std::min<std::int64_t>(rows, 65535));
  return {dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)), dim3(block_threads), 0, stream};
}

}  // namespace

void launch_begin_call(const LangevinCall& call, LangevinCall* to, StreamHandle stream) {
  launch(begin_call_kernel, {dim3(1), dim3(1), 0, stream}, call, to);
}

void launch_skip_steps(LangevinCall* call, std::uint64_t n, StreamHandle stream) {
  launch(skip_steps_kernel, {dim3(1), dim3(1), 0, stream}, call, n);
}

void launch_pack_state(const float* x, std::int64_t D, const float* u, std::int64_t U, float* state,
                       std::int64_t state_stride, std::int64_t n, StreamHandle stream) {
  if (n == 0) return;
  launch(pack_state_kernel, by_rows(state_stride, n, stream), x, D, u, U, state, state_stride, n);
}

void launch_unpack_state(const float* state, std::int64_t state_stride, float* x, std::int64_t D, std::int64_t n,
                         StreamHandle stream) {
  if (n == 0) return;
  launch(unpack_state_kernel, by_rows(D, n, stream), state, state_stride, x, D, n);
}

void launch_leak(const float* sums, std::int64_t sums_stride, const float* state, std::int64_t state_stride,
                 const float* c, float* out, std::int64_t out_stride, std::int64_t n, std::int64_t D,
                 StreamHandle stream) {
  if (n == 0) return;
  launch(leak_kernel, by_rows(D, n, stream), sums, sums_stride, state, state_stride, c, out, out_stride, n, D);
}

void launch_langevin_update(const LangevinUpdate& update, const LangevinCall* call, std::uint64_t step_offset,
                            StreamHandle stream) {
  if (update.n == 0) return;
  const std::int64_t blocks = (update.n + block_chains - 1) / block_chains;
  launch(langevin_update_kernel, {dim3(static_cast<unsigned>(blocks)), dim3(block_threads), 0, stream}, update, call,
         step_offset);
}

}  // namespace tarn::cuda
