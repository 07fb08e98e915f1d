// Three kernels of a step in reservoir mode, between products:
//   impulse   y = scale (xi [+ xi_next]) + dt (f - g)                            writes y [n, stride]
//   relax     r = r + dt (a - r) [+ scale s_j (xi [+ xi_next])]                  r [n, N] in place, a [n, stride] read
//   settle    shift = clamp - x, x = clamp where that is finite; |x|^2 <= limit  x in place in the state, shift written
// The host adds y P^T and shift P^T to r by products. All row-major; a thread of impulse and of relax with private noise has four
// neighbouring components (a Philox block), settle has a warp a chain. 128 threads a block, no shared memory, deterministic. Moved: relax
// 12 bytes an element of r, the others 8 to 16 an element of x.
#include <algorithm>

#include "langevin_noise.cuh"
#include "platform.cuh"
#include "reservoir.hpp"

namespace tarn::cuda {
namespace {

constexpr int block_threads = 128;
constexpr int block_chains = block_threads / 32;

__global__ void __launch_bounds__(block_threads)
    impulse_kernel(ReservoirImpulse q, const LangevinCall* __restrict__ shared_call, std::uint64_t step_offset) {
  const std::int64_t g = static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x;
  const std::int64_t D = q.n_outputs;
  if (4 * g >= D) return;
  const LangevinCall call = *shared_call;
  for (std::int64_t i = blockIdx.y; i < q.n; i += gridDim.y) {
    float xi[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (q.noise && call.scale != 0.0f) {
      step_noise(call, call.first_chain + static_cast<std::uint64_t>(i), call.step + step_offset, step_stride(D), g,
                 xi);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const std::int64_t d = 4 * g + k;
      if (d >= D) break;
      float y = mul(call.scale, xi[k]);
      if (q.f) {
        float drift = q.leaked[i * q.stride + d];
        if (q.c) drift = sub(drift, q.c[d]);
        y = fma(call.dt, sub(q.f[i * q.stride + d], drift), y);
      }
      q.y[i * q.stride + d] = y;
    }
  }
}

__global__ void __launch_bounds__(block_threads) relax_kernel(ReservoirRelax q, const LangevinCall* __restrict__ call) {
  const std::int64_t j = static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x;
  if (j >= q.n_neurons) return;
  const float dt = call->dt;
  for (std::int64_t i = blockIdx.y; i < q.n; i += gridDim.y) {
    float* const r = q.r + i * q.n_neurons + j;
    *r = fma(dt, sub(q.a[i * q.stride + j], *r), *r);
  }
}

__global__ void __launch_bounds__(block_threads)
    relax_noisily_kernel(ReservoirRelax q, const LangevinCall* __restrict__ shared_call, std::uint64_t step_offset) {
  const std::int64_t g = static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x;
  const std::int64_t N = q.n_neurons;
  if (4 * g >= N) return;
  const LangevinCall call = *shared_call;
  for (std::int64_t i = blockIdx.y; i < q.n; i += gridDim.y) {
    float xi[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (call.scale != 0.0f) {
      step_noise(call, call.first_chain + static_cast<std::uint64_t>(i), call.step + step_offset, step_stride(N), g,
                 xi);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const std::int64_t j = 4 * g + k;
      if (j >= N) break;
      float r = q.r[i * N + j];
      r = fma(call.dt, sub(q.a[i * q.stride + j], r), r);
      q.r[i * N + j] = add(r, mul(mul(call.scale, q.private_noise[j]), xi[k]));
    }
  }
}

__global__ void __launch_bounds__(block_threads)
    settle_kernel(ReservoirSettle q, const LangevinCall* __restrict__ shared_call, std::uint64_t step_offset) {
  const int lane = threadIdx.x % 32;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * block_chains + threadIdx.x / 32;
  if (i >= q.n) return;  // whole warps; there is no barrier below
  const LangevinCall call = *shared_call;
  const std::int64_t D = q.n_outputs, N = q.n_neurons;
  float* const row = q.state + i * q.state_stride;
  float square = 0.0f;
  for (std::int64_t d = lane; d < D; d += 32) {
    float x = row[d];
    if (q.shift) {
      const float held = call.clamp[i * D + d];
      const bool clamped = held == held;
      q.shift[i * q.stride + d] = clamped ? sub(held, x) : 0.0f;
      x = select(clamped, held, x);
      row[d] = x;
    }
    square = fma(x, x, square);
  }
  if (warp_sum(square) <= call.limit) return;
  const float nan = __builtin_nanf("");
  for (std::int64_t d = lane; d < D; d += 32) row[d] = nan;
  // The shift of this chain is pushed into r afterwards, and leaves NaN as it is.
  for (std::int64_t j = lane; j < N; j += 32) q.r[i * N + j] = nan;
  if (lane == 0 && call.first_bad_step[i] < 0)
    call.first_bad_step[i] = static_cast<std::int64_t>(call.step + step_offset);
}

// Threads along the columns, blocks down the rows: enough of them to fill any card, the loop does the rest.
LaunchConfig by_rows(std::int64_t cols, std::int64_t rows, StreamHandle stream) {
  const std::int64_t across = (cols + block_threads - 1) / block_threads;
  const std::int64_t down = std::clamp<std::int64_t>(32768 / across, 1, std::min<std::int64_t>(rows, 65535));
  return {dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)), dim3(block_threads), 0, stream};
}

}  // namespace

void launch_reservoir_impulse(const ReservoirImpulse& impulse, const LangevinCall* call, std::uint64_t step_offset,
                              StreamHandle stream) {
  if (impulse.n == 0) return;
  launch(impulse_kernel, by_rows((impulse.n_outputs + 3) / 4, impulse.n, stream), impulse, call, step_offset);
}

void launch_reservoir_relax(const ReservoirRelax& relax, const LangevinCall* call, std::uint64_t step_offset,
                            StreamHandle stream) {
  if (relax.n == 0) return;
  if (relax.private_noise) {
    launch(relax_noisily_kernel, by_rows((relax.n_neurons + 3) / 4, relax.n, stream), relax, call, step_offset);
  } else {
    launch(relax_kernel, by_rows(relax.n_neurons, relax.n, stream), relax, call);
  }
}

void launch_reservoir_settle(const ReservoirSettle& settle, const LangevinCall* call, std::uint64_t step_offset,
                             StreamHandle stream) {
  if (settle.n == 0) return;
  const std::int64_t blocks = (settle.n + block_chains - 1) / block_chains;
  launch(settle_kernel, {dim3(static_cast<unsigned>(blocks)), dim3(block_threads), 0, stream}, settle, call,
         step_offset);
}

}  // namespace tarn::cuda
