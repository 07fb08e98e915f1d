// Sixteen lanes of float or 32-bit integer, as one value: two AVX2 registers, one AVX-512 register, four of SSE2 or NEON.
// Every instruction set has the same sixteen lanes, so sums over lanes have one order everywhere. Operations are those of
// host_device.hpp, lane by lane, bit for bit. GCC and clang vector extensions carry most of it; fma, square root and the wide
// product are intrinsics, because the extensions do not offer them.
#pragma once

#include <cstdint>
#include <cstring>

#include "tarn/core/host_device.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace tarn {
#if defined(TARN_ISA)
inline namespace TARN_ISA {  // types differ between instruction sets, so their names must
#endif

#if defined(__AVX512F__)
inline constexpr int register_lanes = 16;
#elif defined(__AVX2__) && defined(__FMA__)
inline constexpr int register_lanes = 8;
#else
inline constexpr int register_lanes = 4;
#endif
inline constexpr int pack_lanes = 16;
inline constexpr int pack_parts = pack_lanes / register_lanes;

typedef float FloatRegister __attribute__((vector_size(register_lanes * 4)));
typedef std::int32_t IntRegister __attribute__((vector_size(register_lanes * 4)));
typedef std::uint32_t WordRegister __attribute__((vector_size(register_lanes * 4)));

template <class Register, class Element>
struct Lanes {
  Register part[pack_parts];

  Lanes() = default;
  TARN_HD Lanes(Element value) {  // NOLINT: a number stands for sixteen of it
    for (auto& p : part) p = value - Register{};
  }
  TARN_HD static Lanes load(const Element* from) {
    Lanes r;
    std::memcpy(&r, from, sizeof r);
    return r;
  }
  TARN_HD void store(Element* to) const { std::memcpy(to, this, sizeof *this); }
  TARN_HD Element lane(int i) const { return part[i / register_lanes][i % register_lanes]; }
};

using Pack = Lanes<FloatRegister, float>;
using IntPack = Lanes<IntRegister, std::int32_t>;
using WordPack = Lanes<WordRegister, std::uint32_t>;

#define TARN_PACK_BINARY(Type, op)                                           \
  TARN_HD Type operator op(const Type& a, const Type& b) {                   \
    Type r;                                                                  \
    for (int i = 0; i < pack_parts; ++i) r.part[i] = a.part[i] op b.part[i]; \
    return r;                                                                \
  }
TARN_PACK_BINARY(Pack, +)
TARN_PACK_BINARY(Pack, -)
TARN_PACK_BINARY(Pack, *)
TARN_PACK_BINARY(Pack, /)
TARN_PACK_BINARY(IntPack, +)
TARN_PACK_BINARY(IntPack, -)
TARN_PACK_BINARY(IntPack, &)
TARN_PACK_BINARY(IntPack, |)
TARN_PACK_BINARY(IntPack, ^)
TARN_PACK_BINARY(WordPack, +)
TARN_PACK_BINARY(WordPack, -)
TARN_PACK_BINARY(WordPack, &)
TARN_PACK_BINARY(WordPack, |)
TARN_PACK_BINARY(WordPack, ^)
#undef TARN_PACK_BINARY

#define TARN_PACK_SHIFT(Type, op)                                    \
  TARN_HD Type operator op(const Type& a, int n) {                   \
    Type r;                                                          \
    for (int i = 0; i < pack_parts; ++i) r.part[i] = a.part[i] op n; \
    return r;                                                        \
  }
TARN_PACK_SHIFT(IntPack, <<)
TARN_PACK_SHIFT(IntPack, >>)
TARN_PACK_SHIFT(WordPack, <<)
TARN_PACK_SHIFT(WordPack, >>)
#undef TARN_PACK_SHIFT

/// A condition per lane: all bits set where it holds.
struct Mask {
  IntRegister part[pack_parts];
};
#define TARN_PACK_COMPARE(Type, op)                                                         \
  TARN_HD Mask operator op(const Type& a, const Type& b) {                                  \
    Mask r;                                                                                 \
    for (int i = 0; i < pack_parts; ++i) r.part[i] = (IntRegister)(a.part[i] op b.part[i]); \
    return r;                                                                               \
  }
TARN_PACK_COMPARE(Pack, <)
TARN_PACK_COMPARE(Pack, <=)
TARN_PACK_COMPARE(Pack, >)
TARN_PACK_COMPARE(Pack, >=)
TARN_PACK_COMPARE(Pack, ==)
TARN_PACK_COMPARE(Pack, !=)
TARN_PACK_COMPARE(IntPack, ==)
TARN_PACK_COMPARE(IntPack, !=)
TARN_PACK_COMPARE(IntPack, >)
#undef TARN_PACK_COMPARE

TARN_HD bool any(const Mask& m) {
  IntRegister all = m.part[0];
  for (int i = 1; i < pack_parts; ++i) all |= m.part[i];
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)all, (__m512i)all) != 0;
#elif defined(__AVX2__)
  return _mm256_testz_si256((__m256i)all, (__m256i)all) == 0;
