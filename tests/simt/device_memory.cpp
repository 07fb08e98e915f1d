#include "device_memory.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <map>

#include "guards.hpp"
#include "queues.hpp"
#include "simt.hpp"

namespace simt {
namespace {

constexpr std::size_t alignment = 256, before = 1024, after = 4096;  // a block of 1024 floats too many is still seen
constexpr std::size_t default_limit = std::size_t{4} << 30;

struct Allocation {
  unsigned char* begin = nullptr;
  std::size_t bytes = 0;
  bool device = true;
};

std::size_t limit_from_environment() {
  const char* text = std::getenv("TARN_SIMT_MEMORY");
  const std::size_t limit = text ? std::strtoull(text, nullptr, 10) : 0;
  return limit ? limit : default_limit;
}

struct Memory {
  std::map<const unsigned char*, Allocation> allocations;
  std::size_t limit = limit_from_environment(), used = 0, peak = 0;
};
Memory& memory() {
  static auto* const all = new Memory;  // outlives static objects that own memory
  return *all;
}

// The allocation that starts at or before the address, if its guards reach that far.
const Allocation* find(const void* pointer) {
  const auto* address = static_cast<const unsigned char*>(pointer);
  auto next = memory().allocations.upper_bound(address);
  if (next == memory().allocations.begin()) return nullptr;
  const Allocation& found = std::prev(next)->second;
  return address <= found.begin + found.bytes ? &found : nullptr;
}

std::string damage_of(const Allocation& a) {
  const char* kind = a.device ? "device memory" : "page-locked memory";
  const std::size_t rest = (alignment - a.bytes % alignment) % alignment + after;
  if (const std::ptrdiff_t at = guard_damage(a.begin + a.bytes, rest); at >= 0)
    return fmt::format("{} of {} bytes was written at byte {}, beyond its end", kind, a.bytes,
                       a.bytes + static_cast<std::size_t>(at));
  if (const std::ptrdiff_t at = guard_damage(a.begin - before, before); at >= 0)
    return fmt::format("{} of {} bytes was written {} bytes before its begin", kind, a.bytes,
                       static_cast<std::ptrdiff_t>(before) - at);
  return {};
}

cudaError_t allocate(void** pointer, std::size_t bytes, bool device) {
  const std::lock_guard lock(machine());
  *pointer = nullptr;
  if (forbidden_while_capturing()) return cudaErrorStreamCaptureUnsupported;
  if (bytes == 0) return cudaSuccess;
  Memory& all = memory();
  const std::size_t padded = (bytes + alignment - 1) / alignment * alignment;
  if (padded < bytes || (device && padded > all.limit - std::min(all.used, all.limit)))
    return cudaErrorMemoryAllocation;
  auto* whole = static_cast<unsigned char*>(std::aligned_alloc(alignment, before + padded + after));
  if (!whole) return cudaErrorMemoryAllocation;
  unsigned char* begin = whole + before;
  std::memset(begin, 0xff, bytes);
  set_guard(whole, before);
  set_guard(begin + bytes, padded - bytes + after);
  all.allocations[begin] = {begin, bytes, device};
  if (device) all.used += padded, all.peak = std::max(all.peak, all.used);
  *pointer = begin;
  return cudaSuccess;
}

cudaError_t release(void* pointer, bool device) {
  const std::lock_guard lock(machine());
  if (!pointer) return cudaSuccess;
  if (forbidden_while_capturing()) return cudaErrorStreamCaptureUnsupported;
  Memory& all = memory();
  const auto found = all.allocations.find(static_cast<unsigned char*>(pointer));
  if (found == all.allocations.end() || found->second.device != device) {
    keep_fault(device ? "cudaFree of a pointer that cudaMalloc did not give, or twice"
                      : "cudaFreeHost of a pointer that cudaMallocHost did not give, or twice");
    return cudaErrorInvalidValue;
  }
  cudaError_t error = cudaSuccess;
  try {
    drain_all();  // as the real one: memory in use is not taken away
  } catch (const std::exception& fault) {
    keep_fault(fault.what());
    error = cudaErrorLaunchFailure;
  }
  const Allocation a = found->second;
  if (const std::string damage = damage_of(a); !damage.empty()) {
    keep_fault(damage.c_str());
    error = cudaErrorIllegalAddress;
  }
  all.allocations.erase(found);
  const std::size_t padded = (a.bytes + alignment - 1) / alignment * alignment;
  if (device) all.used -= padded;
  std::memset(a.begin, 0xff, a.bytes);  // who reads it later reads NaN, until somebody else gets it
  ASAN_UNPOISON_MEMORY_REGION(a.begin - before, before + padded + after);
  std::free(a.begin - before);
  return error;
}

// What is wrong with a copy, as far as the machine would see it.
cudaError_t check_copy(const void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const auto device = [](const void* p) {
    const Allocation* a = find(p);
    return a && a->device;
  };
  const auto fits = [bytes](const void* p) {
    const Allocation* a = find(p);
    return !a || static_cast<const unsigned char*>(p) + bytes <= a->begin + a->bytes;
  };
  if (bytes > 0 && (!to || !from)) return cudaErrorInvalidValue;
  if (!fits(to) || !fits(from)) return cudaErrorInvalidValue;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind != cudaMemcpyDefault && bytes > 0 && (device(to) != to_device || device(from) != from_device))
    return cudaErrorInvalidValue;
  return cudaSuccess;
}

}  // namespace

