// Underdamped Langevin dynamics, dx = v dt, dv = (f - gamma v) dt + sqrt(2 gamma) dB, by BAOAB (Leimkuhler and Matthews 2013): kick,
// drift, exact Ornstein-Uhlenbeck step, drift, kick. The one body of this arithmetic, for packs of chains on the CPU and single ones on
// a device.
//
// The kick that closes a step and the one that opens the next are at the same x, so both are taken at the opening: one drift a
// step, and nothing but x and v is carried from step to step. `v` between steps is the one before the closing kick.
#pragma once

#include "tarn/core/host_device.hpp"

namespace tarn {

struct LangevinSteps;

/// What does not change within a call.
struct MomentumStep {
  float dt = 0.0f;     ///< of the kick
  float half = 0.0f;   ///< of each drift, dt / 2
  float keep = 0.0f;   ///< exp(-gamma dt): what friction leaves of v
  float scale = 0.0f;  ///< sqrt(1 - keep^2), of the noise that makes up for it
};

/// Worked out in double. `noise_scale` as in `LangevinSteps`.
MomentumStep momentum_step(double dt, double friction, double noise_scale = 1.0);
MomentumStep momentum_step(const LangevinSteps& steps);

/// Advances x and v by a step with drift `f` at x and the normal `xi`. `V` is float or Pack.
template <class V>
TARN_HD void take_momentum_step(const MomentumStep& s, const V& f, const V& xi, V& x, V& v) {
  v = fma(V(s.dt), f, v);
  x = fma(V(s.half), v, x);
  v = fma(V(s.scale), xi, mul(V(s.keep), v));
  x = fma(V(s.half), v, x);
}

}  // namespace tarn
