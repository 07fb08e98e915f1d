// One optimiser step for sixteen parameters: Adam and AdamW, with AMSGrad and a running mean of the weights.
#pragma once

#include "adam_step.hpp"
#include "tarn/core/pack.hpp"

namespace tarn::cpu {

namespace TARN_ISA {

/// Where sixteen parameters and what belongs to them lie; `largest` and `average` may be null when not in use.
struct AdamSlots {
  float *weight, *first, *second, *largest, *average;
};

TARN_HD void adam_update(const AdamStep& s, Pack gradient, const AdamSlots& at) {
  Pack w = Pack::load(at.weight), m = Pack::load(at.first), v = Pack::load(at.second);
  gradient = fma(Pack(s.l2), w, gradient * Pack(s.gradient_scale));
  m = fma(Pack(s.beta1), m, Pack(s.one_minus_beta1) * gradient);
  v = fma(Pack(s.beta2), v, Pack(s.one_minus_beta2) * (gradient * gradient));
  m.store(at.first);
  v.store(at.second);
  if (s.amsgrad) {
    const Pack largest = Pack::load(at.largest);
    v = select(v > largest, v, largest);
    v.store(at.largest);
  }
  const Pack denominator = fma(sqrt(v), Pack(s.inverse_correction), Pack(s.epsilon));
  w = fma(Pack(-s.step_size), m / denominator, w * Pack(s.shrink));
  w.store(at.weight);
  if (s.ema > 0.0f) {
    const Pack average = Pack::load(at.average);
    fma(Pack(s.ema), average - w, w).store(at.average);
  }
}

}  // namespace TARN_ISA
}  // namespace tarn::cpu
