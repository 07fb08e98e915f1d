// Streams, events and recorded graphs: move-only owners.
#pragma once

#include <cuda_runtime_api.h>

#include <exception>
#include <utility>

#include "check.hpp"
#include "handles.hpp"

namespace tarn::cuda {

/// An order of work on the device, independent of other streams.
class CudaStream {
 public:
  CudaStream() { TARN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  CudaStream(CudaStream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  CudaStream& operator=(CudaStream&& other) noexcept {
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~CudaStream() {
    if (stream_) TARN_CUDA_NOTE(cudaStreamDestroy(stream_));
  }
  StreamHandle handle() const { return stream_; }
  /// Blocks the host until everything in the stream is done.
  void synchronize() const { TARN_CUDA_CHECK(cudaStreamSynchronize(stream_)); }

 private:
  StreamHandle stream_ = nullptr;
};

/// Where an exception leaves its scope, waits until the stream is done: what is in it may still read or write the caller's memory.
class SettleOnThrow {
 public:
  explicit SettleOnThrow(StreamHandle stream) : stream_(stream) {}
  SettleOnThrow(const SettleOnThrow&) = delete;
  SettleOnThrow& operator=(const SettleOnThrow&) = delete;
  ~SettleOnThrow() {
    if (std::uncaught_exceptions() > n_before_) TARN_CUDA_NOTE(cudaStreamSynchronize(stream_));
  }

 private:
  StreamHandle stream_;
  int n_before_ = std::uncaught_exceptions();
};

/// A mark in a stream. Takes times only where `timed`.
class CudaEvent {
 public:
  explicit CudaEvent(bool timed = false) {
    TARN_CUDA_CHECK(cudaEventCreateWithFlags(&event_, timed ? cudaEventDefault : cudaEventDisableTiming));
  }
  CudaEvent(CudaEvent&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  CudaEvent& operator=(CudaEvent&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  ~CudaEvent() {
    if (event_) TARN_CUDA_NOTE(cudaEventDestroy(event_));
  }
  void record(StreamHandle stream) { TARN_CUDA_CHECK(cudaEventRecord(event_, stream)); }
  /// Work put into `stream` from now on begins after the mark.
  void hold(StreamHandle stream) const { TARN_CUDA_CHECK(cudaStreamWaitEvent(stream, event_, 0)); }
  /// Blocks the host until the mark is reached.
  void synchronize() const { TARN_CUDA_CHECK(cudaEventSynchronize(event_)); }
  /// From `start` to this mark; both timed, both reached.
  float milliseconds_since(const CudaEvent& start) const {
    float ms = 0.0f;
    TARN_CUDA_CHECK(cudaEventElapsedTime(&ms, start.event_, event_));
    return ms;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Work recorded once and launched many times. `body(stream)` puts the work into the stream; it must not allocate or wait.
class CudaGraph {
 public:
  CudaGraph() = default;
  template <class Body>
  CudaGraph(const CudaStream& stream, Body&& body) {
    TARN_CUDA_CHECK(cudaStreamBeginCapture(stream.handle(), cudaStreamCaptureModeThreadLocal));
    cudaGraph_t graph = nullptr;
    try {
      body(stream.handle());
    } catch (...) {
      cudaStreamEndCapture(stream.handle(), &graph);  // the first error is the one to report
      if (graph) cudaGraphDestroy(graph);
      throw;
    }
    TARN_CUDA_CHECK(cudaStreamEndCapture(stream.handle(), &graph));
    const cudaError_t error = cudaGraphInstantiate(&executable_, graph, 0);
    TARN_CUDA_NOTE(cudaGraphDestroy(graph));
    TARN_CUDA_CHECK(error);
  }
  CudaGraph(CudaGraph&& other) noexcept : executable_(std::exchange(other.executable_, nullptr)) {}
  CudaGraph& operator=(CudaGraph&& other) noexcept {
    std::swap(executable_, other.executable_);
    return *this;
  }
  ~CudaGraph() {
    if (executable_) TARN_CUDA_NOTE(cudaGraphExecDestroy(executable_));
  }
  bool empty() const { return executable_ == nullptr; }
  void launch(const CudaStream& stream) const { TARN_CUDA_CHECK(cudaGraphLaunch(executable_, stream.handle())); }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace tarn::cuda
