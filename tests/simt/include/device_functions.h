// What device code calls beyond C++: built-in variables, barriers, shuffles, votes, atomics, bits. Barriers and collectives go to
// the scheduler of block.cpp; since one thread of the device runs at a time, an atomic is a plain operation.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "../block.hpp"

// The scheduler sets them whenever another thread goes on.
inline uint3 threadIdx{}, blockIdx{};
inline dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

// Where a barrier or collective stands in the source; filled in by the compiler at the call.
#define TARN_SIMT_SITE \
  const char *function = __builtin_FUNCTION(), const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(TARN_SIMT_SITE) { simt::barrier(false, {"barrier", function, file, line}); }
inline int __syncthreads_count(int predicate, TARN_SIMT_SITE) {
  return simt::barrier(predicate != 0, {"barrier", function, file, line});
}
inline int __syncthreads_or(int predicate, TARN_SIMT_SITE) {
  return simt::barrier(predicate != 0, {"barrier", function, file, line}) > 0;
}
inline int __syncthreads_and(int predicate, TARN_SIMT_SITE) {
  return simt::barrier(predicate == 0, {"barrier", function, file, line}) == 0;
}

inline void __syncwarp(unsigned mask = 0xffffffffu, TARN_SIMT_SITE) {
  simt::vote(mask, false, {"__syncwarp", function, file, line});
}
inline unsigned __ballot_sync(unsigned mask, int predicate, TARN_SIMT_SITE) {
  return simt::vote(mask, predicate != 0, {"__ballot_sync", function, file, line});
}
inline int __any_sync(unsigned mask, int predicate, TARN_SIMT_SITE) {
  return simt::vote(mask, predicate != 0, {"__any_sync", function, file, line}) != 0;
}
inline int __all_sync(unsigned mask, int predicate, TARN_SIMT_SITE) {
  return simt::vote(mask, predicate != 0, {"__all_sync", function, file, line}) == mask;
}

namespace simt {
// The lane that is read lies in the caller's segment of `width` lanes; beyond it a lane reads itself.
template <class T>
T shuffle_value(unsigned mask, T value, int source, const Site& site) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8),
                "CUDA shuffles numbers of 4 and 8 bytes");
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle(mask, bits, source, site);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
}  // namespace simt

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, TARN_SIMT_SITE) {
  const int lane = simt::lane(), first = lane & ~(width - 1);
  return simt::shuffle_value(mask, value, first + (source & (width - 1)), {"__shfl_sync", function, file, line});
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, TARN_SIMT_SITE) {
  const int lane = simt::lane(), end = (lane & ~(width - 1)) + width, source = lane ^ lane_mask;
  return simt::shuffle_value(mask, value, source < end ? source : lane, {"__shfl_xor_sync", function, file, line});
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, TARN_SIMT_SITE) {
  const int lane = simt::lane(), end = (lane & ~(width - 1)) + width, source = lane + static_cast<int>(delta);
  return simt::shuffle_value(mask, value, source < end ? source : lane, {"__shfl_down_sync", function, file, line});
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, TARN_SIMT_SITE) {
  const int lane = simt::lane(), first = lane & ~(width - 1), source = lane - static_cast<int>(delta);
  return simt::shuffle_value(mask, value, source >= first ? source : lane, {"__shfl_up_sync", function, file, line});
}
#undef TARN_SIMT_SITE

inline void __threadfence() {}
inline void __threadfence_block() {}

// As many types as CUDA has, and no conversions on the way.
#define TARN_SIMT_ATOMIC(T, name, expression) \
  inline T name(T* address, T value) {        \
    const T old = *address;                   \
    *address = static_cast<T>(expression);    \
    return old;                               \
  }
#define TARN_SIMT_ATOMICS(T)                                \
  TARN_SIMT_ATOMIC(T, atomicAdd, old + value)               \
  TARN_SIMT_ATOMIC(T, atomicMin, value < old ? value : old) \
  TARN_SIMT_ATOMIC(T, atomicMax, value > old ? value : old) \
  TARN_SIMT_ATOMIC(T, atomicAnd, old& value)                \
  TARN_SIMT_ATOMIC(T, atomicOr, old | value)                \
  TARN_SIMT_ATOMIC(T, atomicXor, old ^ value)               \
  TARN_SIMT_ATOMIC(T, atomicExch, value)                    \
  inline T atomicCAS(T* address, T compare, T value) {      \
    const T old = *address;                                 \
    if (old == compare) *address = value;                   \
    return old;                                             \
  }
TARN_SIMT_ATOMICS(int)
TARN_SIMT_ATOMICS(unsigned)
TARN_SIMT_ATOMICS(unsigned long long)
TARN_SIMT_ATOMIC(float, atomicAdd, old + value)
TARN_SIMT_ATOMIC(double, atomicAdd, old + value)
TARN_SIMT_ATOMIC(float, atomicExch, value)
#undef TARN_SIMT_ATOMICS
#undef TARN_SIMT_ATOMIC

template <class T>
T __ldg(const T* address) {
  return *address;
}
template <class T>
T __ldcs(const T* address) {
  return *address;
}
template <class T>
void __stcs(T* address, T value) {
  *address = value;
}

inline int __popc(unsigned a) { return std::popcount(a); }
inline int __popcll(unsigned long long a) { return std::popcount(a); }
inline int __clz(int a) { return std::countl_zero(static_cast<unsigned>(a)); }
inline int __clzll(long long a) { return std::countl_zero(static_cast<unsigned long long>(a)); }
inline int __ffs(int a) { return a == 0 ? 0 : std::countr_zero(static_cast<unsigned>(a)) + 1; }
inline int __ffsll(long long a) { return a == 0 ? 0 : std::countr_zero(static_cast<unsigned long long>(a)) + 1; }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<unsigned long long>(a) * b) >> 32);
}
inline int __float_as_int(float a) { return std::bit_cast<int>(a); }
inline unsigned __float_as_uint(float a) { return std::bit_cast<unsigned>(a); }
inline float __int_as_float(int a) { return std::bit_cast<float>(a); }
inline float __uint_as_float(unsigned a) { return std::bit_cast<float>(a); }
inline long long __double_as_longlong(double a) { return std::bit_cast<long long>(a); }
inline double __longlong_as_double(long long a) { return std::bit_cast<double>(a); }

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return __builtin_sqrtf(a); }
inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }

// CUDA has these in the global namespace.
#define TARN_SIMT_MINMAX(T)                           \
  constexpr T min(T a, T b) { return b < a ? b : a; } \
  constexpr T max(T a, T b) { return a < b ? b : a; }
TARN_SIMT_MINMAX(int)
TARN_SIMT_MINMAX(unsigned)
TARN_SIMT_MINMAX(long)
TARN_SIMT_MINMAX(unsigned long)
TARN_SIMT_MINMAX(long long)
TARN_SIMT_MINMAX(unsigned long long)
#undef TARN_SIMT_MINMAX
inline float min(float a, float b) { return __builtin_fminf(a, b); }
inline float max(float a, float b) { return __builtin_fmaxf(a, b); }
inline double min(double a, double b) { return __builtin_fmin(a, b); }
inline double max(double a, double b) { return __builtin_fmax(a, b); }
