// Device memory: what is in it, what it refuses, what it finds.
#include <cmath>
#include <limits>

#include "../../src/compute/cuda/memory.hpp"
#include "../message_of.hpp"
#include "machine_fixture.hpp"

namespace simt::test {
namespace {

using testing::HasSubstr;

class Memory : public Machine {};

TEST_F(Memory, IsNanUntilWritten) {
  float* x = device<float>(100);
  for (const float v : host(x, 100)) EXPECT_TRUE(std::isnan(v));
  cudaMemsetAsync(x, 0, 200, stream_);
  const auto found = host(x, 100);
  EXPECT_EQ(found[49], 0.0f);
  EXPECT_TRUE(std::isnan(found[50]));
}

TEST_F(Memory, CopiesInAllDirections) {
  const std::vector<float> from{1, 2, 3};
  float *a = device<float>(3), *b = device<float>(3);
  tarn::cuda::PinnedBuffer<float> pinned(3);
  std::vector<float> to(3), last(3);
  cudaMemcpyAsync(a, from.data(), 12, cudaMemcpyDefault, stream_);
  cudaMemcpyAsync(b, a, 12, cudaMemcpyDefault, stream_);
  cudaMemcpyAsync(pinned.data(), b, 12, cudaMemcpyDefault, stream_);
  cudaMemcpyAsync(to.data(), pinned.data(), 12, cudaMemcpyDefault, stream_);
  cudaMemcpy2DAsync(last.data(), 4, b, 8, 4, 2, cudaMemcpyDefault, stream_);
  synchronize();
  EXPECT_EQ(to, from);
  EXPECT_EQ(last, (std::vector<float>{1, 3, 0}));
}

TEST_F(Memory, CopiesBeyondAnAllocationOrInAWrongDirectionAreRefused) {
  float* x = device<float>(4);
  std::vector<float> y(8);
  EXPECT_EQ(cudaMemcpyAsync(x, y.data(), 20, cudaMemcpyDefault, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(y.data(), x + 1, 16, cudaMemcpyDefault, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(y.data(), x, 16, cudaMemcpyHostToDevice, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(x + 2, 0, 12, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(y.data(), 0, 4, stream_), cudaErrorInvalidValue);
}

TEST_F(Memory, ALimitMakesAllocationsFail) {
  const std::size_t used = used_bytes();
  set_memory_limit(used + (1 << 20));
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  EXPECT_EQ(free, 1u << 20);
  reset_peak();
  {
    tarn::cuda::DeviceBuffer<float> most((1 << 18) - 64);
    EXPECT_EQ(peak_bytes(), used + (1 << 20) - 256);
    const std::string message = tarn::test::message_of([] { tarn::cuda::DeviceBuffer<float> more(65); });
    EXPECT_THAT(message, HasSubstr("the GPU is out of memory (0.0 of 0.0 GiB are free)"));
    tarn::cuda::DeviceBuffer<float> last(64);
  }
  tarn::cuda::DeviceBuffer<float> all(1 << 18);
  void* pointer = nullptr;
  EXPECT_EQ(cudaMalloc(&pointer, std::numeric_limits<std::size_t>::max()), cudaErrorMemoryAllocation);
}

TEST_F(Memory, LeaksAreCounted) {
  const std::int64_t before = live_allocations();
  void *device = nullptr, *pinned = nullptr;
  cudaMalloc(&device, 5);
  cudaMallocHost(&pinned, 5);
  EXPECT_EQ(live_allocations(), before + 2);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  EXPECT_EQ(cudaFree(device), cudaSuccess);
  EXPECT_EQ(live_allocations(), before);
}

TEST_F(Memory, FreedTwiceOrElsewhereIsAFault) {
  void* pointer = nullptr;
  cudaMalloc(&pointer, 16);
  EXPECT_EQ(cudaFreeHost(pointer), cudaErrorInvalidValue);
  EXPECT_THAT(take_fault(), HasSubstr("cudaFreeHost of a pointer that cudaMallocHost did not give"));
  EXPECT_EQ(cudaFree(static_cast<char*>(pointer) + 4), cudaErrorInvalidValue);
  EXPECT_THAT(take_fault(), HasSubstr("cudaFree of a pointer"));
  EXPECT_EQ(cudaFree(pointer), cudaSuccess);
  EXPECT_EQ(cudaFree(pointer), cudaErrorInvalidValue);
  EXPECT_THAT(take_fault(), HasSubstr("or twice"));
}

TEST_F(Memory, WritesAroundPageLockedMemoryAreFoundWhenItIsFreed) {
  void* pointer = nullptr;
  cudaMallocHost(&pointer, 3);
  char* bytes = static_cast<char*>(pointer);
  EXPECT_CAUGHT(
      {
        bytes[3] = 1;
        cudaFreeHost(pointer);
        cudaDeviceSynchronize();
      },
      "page-locked memory of 3 bytes was written at byte 3");
  if (sanitized) cudaFreeHost(pointer);
}

TEST_F(Memory, FreeingWaitsForWorkThatUsesTheMemory) {
  std::vector<float> result(1), values{7.0f};
  void* pointer = nullptr;
  cudaMalloc(&pointer, 4);
  cudaMemcpyAsync(pointer, values.data(), 4, cudaMemcpyDefault, stream_);
  cudaMemcpyAsync(result.data(), pointer, 4, cudaMemcpyDefault, stream_);
  EXPECT_EQ(result[0], 0.0f);
  cudaFree(pointer);
  EXPECT_EQ(result[0], 7.0f);
}

TEST_F(Memory, TheDevice) {
  cudaDeviceProp p;
  ASSERT_EQ(cudaGetDeviceProperties(&p, 0), cudaSuccess);
  EXPECT_STREQ(p.name, "SIMT emulator");
  int value = 0;
  EXPECT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), cudaSuccess);
  EXPECT_EQ(value, 227 * 1024);
  EXPECT_EQ(cudaGetDeviceProperties(&p, 1), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaSetDevice(1), cudaErrorInvalidDevice);
  cudaPointerAttributes attributes;
  cudaPointerGetAttributes(&attributes, device<float>(4) + 3);
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  cudaPointerGetAttributes(&attributes, &attributes);
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
}

}  // namespace
}  // namespace simt::test
