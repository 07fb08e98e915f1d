// One optimiser step: Adam and AdamW, with AMSGrad and a running mean of the weights. The one body of this arithmetic, for packs of
// sixteen parameters on the CPU and single ones on a device.
#pragma once

#include "adam_step.hpp"
#include "tarn/core/host_device.hpp"

namespace tarn {

/// A parameter and what belongs to it; `largest` and `average` mean something only where the step uses them.
template <class V>
struct AdamValues {
  V weight, first, second, largest, average;
};

/// `V` is float or Pack.
template <class V>
TARN_HD void adam_update_values(const AdamStep& s, V gradient, AdamValues<V>& at) {
  const V w = at.weight;
  gradient = fma(V(s.l2), w, mul(gradient, V(s.gradient_scale)));
  at.first = fma(V(s.beta1), at.first, mul(V(s.one_minus_beta1), gradient));
  at.second = fma(V(s.beta2), at.second, mul(V(s.one_minus_beta2), mul(gradient, gradient)));
  V v = at.second;
  if (s.amsgrad) {
    v = select(v > at.largest, v, at.largest);
    at.largest = v;
  }
  const V denominator = fma(sqrt(v), V(s.inverse_correction), V(s.epsilon));
  at.weight = fma(V(-s.step_size), div(at.first, denominator), mul(w, V(s.shrink)));
  if (s.ema > 0.0f) at.average = fma(V(s.ema), sub(at.average, at.weight), at.weight);
}

}  // namespace tarn
