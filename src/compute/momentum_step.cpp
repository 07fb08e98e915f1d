#include "momentum_step.hpp"

#include <cmath>

#include "tarn/compute/backend.hpp"

namespace tarn {

MomentumStep momentum_step(double dt, double friction, double noise_scale) {
  const double decay = friction * dt;
  MomentumStep s;
  s.dt = static_cast<float>(dt);
  s.half = static_cast<float>(0.5 * dt);
  s.keep = static_cast<float>(std::exp(-decay));
  s.scale = static_cast<float>(std::sqrt(-std::expm1(-2.0 * decay)) * noise_scale);
  return s;
}

MomentumStep momentum_step(const LangevinSteps& steps) {
  return momentum_step(steps.dt, steps.friction, steps.noise_scale);
}

}  // namespace tarn
