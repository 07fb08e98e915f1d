// The one place outside compute/ that knows about nvcc: marks functions that run on host and device, and pins down the
// four IEEE operations that both must perform alike.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define TARN_HD __host__ __device__ __forceinline__
#elif defined(TARN_SANITIZED)
// Instrumented code grows so much that inlining everything would take minutes a file.
#define TARN_HD inline
#else
// Always inlined, so that copies compiled for different instruction sets cannot be merged by the linker.
#define TARN_HD inline __attribute__((always_inline))
#endif

// Host code in headers that files of several instruction sets include, for the same reason.
#if defined(TARN_SANITIZED)
#define TARN_HOST_INLINE inline
#else
#define TARN_HOST_INLINE inline __attribute__((always_inline))
#endif

namespace tarn {

// Each rounds once, to nearest even, on every device: nvcc may not contract them, and host code is built with
// -ffp-contract=off.
TARN_HD float fma(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}
TARN_HD float mul(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}
TARN_HD float add(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fadd_rn(a, b);
#else
  return a + b;
#endif
}
TARN_HD float sub(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fsub_rn(a, b);
#else
  return a - b;
#endif
}
TARN_HD float div(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fdiv_rn(a, b);
#else
  return a / b;
#endif
}
TARN_HD float sqrt(float a) {
#if defined(__CUDA_ARCH__)
  return __fsqrt_rn(a);
#else
  return __builtin_sqrtf(a);
#endif
}

TARN_HD std::int32_t as_int(float a) {
#if defined(__CUDA_ARCH__)
  return __float_as_int(a);
#else
  return std::bit_cast<std::int32_t>(a);
#endif
}
TARN_HD float as_float(std::int32_t a) {
#if defined(__CUDA_ARCH__)
  return __int_as_float(a);
#else
  return std::bit_cast<float>(a);
#endif
}
/// Exact for |a| <= 2^24, else rounded to nearest even.
TARN_HD float to_float(std::int32_t a) { return static_cast<float>(a); }

/// `condition ? a : b`; for packs, lane by lane.
TARN_HD float select(bool condition, float a, float b) { return condition ? a : b; }
TARN_HD std::int32_t select(bool condition, std::int32_t a, std::int32_t b) { return condition ? a : b; }

/// `a > 0 ? a : +0`; NaN gives +0 here, and shows itself through the leak term of the drift.
TARN_HD float positive_part(float a) { return a > 0.0f ? a : 0.0f; }
TARN_HD float abs(float a) { return as_float(as_int(a) & 0x7fffffff); }
/// Sign bit of `from` on the magnitude of `a` (>= 0).
TARN_HD float copy_sign(float a, float from) {
  return as_float(as_int(a) | (as_int(from) & static_cast<std::int32_t>(0x80000000u)));
}

// The integer words of Philox.
TARN_HD std::int32_t word_to_int(std::uint32_t a) { return static_cast<std::int32_t>(a); }
/// High and low halves of the 64-bit product `a * m`.
TARN_HD void multiply_wide(std::uint32_t a, std::uint32_t m, std::uint32_t& high, std::uint32_t& low) {
  const std::uint64_t product = static_cast<std::uint64_t>(a) * m;
  high = static_cast<std::uint32_t>(product >> 32);
  low = static_cast<std::uint32_t>(product);
}

}  // namespace tarn
