// What all operations of the CUDA backend share: the device and its streams. One context a backend.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "blas.hpp"
#include "capture_window.hpp"
#include "check.hpp"
#include "streams.hpp"
#include "tarn/core/precision.hpp"
#include "tuner.hpp"

namespace tarn::cuda {

/// What is known of a device.
struct DeviceInfo {
  int ordinal = 0;
  std::string name;
  int major = 0, minor = 0;  ///< compute capability
  int n_multiprocessors = 0;
  std::int64_t shared_bytes_a_block = 0;  ///< most that a block may ask for
  std::int64_t l2_bytes = 0;
  std::int64_t total_bytes = 0, free_bytes = 0;  ///< device memory; free when it was asked
};

/// Facts of device `ordinal`. Throws `Error` where there is no such device.
DeviceInfo device_info(int ordinal);
/// The same, and makes the device current for this thread. Throws `Error` also where this build has no code for it.
DeviceInfo use_device(int ordinal);

struct Context {
  /// Makes the device current for this thread. Throws `Error` where it is not to be had.
  explicit Context(int ordinal, Precision precision = Precision::fp32);
  /// Makes it current for the calling thread: another thread, or one that used another backend in between, would allocate elsewhere.
  void make_current() const { TARN_CUDA_CHECK(cudaSetDevice(info.ordinal)); }
  DeviceInfo info;
  Precision precision;  ///< of large products while chains run
  CudaStream stream;    ///< where all computing goes
  CudaStream copies;    ///< copies that run beside it
  Tuner tuner;
  std::unique_ptr<Blas> blas;
  CaptureWindow capture;
};

}  // namespace tarn::cuda
