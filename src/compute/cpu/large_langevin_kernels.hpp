// Elementwise work on panels of chains: noise, updates, quarantine. A panel has 32 lanes, one a chain, and a row of
// lanes a component.
#pragma once

#include <cstdint>

#include "gemm.hpp"
#include "momentum_step.hpp"
#include "tarn/core/isa.hpp"

namespace tarn::cpu {

/// Normals of one step of consecutive chains.
struct PanelNoise {
  std::uint64_t seed = 0;
  std::uint64_t subsequence = 0;  ///< stream << 48 | chain of lane 0
  std::uint64_t step = 0;
  std::int64_t n_components = 0;
  int packs = 2;  ///< 16 lanes each
};

/// One Langevin update of a panel: `x += dt f + scale (xi + xi_next)`, or, where `v` is given, a step with momentum; then clamp, then the
/// bound.
struct PanelUpdate {
  std::int64_t n_outputs = 0;
  int packs = 2;
  float* x = nullptr;              ///< `[D][32]`
  const float* f = nullptr;        ///< `[D][32]`
  const float* xi = nullptr;       ///< `[D][32]`, or null: no noise
  const float* xi_next = nullptr;  ///< `[D][32]`, or null: not added
  const float* clamp = nullptr;    ///< `[D][32]`, NaN leaves free, or null
  float dt = 0.0f, scale = 0.0f;
  float limit = 0.0f;  ///< of |x|^2
  float* v = nullptr;  ///< `[D][32]` or null
  MomentumStep momentum;
};

struct LargeLangevinKernels {
  void (*normals)(const PanelNoise&, float* out);
  /// `f = f - x + c`; `c` `[D]` may be null.
  void (*leak)(float* f, const float* x, const float* c, std::int64_t n_outputs);
  /// Returns the lanes that left the bound or are not finite, as bits; they read NaN now.
  std::uint32_t (*update)(const PanelUpdate&);
  /// The same check alone; lanes beyond it read NaN in `x` `[D][32]`.
  std::uint32_t (*escaped)(float* x, std::int64_t n_outputs, float limit, int packs);
  /// `y = scale (xi + xi_next) + dt extra`; `xi`, `xi_next` and `extra` may be null.
  void (*impulse)(float* y, const float* xi, const float* xi_next, float scale, const float* extra, float dt,
                  std::int64_t n);
  /// `r += dt (a - r)`.
  void (*relax)(float* r, const float* a, float dt, std::int64_t n);
};

const LargeLangevinKernels& large_langevin_kernels(Isa isa);

#define TARN_DECLARE_LARGE_LANGEVIN(isa)                  \
  namespace isa {                                         \
  extern const LargeLangevinKernels large_langevin_table; \
  }
TARN_DECLARE_LARGE_LANGEVIN(x86_64)
TARN_DECLARE_LARGE_LANGEVIN(x86_64_v3)
TARN_DECLARE_LARGE_LANGEVIN(x86_64_v4)
#undef TARN_DECLARE_LARGE_LANGEVIN

}  // namespace tarn::cpu
