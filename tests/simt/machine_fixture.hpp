// What tests of the emulator share: device arrays by a line, and the words of a fault.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "guards.hpp"
#include "platform.cuh"
#include "simt.hpp"

namespace simt::test {

#ifdef TARN_SIMT_ASAN
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// The statement breaks a memory rule: a fault whose text has the words, or the end of the program by the sanitizer.
#define EXPECT_CAUGHT(statement, words)                                                 \
  do {                                                                                  \
    if constexpr (simt::test::sanitized) {                                              \
      EXPECT_DEATH(statement, "AddressSanitizer|runtime error");                        \
    } else {                                                                            \
      EXPECT_THAT(simt::test::fault_of([&] { statement; }), testing::HasSubstr(words)); \
    }                                                                                   \
  } while (false)

template <class F>
std::string fault_of(F&& f) {
  try {
    f();
  } catch (const Fault& fault) {
    return fault.what();
  }
  return "no fault";
}

class Machine : public testing::Test {
 protected:
  void SetUp() override {
    set_order(0);
    set_lazy(true);
    before_ = live_allocations();
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
  }
  void TearDown() override {
    for (void* pointer : owned_) EXPECT_EQ(cudaFree(pointer), cudaSuccess);
    EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess);
    EXPECT_EQ(live_allocations(), before_);
    set_order(0);
    set_memory_limit(0);
  }
  template <class T>
  T* device(std::size_t n) {
    void* pointer = nullptr;
    EXPECT_EQ(cudaMalloc(&pointer, n * sizeof(T)), cudaSuccess);
    owned_.push_back(pointer);
    return static_cast<T*>(pointer);
  }
  template <class T>
  T* device(const std::vector<T>& values) {
    T* pointer = device<T>(values.size());
    EXPECT_EQ(cudaMemcpy(pointer, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
    return pointer;
  }
  /// After everything in the stream is done.
  template <class T>
  std::vector<T> host(const T* pointer, std::size_t n) {
    synchronize();
    std::vector<T> values(n);
    EXPECT_EQ(cudaMemcpy(values.data(), pointer, n * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }
  void synchronize() { EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess); }
  tarn::cuda::LaunchConfig config(unsigned grid, unsigned block, std::size_t shared_bytes = 0) {
    return {grid, block, shared_bytes, stream_};
  }

  cudaStream_t stream_ = nullptr;

 private:
  std::vector<void*> owned_;
  std::int64_t before_ = 0;
};

}  // namespace simt::test
