// One optimiser step for sixteen parameters in memory.
#pragma once

#include "adam_math.hpp"
#include "tarn/core/pack.hpp"

namespace tarn::cpu {

namespace TARN_ISA {

/// Where sixteen parameters and what belongs to them lie; `largest` and `average` may be null when not in use.
struct AdamSlots {
  float *weight, *first, *second, *largest, *average;
};

TARN_HD void adam_update(const AdamStep& s, Pack gradient, const AdamSlots& at) {
  AdamValues<Pack> p{Pack::load(at.weight), Pack::load(at.first), Pack::load(at.second),
                     s.amsgrad ? Pack::load(at.largest) : Pack(0.0f),
                     s.ema > 0.0f ? Pack::load(at.average) : Pack(0.0f)};
  adam_update_values(s, gradient, p);
  p.weight.store(at.weight);
  p.first.store(at.first);
  p.second.store(at.second);
  if (s.amsgrad) p.largest.store(at.largest);
  if (s.ema > 0.0f) p.average.store(at.average);
}

}  // namespace TARN_ISA
}  // namespace tarn::cpu
