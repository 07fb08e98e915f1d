// The device that tests of the CUDA backend run on: the emulator, or a GPU where the program was built for one and finds it.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tarn/compute/backend.hpp"

namespace tarn::test {

inline constexpr bool emulated = TARN_TEST_EMULATED;

/// Why there is no device; empty where there is one, as the emulator always is.
inline std::string device_missing() {
  int n_devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&n_devices);
  if (error != cudaSuccess) return std::string("no GPU: ") + cudaGetErrorString(error);
  return n_devices > 0 ? "" : "no GPU";
}

/// Throws where the device is not to be had: TARN_NEEDS_DEVICE first.
inline std::unique_ptr<Backend> cuda_backend() { return make_backend("cuda"); }

}  // namespace tarn::test

/// First line of a test: skips it, visibly, where there is no device. Not in constructors.
#define TARN_NEEDS_DEVICE()                                                                     \
  do {                                                                                          \
    if (const std::string tarn_missing = ::tarn::test::device_missing(); !tarn_missing.empty()) \
      GTEST_SKIP() << tarn_missing;                                                             \
  } while (false)