std::string memory_damage() {
  for (const auto& [begin, allocation] : memory().allocations) {
    if (std::string damage = damage_of(allocation); !damage.empty()) {
      // said once
      set_guard(allocation.begin - before, before);
      set_guard(allocation.begin + allocation.bytes, (alignment - allocation.bytes % alignment) % alignment + after);
      return damage;
    }
  }
  return {};
}
bool is_device_pointer(const void* pointer) { return !pointer || find(pointer); }

void set_memory_limit(std::size_t bytes) {
  const std::lock_guard lock(machine());
  memory().limit = bytes ? bytes : limit_from_environment();
}
std::int64_t live_allocations() {
  const std::lock_guard lock(machine());
  return static_cast<std::int64_t>(memory().allocations.size());
}
std::size_t used_bytes() {
  const std::lock_guard lock(machine());
  return memory().used;
}
std::size_t peak_bytes() {
  const std::lock_guard lock(machine());
  return memory().peak;
}
void reset_peak() {
  const std::lock_guard lock(machine());
  memory().peak = memory().used;
}

}  // namespace simt

using namespace simt;

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::lock_guard lock(machine());
  *total = memory().limit;
  *free = memory().limit - std::min(memory().used, memory().limit);
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** pointer, size_t bytes) { return allocate(pointer, bytes, true); }
cudaError_t cudaFree(void* pointer) { return release(pointer, true); }
cudaError_t cudaMallocHost(void** pointer, size_t bytes) { return allocate(pointer, bytes, false); }
cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) { return allocate(pointer, bytes, false); }
cudaError_t cudaFreeHost(void* pointer) { return release(pointer, false); }

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  const std::lock_guard lock(machine());
  const Allocation* a = find(pointer);
  *attributes = {cudaMemoryTypeUnregistered, 0, nullptr, nullptr};
  if (a) {
    attributes->type = a->device ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
    attributes->devicePointer = const_cast<void*>(pointer);
    if (!a->device) attributes->hostPointer = attributes->devicePointer;
  }
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const std::lock_guard lock(machine());
  if (const cudaError_t error = check_copy(to, from, bytes, kind); error != cudaSuccess) return error;
  if (bytes > 0) push(stream, {[=] { std::memmove(to, from, bytes); }, nullptr, nullptr});
  return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  const std::lock_guard lock(machine());
  if (width > to_pitch || width > from_pitch) return cudaErrorInvalidValue;
  if (width == 0 || height == 0) return cudaSuccess;
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  for (std::size_t row : {std::size_t{0}, height - 1}) {
    if (const cudaError_t error = check_copy(out + row * to_pitch, in + row * from_pitch, width, kind);
        error != cudaSuccess)
      return error;
  }
  const auto copy = [=] {
    for (std::size_t row = 0; row < height; ++row) std::memmove(out + row * to_pitch, in + row * from_pitch, width);
  };
  push(stream, {copy, nullptr, nullptr});
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(machine());
  const Allocation* a = find(to);
  if (bytes > 0 && (!a || static_cast<unsigned char*>(to) + bytes > a->begin + a->bytes)) return cudaErrorInvalidValue;
  if (bytes > 0) push(stream, {[=] { std::memset(to, value, bytes); }, nullptr, nullptr});
  return cudaSuccess;
}

// Through the default stream: what other streams do (cudaStreamNonBlocking) is not waited for.
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const std::lock_guard lock(machine());
  if (forbidden_while_capturing()) return cudaErrorStreamCaptureUnsupported;
  const cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
  return error == cudaSuccess ? cudaStreamSynchronize(nullptr) : error;
}
cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  const std::lock_guard lock(machine());
  if (forbidden_while_capturing()) return cudaErrorStreamCaptureUnsupported;
  const cudaError_t error = cudaMemsetAsync(to, value, bytes, nullptr);
  return error == cudaSuccess ? cudaStreamSynchronize(nullptr) : error;
}