#else
  std::int32_t bits = 0;
  for (int i = 0; i < register_lanes; ++i) bits |= all[i];
  return bits != 0;
#endif
}
TARN_HD Mask operator!(const Mask& m) {
  Mask r;
  for (int i = 0; i < pack_parts; ++i) r.part[i] = ~m.part[i];
  return r;
}
TARN_HD bool lane(const Mask& m, int i) { return m.part[i / register_lanes][i % register_lanes] != 0; }

TARN_HD Pack select(const Mask& m, const Pack& a, const Pack& b) {
  Pack r;
  for (int i = 0; i < pack_parts; ++i) r.part[i] = m.part[i] ? a.part[i] : b.part[i];
  return r;
}
TARN_HD IntPack select(const Mask& m, const IntPack& a, const IntPack& b) {
  IntPack r;
  for (int i = 0; i < pack_parts; ++i) r.part[i] = m.part[i] ? a.part[i] : b.part[i];
  return r;
}

#if !defined(__AVX512F__) && !(defined(__AVX2__) && defined(__FMA__))
// Without the instruction each lane is a call of the C library; out of line, or the baseline's code would grow a hundredfold.
inline __attribute__((noinline)) Pack fma_by_lane(const Pack& a, const Pack& b, const Pack& c) {
  Pack r;
  for (int i = 0; i < pack_parts; ++i) {
    for (int k = 0; k < register_lanes; ++k) r.part[i][k] = __builtin_fmaf(a.part[i][k], b.part[i][k], c.part[i][k]);
  }
  return r;
}
#endif
TARN_HD Pack fma(const Pack& a, const Pack& b, const Pack& c) {
#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
  Pack r;
  for (int i = 0; i < pack_parts; ++i) {
#if defined(__AVX512F__)
    r.part[i] = (FloatRegister)_mm512_fmadd_ps((__m512)a.part[i], (__m512)b.part[i], (__m512)c.part[i]);
#else
    r.part[i] = (FloatRegister)_mm256_fmadd_ps((__m256)a.part[i], (__m256)b.part[i], (__m256)c.part[i]);
#endif
  }
  return r;
#else
  return fma_by_lane(a, b, c);
#endif
}
TARN_HD Pack sqrt(const Pack& a) {
  Pack r;
  for (int i = 0; i < pack_parts; ++i) {
#if defined(__AVX512F__)
    r.part[i] = (FloatRegister)_mm512_sqrt_ps((__m512)a.part[i]);
#elif defined(__AVX2__)
    r.part[i] = (FloatRegister)_mm256_sqrt_ps((__m256)a.part[i]);
#else
    for (int k = 0; k < register_lanes; ++k) r.part[i][k] = __builtin_sqrtf(a.part[i][k]);
#endif
  }
  return r;
}
TARN_HD Pack positive_part(const Pack& a) {
  Pack r;
  for (int i = 0; i < pack_parts; ++i) {
    // The second operand is returned where either is NaN, and for equal zeros: +0, as in the scalar form.
#if defined(__AVX512F__)
    r.part[i] = (FloatRegister)_mm512_max_ps((__m512)a.part[i], _mm512_setzero_ps());
#elif defined(__AVX2__)
    r.part[i] = (FloatRegister)_mm256_max_ps((__m256)a.part[i], _mm256_setzero_ps());
#else
    r.part[i] = a.part[i] > FloatRegister{} ? a.part[i] : FloatRegister{};
#endif
  }
  return r;
}

