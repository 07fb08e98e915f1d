// What the kernels of a step need to know of a call. It lies in device memory, so that a recorded step serves every call.
#pragma once

#include <cstdint>

#include "handles.hpp"
#include "momentum_step.hpp"

namespace tarn::cuda {

struct LangevinCall {
  std::uint64_t seed = 0;
  std::uint64_t first_chain = 0;  ///< global number of row 0
  std::uint64_t step = 0;         ///< number of the next step; kernels add the offset that they were recorded with
  float dt = 0.0f;
  float scale = 0.0f;                      ///< of the normals; 0: no noise
  float limit = 0.0f;                      ///< of |x|^2
  bool midpoint = false;                   ///< Leimkuhler-Matthews: the normals of the next step are added
  const float* clamp = nullptr;            ///< `[n, D]`, NaN leaves free; or null
  std::int64_t* first_bad_step = nullptr;  ///< `[n]`
  float* v = nullptr;                      ///< `[n, D]` where the chains have a momentum, else null
  MomentumStep momentum;                   ///< ... and then its step, in place of `dt`, `scale` and `midpoint`
};

/// `*to = call`, from a copy: the caller's may go at once. Asynchronous.
void launch_begin_call(const LangevinCall& call, LangevinCall* to, StreamHandle stream);
/// `call->step += n`. Asynchronous.
void launch_skip_steps(LangevinCall* call, std::uint64_t n, StreamHandle stream);

}  // namespace tarn::cuda
