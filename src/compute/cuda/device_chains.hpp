// The state of a block of chains in device memory.
#pragma once

#include <cstdint>

namespace tarn::cuda {

/// Pointers to device memory, as in `ChainBlock` and `ReservoirBlock`. `n` chains, numbered from `LangevinSteps::first_chain`.
struct DeviceChains {
  std::int64_t n = 0;
  float* x = nullptr;                      ///< `[n, D]`
  const float* u = nullptr;                ///< `[n, U]`, null where U = 0
  const float* clamp = nullptr;            ///< `[n, D]`, NaN leaves free; or null
  std::int64_t* first_bad_step = nullptr;  ///< `[n]`
  float* v = nullptr;                      ///< `[n, D]`, or null: no momentum
  float* r = nullptr;                      ///< `[n, N]`, reservoir mode; else null
  const float* P = nullptr;                ///< `[N, D]`, reservoir mode
  const float* private_noise = nullptr;    ///< `[N]`, or null: the noise is the outputs'
};

}  // namespace tarn::cuda
