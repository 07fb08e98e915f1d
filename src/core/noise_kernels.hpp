// The table of noise loops, one a instruction set.
#pragma once

#include <cstdint>

#include "tarn/core/isa.hpp"

namespace tarn::core {

struct NoiseRequest {
  std::uint64_t seed = 0;
  std::uint64_t subsequence = 0;  ///< stream << 48 | first chain
  std::uint64_t first_step = 0;
  std::int64_t n_steps = 0, n_chains = 0, n_components = 0;
};

struct NoiseKernels {
  void (*words)(const NoiseRequest&, std::uint32_t* out);
  void (*normals)(const NoiseRequest&, float* out);
};

const NoiseKernels& noise_kernels(Isa isa);

#define TARN_DECLARE_NOISE_KERNELS(isa) \
  namespace isa {                       \
  extern const NoiseKernels table;      \
  }
TARN_DECLARE_NOISE_KERNELS(x86_64)
TARN_DECLARE_NOISE_KERNELS(x86_64_v3)
TARN_DECLARE_NOISE_KERNELS(x86_64_v4)
#undef TARN_DECLARE_NOISE_KERNELS

}  // namespace tarn::core
