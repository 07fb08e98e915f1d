// The table of fused small-D loops, one an instruction set.
#pragma once

#include <cstdint>

#include "small_network.hpp"
#include "tarn/core/isa.hpp"

namespace tarn::cpu {

struct SmallKernels {
  /// Advances chains `begin` to `end`, all steps of the call.
  void (*advance)(const SmallLangevinCall&, std::int64_t begin, std::int64_t end);
  void (*drift)(const SmallDriftCall&, std::int64_t begin, std::int64_t end);
  /// Chains that one pass of `advance` carries in registers: a good size for a piece of work.
  std::int64_t chains_a_pass;
};

const SmallKernels& small_kernels(Isa isa);

#define TARN_DECLARE_SMALL_KERNELS(isa) \
  namespace isa {                       \
  extern const SmallKernels table;      \
  }
TARN_DECLARE_SMALL_KERNELS(x86_64)
TARN_DECLARE_SMALL_KERNELS(x86_64_v3)
TARN_DECLARE_SMALL_KERNELS(x86_64_v4)
#undef TARN_DECLARE_SMALL_KERNELS

}  // namespace tarn::cpu
