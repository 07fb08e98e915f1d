#include "adam_step.hpp"

#include <cmath>

#include "tarn/compute/dsm.hpp"

namespace tarn {

AdamStep adam_step(const OptimizerSettings& o, double lr, std::int64_t t) {
  const auto n = static_cast<double>(t);
  AdamStep s;
  s.beta1 = static_cast<float>(o.beta1);
  s.beta2 = static_cast<float>(o.beta2);
  s.one_minus_beta1 = static_cast<float>(1.0 - o.beta1);
  s.one_minus_beta2 = static_cast<float>(1.0 - o.beta2);
  s.step_size = static_cast<float>(lr / (1.0 - std::pow(o.beta1, n)));
  s.inverse_correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(o.beta2, n)));
  s.epsilon = static_cast<float>(o.epsilon);
  if (o.kind == OptimizerKind::adam) {
    s.l2 = static_cast<float>(o.weight_decay);
  } else {
    s.shrink = static_cast<float>(1.0 - lr * o.weight_decay);
  }
  s.ema = static_cast<float>(o.ema);
  s.amsgrad = o.amsgrad;
  return s;
}

}  // namespace tarn
