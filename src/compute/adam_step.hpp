// The numbers of one optimiser step.
#pragma once

#include <cstdint>

namespace tarn {

struct OptimizerSettings;

/// Numbers of one optimiser step, worked out once in double on the host.
struct AdamStep {
  float beta1 = 0, beta2 = 0, one_minus_beta1 = 0, one_minus_beta2 = 0;
  float step_size = 0;           ///< lr / (1 - beta1^t)
  float inverse_correction = 0;  ///< 1 / sqrt(1 - beta2^t)
  float epsilon = 0;
  float l2 = 0;              ///< added to the gradient, times the weight (Adam)
  float shrink = 1;          ///< multiplies the weight first (AdamW: 1 - lr * decay)
  float gradient_scale = 1;  ///< clipping
  float ema = 0;             ///< 0 = none
  bool amsgrad = false;
};

/// Step `t` (from 1) at learning rate `lr`: bias corrections (Kingma and Ba 2015, algorithm 1) in double.
AdamStep adam_step(const OptimizerSettings& settings, double lr, std::int64_t t);

}  // namespace tarn
