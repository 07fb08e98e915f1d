// Memory of the device and page-locked memory of the host: move-only owners, by plain cudaMalloc.
#pragma once

#include <cuda_runtime_api.h>

#include <concepts>
#include <cstdint>
#include <utility>

#include "check.hpp"
#include "handles.hpp"
#include "tarn/core/error.hpp"

namespace tarn::cuda {

/// Where an array lies.
struct OnDevice {
  static void* allocate(std::size_t bytes) {
    void* data = nullptr;
    TARN_CUDA_CHECK(cudaMalloc(&data, bytes));
    return data;
  }
  static void release(void* data) { TARN_CUDA_NOTE(cudaFree(data)); }
};
struct PageLocked {
  static void* allocate(std::size_t bytes) {
    void* data = nullptr;
    TARN_CUDA_CHECK(cudaMallocHost(&data, bytes));
    return data;
  }
  static void release(void* data) { TARN_CUDA_NOTE(cudaFreeHost(data)); }
};

/// Owner of `n` elements, not initialised. Throws `Error` where memory is short.
template <class T, class Memory>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::int64_t n) : size_(n) {
    require(n >= 0, "a buffer of {} elements", n);
    if (n > 0) data_ = static_cast<T*>(Memory::allocate(bytes()));
  }
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
    if (data_) Memory::release(data_);
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  /// Where the host can read it.
  T& operator[](std::int64_t i) requires std::same_as<Memory, PageLocked> { return data_[i]; }
  const T& operator[](std::int64_t i) const requires std::same_as<Memory, PageLocked> { return data_[i]; }
  std::int64_t size() const { return size_; }
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }
  bool empty() const { return size_ == 0; }
  /// Room for at least `n`; what was in it is lost where it grows.
  void reserve(std::int64_t n) {
    if (n <= size_) return;
    *this = Buffer();  // the old memory goes first, so that both need not fit
    *this = Buffer(n);
  }

 private:
  T* data_ = nullptr;
  std::int64_t size_ = 0;
};

/// Device memory.
template <class T>
using DeviceBuffer = Buffer<T, OnDevice>;
/// Page-locked host memory, which copies can read and write while the host goes on.
template <class T>
using PinnedBuffer = Buffer<T, PageLocked>;

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
