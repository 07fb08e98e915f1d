// One step of the units of a layer in a hierarchical model.
#pragma once

#include <cstdint>
#include <optional>

#include "handles.hpp"
#include "hee_law.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::cuda {

/// Device arrays `[n_rows, stride]`, stride a multiple of 4, aligned to 16 bytes; elements beyond `n_units` are kept at 0.
struct HeeUpdateCall {
  std::int64_t n_rows = 0, n_units = 0, stride = 0;
  float* x = nullptr;              ///< advanced in place
  const float* message = nullptr;  ///< what the layer below says, without f'(x); null: nothing
  const float* eta = nullptr;      ///< one row for all where `shared_eta`
  bool shared_eta = false;
  float* fx = nullptr;                           ///< f(x), in and out; null where f is the identity
  float* v = nullptr;                            ///< momentum or adaptation, advanced in place; or null
  float* mean_sum = nullptr;                     ///< x before the step is added; or null
  const std::int64_t* first_bad_step = nullptr;  ///< `[n_rows]`; rows that are lost stay as they are
  int* bad = nullptr;  ///< `[n_rows]`: 1 is written where x (or v) is beyond `largest_state` or NaN
  std::int64_t n_components = 0, component = 0;  ///< of a step's noise; of unit 0
  std::int64_t noise_shared_with = 0;            ///< Leimkuhler-Matthews: the noise of this step and of so many later
  bool momentum = false;
  float dt = 0.0f, scale = 0.0f;         ///< of the drift; of the noise
  float decay = 0.0f;                    ///< momentum: `v = decay v + scale xi`
  float v_rate = 0.0f, strength = 0.0f;  ///< adaptation: `v += v_rate (strength x - v)`
};

/// `f`: the layer's nonlinearity. Noise of step `clock.step + step_offset`. The CPU's bits for the same message and eta. Asynchronous.
void launch_hee_update(const HeeLaw& law, std::optional<Nonlinearity> f, const HeeUpdateCall& call,
                       const HeeClock* clock, std::uint64_t step_offset, StreamHandle stream);

}  // namespace tarn::cuda
