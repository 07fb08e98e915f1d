// The name of a device that CUDA and NVML share.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "check.hpp"

namespace tarn::bench {

/// "domain:bus:device.function" of a CUDA device.
inline std::string pci_bus_id(int ordinal) {
  char text[32] = {};
  TARN_CUDA_CHECK(cudaDeviceGetPCIBusId(text, static_cast<int>(sizeof text), ordinal));
  return text;
}

}  // namespace tarn::bench
