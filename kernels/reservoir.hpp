// What reservoir mode does beside its products: the neurons' own update, the push through P, clamped outputs, quarantine.
#pragma once

#include <cstdint>

#include "handles.hpp"
#include "langevin_call.hpp"

namespace tarn::cuda {

/// What enters the outputs in a step, `y = scale (xi [+ xi_next]) + dt (f - g)`, to be pushed into the neurons through P.
struct ReservoirImpulse {
  std::int64_t n = 0, n_outputs = 0;
  float* y = nullptr;  ///< `[n, stride]`
  std::int64_t stride = 0;
  bool noise = false;             ///< false: the noise is the neurons' own
  const float* f = nullptr;       ///< `[n, stride]` the drift, or null: f - g is 0
  const float* leaked = nullptr;  ///< `[n, stride]` `g + c`, where f is given
  const float* c = nullptr;       ///< `[D]` or null
};
/// At step `call->step + step_offset`. Asynchronous.
void launch_reservoir_impulse(const ReservoirImpulse& impulse, const LangevinCall* call, std::uint64_t step_offset,
                              StreamHandle stream);

/// The neurons' update. With `private_noise` a step's normals have N components.
struct ReservoirRelax {
  std::int64_t n = 0, n_neurons = 0;
  float* r = nullptr;        ///< `[n, N]`
  const float* a = nullptr;  ///< `[n, stride]` activations
  std::int64_t stride = 0;
  const float* private_noise = nullptr;  ///< `[N]` standard deviations, or null
};
/// `r += dt (a - r)`, and with private noise then `r += scale private_noise (xi [+ xi_next])`. Asynchronous.
void launch_reservoir_relax(const ReservoirRelax& relax, const LangevinCall* call, std::uint64_t step_offset,
                            StreamHandle stream);

/// After `x = r W_out^T` stands in `state`.
struct ReservoirSettle {
  std::int64_t n = 0, n_outputs = 0, n_neurons = 0;
  float* state = nullptr;  ///< `[n, state_stride]`, of which the first D columns are x
  std::int64_t state_stride = 0;
  float* r = nullptr;      ///< `[n, N]`
  float* shift = nullptr;  ///< `[n, stride]`: how far clamped outputs were moved; null where nothing is clamped
  std::int64_t stride = 0;
};
/// Clamped outputs are set; chains beyond the bound, or not finite, read NaN in x and r and have the step noted. Asynchronous.
void launch_reservoir_settle(const ReservoirSettle& settle, const LangevinCall* call, std::uint64_t step_offset,
                             StreamHandle stream);

}  // namespace tarn::cuda
