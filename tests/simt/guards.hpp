// Zones around memory that nobody may write to. The pattern is a NaN as float and as double, and no number that a kernel writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#define TARN_SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TARN_SIMT_ASAN 1
#endif
#endif
#ifdef TARN_SIMT_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace simt {

inline constexpr std::uint32_t guard_word = 0xfffbfbfbu;

/// Fills the zone; under the address sanitizer any access to it stops the program at once.
inline void set_guard(void* at, std::size_t bytes) {
  ASAN_UNPOISON_MEMORY_REGION(at, bytes);
  for (std::size_t i = 0; i < bytes; ++i)
    static_cast<unsigned char*>(at)[i] =
        static_cast<unsigned char>(guard_word >> (8 * (reinterpret_cast<std::uintptr_t>(at) + i) % 32));
  ASAN_POISON_MEMORY_REGION(at, bytes);
}

/// Where the zone was written to: the offset of the first such byte, or -1.
#ifdef TARN_SIMT_ASAN
__attribute__((no_sanitize("address")))
#endif
inline std::ptrdiff_t
guard_damage(const void* at, std::size_t bytes) {
  const auto* p = static_cast<const unsigned char*>(at);
  std::size_t i = 0;
  const auto byte = [&](std::size_t k) {
    return static_cast<unsigned char>(guard_word >> (8 * (reinterpret_cast<std::uintptr_t>(p) + k) % 32));
  };
  for (; i < bytes && (reinterpret_cast<std::uintptr_t>(p) + i) % 8 != 0; ++i) {
    if (p[i] != byte(i)) return static_cast<std::ptrdiff_t>(i);
  }
  constexpr std::uint64_t expected = std::uint64_t{guard_word} << 32 | guard_word;
  for (; i + 8 <= bytes; i += 8) {
    if (*reinterpret_cast<const std::uint64_t*>(p + i) != expected) break;
  }
  for (; i < bytes; ++i) {
    if (p[i] != byte(i)) return static_cast<std::ptrdiff_t>(i);
  }
  return -1;
}

}  // namespace simt
