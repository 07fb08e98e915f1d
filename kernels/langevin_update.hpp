// One Langevin step of many chains, once their drift is there; and how their states get into the products' layout and out of it.
#pragma once

#include <cstdint>

#include "handles.hpp"
#include "langevin_call.hpp"

namespace tarn::cuda {

/// `state[i, :] = [x[i, :], u[i, :], 0 ...]` over the whole `state_stride`; `x` `[n, D]`, `u` `[n, U]` or null. Asynchronous.
void launch_pack_state(const float* x, std::int64_t D, const float* u, std::int64_t U, float* state,
                       std::int64_t state_stride, std::int64_t n, StreamHandle stream);
/// `x[i, :] = state[i, :D]`. Asynchronous.
void launch_unpack_state(const float* state, std::int64_t state_stride, float* x, std::int64_t D, std::int64_t n,
                         StreamHandle stream);

/// `out = sums - x + c`, the drift before M; `c` `[D]` or null. `out` may be `sums`. Asynchronous.
void launch_leak(const float* sums, std::int64_t sums_stride, const float* state, std::int64_t state_stride,
                 const float* c, float* out, std::int64_t out_stride, std::int64_t n, std::int64_t D,
                 StreamHandle stream);

/// Where the drift of a step lies. Strides are multiples of 4, `state` and `drift` 16-byte aligned.
struct LangevinUpdate {
  std::int64_t n = 0, n_outputs = 0;
  float* state = nullptr;  ///< `[n, state_stride]`, of which the first D columns are x
  std::int64_t state_stride = 0;
  const float* drift = nullptr;  ///< `[n, drift_stride]`
  std::int64_t drift_stride = 0;
  /// Where more than 1, `drift` is that many matrices `part_stride` apart, which are added up in their order.
  std::int64_t n_parts = 1, part_stride = 0;
  bool leaks = false;        ///< `drift` holds the sums over the neurons alone: `-x + c` is added here
  const float* c = nullptr;  ///< `[D]` or null; where `leaks`
};

/// `x += dt f + scale (xi [+ xi_next])`, or a step with momentum where `call->v` is given, at step `call->step + step_offset`, then the clamp, then the bound: chains beyond it, or not
/// finite, read NaN and have the step noted. Asynchronous.
void launch_langevin_update(const LangevinUpdate& update, const LangevinCall* call, std::uint64_t step_offset,
                            StreamHandle stream);

}  // namespace tarn::cuda
