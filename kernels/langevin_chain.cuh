// One step of one chain by the 32 lanes of a warp, once its drift is there: what langevin_update.cu launches by itself and what the fused
// kernels end a step with.
#pragma once

#include "langevin_noise.cuh"
#include "langevin_update.hpp"

namespace tarn::cuda {

__device__ __forceinline__ void load4(const float* from, float (&to)[4]) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  to[0] = v.x;
  to[1] = v.y;
  to[2] = v.z;
  to[3] = v.w;
}

/// Chain `i` of `q.state` moves on by its drift, of which `drift(g, f)` gives components 4 g to 4 g + 3, and the noise of step `step`; then
/// the clamp, then the bound. A lane has four neighbouring components and every 128th after them, and touches no others.
template <class Drift>
__device__ __forceinline__ void step_chain(const LangevinUpdate& q, const LangevinCall& call, std::int64_t i,
                                           std::uint64_t step, const Drift& drift, int lane) {
  const std::uint64_t chain = call.first_chain + static_cast<std::uint64_t>(i);
  const std::int64_t D = q.n_outputs, stride = step_stride(D), groups = (D + 3) / 4;
  float* const row = q.state + i * q.state_stride;

  float square = 0.0f;
  for (std::int64_t g = lane; g < groups; g += 32) {
    float x[4], f[4], xi[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    load4(row + 4 * g, x);
    drift(g, f);
    if (call.v) {
      step_normals(call.seed, chain, step, stride, g, xi);
    } else if (call.scale != 0.0f) {
      step_noise(call, chain, step, stride, g, xi);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const std::int64_t d = 4 * g + k;
      if (d >= D) break;  // inputs, or padding: written back as they are
      if (q.leaks) {
        f[k] = sub(f[k], x[k]);
        if (q.c) f[k] = add(f[k], q.c[d]);
      }
      float v = 0.0f;
      if (call.v) {
        v = call.v[i * D + d];
        take_momentum_step(call.momentum, f[k], xi[k], x[k], v);
      } else {
        x[k] = fma(call.dt, f[k], x[k]);
        if (call.scale != 0.0f) x[k] = fma(call.scale, xi[k], x[k]);
      }
      if (call.clamp) {
        const float held = call.clamp[i * D + d];
        x[k] = select(held == held, held, x[k]);
        v = select(held == held, 0.0f, v);
      }
      if (call.v) call.v[i * D + d] = v;
      square = fma(x[k], x[k], square);
    }
    *reinterpret_cast<float4*>(row + 4 * g) = make_float4(x[0], x[1], x[2], x[3]);
  }
  if (warp_sum(square) <= call.limit) return;
  for (std::int64_t g = lane; g < groups; g += 32) {  // a lane over its own components again
    for (std::int64_t d = 4 * g; d < 4 * g + 4 && d < D; ++d) {
      row[d] = __builtin_nanf("");
      if (call.v) call.v[i * D + d] = __builtin_nanf("");
    }
  }
  if (lane == 0 && call.first_bad_step[i] < 0) call.first_bad_step[i] = static_cast<std::int64_t>(step);
}

}  // namespace tarn::cuda
