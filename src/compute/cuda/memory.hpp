// Memory of the device and page-locked memory of the host: move-only owners, by plain cudaMalloc.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <utility>

#include "check.hpp"
#include "handles.hpp"
#include "tarn/core/error.hpp"

namespace tarn::cuda {

/// `n` elements on the device, not initialised. Throws `Error` where memory is short.
template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::int64_t n) : size_(n) {
    require(n >= 0, "device memory: {} elements", n);
    if (n > 0) TARN_CUDA_CHECK(cudaMalloc(reinterpret_cast<void**>(&data_), bytes()));
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~DeviceBuffer() {
    if (data_) TARN_CUDA_NOTE(cudaFree(data_));
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::int64_t size() const { return size_; }
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }
  bool empty() const { return size_ == 0; }
  /// Room for at least `n`; what was in it is lost where it grows.
  void reserve(std::int64_t n) {
    if (n <= size_) return;
    *this = DeviceBuffer();  // the old memory goes first, so that both need not fit
    *this = DeviceBuffer(n);
  }

 private:
  T* data_ = nullptr;
  std::int64_t size_ = 0;
};

/// `n` elements of page-locked host memory, which copies can read and write while the host goes on.
template <class T>
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(std::int64_t n) : size_(n) {
    require(n >= 0, "page-locked memory: {} elements", n);
    if (n > 0)
      TARN_CUDA_CHECK(cudaMallocHost(reinterpret_cast<void**>(&data_), static_cast<std::size_t>(n) * sizeof(T)));
  }
  PinnedBuffer(PinnedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~PinnedBuffer() {
    if (data_) TARN_CUDA_NOTE(cudaFreeHost(data_));
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::int64_t i) { return data_[i]; }
  const T& operator[](std::int64_t i) const { return data_[i]; }
  std::int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void reserve(std::int64_t n) {
    if (n <= size_) return;
    *this = PinnedBuffer();
    *this = PinnedBuffer(n);
  }

 private:
  T* data_ = nullptr;
  std::int64_t size_ = 0;
};

/// Copies `n` elements. Asynchronous: host memory must stay as it is (page-locked memory to overlap) until the stream was waited for.
template <class T>
void copy_async(T* to, const T* from, std::int64_t n, StreamHandle stream) {
  if (n > 0)
    TARN_CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<std::size_t>(n) * sizeof(T), cudaMemcpyDefault, stream));
}
/// Sets `n` elements to all-zero bytes. Asynchronous.
template <class T>
void zero_async(T* to, std::int64_t n, StreamHandle stream) {
  if (n > 0) TARN_CUDA_CHECK(cudaMemsetAsync(to, 0, static_cast<std::size_t>(n) * sizeof(T), stream));
}

}  // namespace tarn::cuda
