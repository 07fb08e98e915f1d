// Elementwise loops of contrastive training, one set an instruction set.
#pragma once

#include <cstdint>

#include "adam_step.hpp"
#include "tarn/core/isa.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::energy {

/// A run of parameters and what the optimiser keeps of them; `largest` and `average` are touched only where the step uses them.
struct AdamRun {
  float *weight, *first, *second, *largest, *average;
};

struct Kernels {
  /// `out = phi(u)`; `out` may be `u`.
  void (*rate)(Nonlinearity phi, std::int64_t n, const float* u, float* out);
  /// `out = Phi(u)`, Phi' = phi: softplus for sigmoid, log cosh for tanh.
  void (*potential)(Nonlinearity phi, std::int64_t n, const float* u, float* out);
  /// `out = 1` where the uniform number of a word is below `p`, else 0; `out` may be `p`.
  void (*fire)(std::int64_t n, const std::uint32_t* words, const float* p, float* out);
  void (*adam)(const AdamStep& step, std::int64_t n, const float* gradient, const AdamRun& at);
};

const Kernels& kernels(Isa isa);

#define TARN_DECLARE_ENERGY_KERNELS(isa) \
  namespace isa {                        \
  extern const Kernels table;            \
  }
TARN_DECLARE_ENERGY_KERNELS(x86_64)
TARN_DECLARE_ENERGY_KERNELS(x86_64_v3)
TARN_DECLARE_ENERGY_KERNELS(x86_64_v4)
#undef TARN_DECLARE_ENERGY_KERNELS

}  // namespace tarn::energy