TARN_HD Pack mul(const Pack& a, const Pack& b) { return a * b; }
TARN_HD Pack add(const Pack& a, const Pack& b) { return a + b; }
TARN_HD Pack sub(const Pack& a, const Pack& b) { return a - b; }
TARN_HD Pack div(const Pack& a, const Pack& b) { return a / b; }

TARN_HD IntPack as_int(const Pack& a) { return std::bit_cast<IntPack>(a); }
TARN_HD Pack as_float(const IntPack& a) { return std::bit_cast<Pack>(a); }
TARN_HD IntPack word_to_int(const WordPack& a) { return std::bit_cast<IntPack>(a); }
TARN_HD Pack to_float(const IntPack& a) {
  Pack r;
  for (int i = 0; i < pack_parts; ++i) r.part[i] = __builtin_convertvector(a.part[i], FloatRegister);
  return r;
}
TARN_HD Pack abs(const Pack& a) { return as_float(as_int(a) & IntPack(0x7fffffff)); }
TARN_HD Pack copy_sign(const Pack& a, const Pack& from) {
  return as_float(as_int(a) | (as_int(from) & IntPack(static_cast<std::int32_t>(0x80000000u))));
}

TARN_HD void multiply_wide(const WordPack& a, std::uint32_t m, WordPack& high, WordPack& low) {
  for (int i = 0; i < pack_parts; ++i) {
    // Even and odd lanes are multiplied apart, since a 64-bit product fills two; then their halves are put side by side.
#if defined(__AVX512F__)
    const auto v = (__m512i)a.part[i], factor = _mm512_set1_epi64(m);
    const auto even = _mm512_mul_epu32(v, factor), odd = _mm512_mul_epu32(_mm512_srli_epi64(v, 32), factor);
    high.part[i] = (WordRegister)_mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
    low.part[i] = (WordRegister)_mm512_mask_shuffle_epi32(even, 0xaaaa, odd, _MM_PERM_CCAA);
#elif defined(__AVX2__) && defined(__FMA__)
    const auto v = (__m256i)a.part[i], factor = _mm256_set1_epi64x(m);
    const auto even = _mm256_mul_epu32(v, factor), odd = _mm256_mul_epu32(_mm256_shuffle_epi32(v, 0xf5), factor);
    high.part[i] = (WordRegister)_mm256_blend_epi32(_mm256_shuffle_epi32(even, 0xf5), odd, 0xaa);
    low.part[i] = (WordRegister)_mm256_blend_epi32(even, _mm256_shuffle_epi32(odd, 0xa0), 0xaa);
#elif defined(__SSE2__)
    const auto v = (__m128i)a.part[i], factor = _mm_set1_epi64x(m);
    const auto even = _mm_mul_epu32(v, factor), odd = _mm_mul_epu32(_mm_srli_epi64(v, 32), factor);
    high.part[i] = (WordRegister)_mm_unpacklo_epi32(_mm_shuffle_epi32(even, 0x0d), _mm_shuffle_epi32(odd, 0x0d));
    low.part[i] = (WordRegister)_mm_unpacklo_epi32(_mm_shuffle_epi32(even, 0x08), _mm_shuffle_epi32(odd, 0x08));
#else
    for (int k = 0; k < register_lanes; ++k) {
      const std::uint64_t product = static_cast<std::uint64_t>(a.part[i][k]) * m;
      high.part[i][k] = static_cast<std::uint32_t>(product >> 32);
      low.part[i][k] = static_cast<std::uint32_t>(product);
    }
#endif
  }
}

/// Sum over lanes by the fixed tree 8, 4, 2, 1: lane i with lane i + 8, and so on.
TARN_HD float sum(const Pack& a) {
  float v[pack_lanes];
  a.store(v);
  for (int half = 8; half >= 1; half /= 2) {
    for (int i = 0; i < half; ++i) v[i] = v[i] + v[i + half];
  }
  return v[0];
}

#if defined(TARN_ISA)
}  // inline namespace
#endif
}  // namespace tarn
