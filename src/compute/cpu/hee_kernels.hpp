// Elementwise work of inference in hierarchical models, on panels of chains: 32 lanes, one a chain, and a row of lanes a unit.
#pragma once

#include <array>
#include <cstdint>

#include "gemm.hpp"
#include "tarn/core/family.hpp"
#include "tarn/core/isa.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::cpu {

/// Normals of consecutive chains, one a lane.
struct LaneNoise {
  std::uint64_t seed = 0;
  std::uint64_t subsequence = 0;  ///< stream << 48 | chain of lane 0
  std::uint64_t offset = 0;       ///< step * stride + component, of the first row
};

/// Errors of one layer and panel: `error = (T(x) - m) g'(a)`, where m is `A'(eta)` or what the interneurons say.
struct HeeErrorCall {
  const void* law = nullptr;  ///< the family's struct
  std::int64_t n_units = 0;
  int packs = 2;             ///< 16 lanes each
  const float* x = nullptr;  ///< `[n][32]`
  float* a = nullptr;        ///< `[n][32]`; replaced by eta where `keeps_eta`
  bool keeps_eta = false;
  float* error = nullptr;  ///< `[n][32]`
  // Sampled interneurons only:
  float* e = nullptr;                ///< `[n * per_unit][32]`, advanced in place
  const void* relaxation = nullptr;  ///< the family's exact step, where it has one
  float dt = 0.0f, scale = 0.0f;     ///< else: the step in units of tau_e, and of its noise
  int per_unit = 1, substeps = 1;
  LaneNoise noise;
  std::uint64_t stride = 0;  ///< of `noise.offset`, from substep to substep
};

/// One step of one layer's units in a panel.
struct HeeUpdateCall {
  const void* law = nullptr;
  std::int64_t n_units = 0;
  int packs = 2;
  float* x = nullptr;              ///< `[n][32]`, advanced in place
  const float* message = nullptr;  ///< `[n][32]`, what the layer below says; null: nothing
  const float* eta = nullptr;      ///< `[n][32]`
  float* v = nullptr;              ///< `[n][32]`, momentum or adaptation; or null
  float* kept = nullptr;  ///< `[n][32]`, in: normals of this step, out: of the next, which `noise` names; or null
  LaneNoise noise;
  float dt = 0.0f, scale = 0.0f;         ///< of the drift; of the noise
  float decay = 0.0f;                    ///< momentum: `v = decay v + scale xi`
  float v_rate = 0.0f, strength = 0.0f;  ///< adaptation: `v += v_rate (strength x - v)`
  float* square = nullptr;               ///< `[32]`: x^2 (and v^2) are added
};

inline constexpr std::size_t n_families = family_names.size();

/// One function a family, in the order of their names.
struct HeeErrorKernels {
  std::array<void (*)(const HeeErrorCall&), n_families> exact, sampled;
  /// `out = T(x)`; n a multiple of 16.
  std::array<void (*)(const void* law, const float* x, float* out, std::int64_t n), n_families> statistic;
};

struct HeeUpdateKernels {
  std::array<void (*)(const HeeUpdateCall&), n_families> overdamped, momentum;
  /// `fx = f(x)`; n a multiple of 16, here and below.
  void (*activate)(Nonlinearity f, const float* x, float* fx, std::int64_t n);
  /// `message *= f'(x)`.
  void (*derive)(Nonlinearity f, const float* x, const float* fx, float* message, std::int64_t n);
  /// `sum += x`.
  void (*accumulate)(const float* x, float* sum, std::int64_t n);
};

struct HeeStatisticsKernels {
  /// A panel `[n_units][32]` to 32 rows, `row_stride` apart.
  void (*to_rows)(const float* panel, std::int64_t n_units, float* rows, std::int64_t row_stride);
  /// Adds the sum over lanes of each unit of panels `[n_panels][n_units][32]` to `sums` `[n_units]`; returns the sum of squares.
  double (*unit_sums)(const float* panels, std::int64_t n_panels, std::int64_t n_units, float* sums);
  /// Adds the sum of `n` values, a multiple of 16, and that of their squares.
  void (*moments)(const float* values, std::int64_t n, double& sum, double& square);
};

const HeeErrorKernels& hee_error_kernels(Isa isa);
const HeeUpdateKernels& hee_update_kernels(Isa isa);
const HeeStatisticsKernels& hee_statistics_kernels(Isa isa);

#define TARN_DECLARE_HEE_KERNELS(isa)                     \
  namespace isa {                                         \
  extern const HeeErrorKernels hee_error_table;           \
  extern const HeeUpdateKernels hee_update_table;         \
  extern const HeeStatisticsKernels hee_statistics_table; \
  }
TARN_DECLARE_HEE_KERNELS(x86_64)
TARN_DECLARE_HEE_KERNELS(x86_64_v3)
TARN_DECLARE_HEE_KERNELS(x86_64_v4)
#undef TARN_DECLARE_HEE_KERNELS

}  // namespace tarn::cpu
