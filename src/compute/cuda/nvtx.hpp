// Names for Nsight: a range on every public operation.
#pragma once

#include <nvtx3/nvToolsExt.h>

namespace tarn::cuda {

/// A named stretch of host time, from construction to destruction. `name` is a literal.
class NvtxRange {
 public:
  explicit NvtxRange(const char* name) { nvtxRangePushA(name); }
  ~NvtxRange() { nvtxRangePop(); }
  NvtxRange(const NvtxRange&) = delete;
  NvtxRange& operator=(const NvtxRange&) = delete;
};

}  // namespace tarn::cuda
