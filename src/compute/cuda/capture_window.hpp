// What a profiler is to see: some calls of each kind after the first ones, which load modules, choose algorithms and record graphs.
#pragma once

#include <cuda_profiler_api.h>
#include <cuda_runtime_api.h>

#include "check.hpp"

namespace tarn::cuda {

/// Off until it is armed. Between `cudaProfilerStart` and `cudaProfilerStop`, nsys and ncu capture
/// (`nsys profile --capture-range=cudaProfilerApi`, `ncu --profile-from-start off`).
class CaptureWindow {
 public:
  enum Kind { training, sampling, n_kinds };

  CaptureWindow() = default;
  CaptureWindow(const CaptureWindow&) = delete;
  CaptureWindow& operator=(const CaptureWindow&) = delete;
  ~CaptureWindow() {
    if (is_open_) TARN_CUDA_NOTE(cudaProfilerStop());
  }

  void arm() { is_armed_ = true; }
  /// Called at the beginning of each call of the kind. Waits for the device where the window opens or closes.
  void enter(Kind kind) {
    if (!is_armed_) return;
    const int call = calls_[kind]++;
    if (call == first_call || call == first_call + n_calls) {
      TARN_CUDA_CHECK(cudaDeviceSynchronize());
      TARN_CUDA_CHECK(call == first_call ? cudaProfilerStart() : cudaProfilerStop());
      is_open_ = call == first_call;
    }
  }

 private:
  static constexpr int first_call = 3, n_calls = 3;
  bool is_armed_ = false, is_open_ = false;
  int calls_[n_kinds] = {};
};

}  // namespace tarn::cuda
