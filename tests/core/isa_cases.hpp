// Pack operations and math functions as plain calls on arrays, compiled once per instruction set. The tests compare
// them with the same operations on numbers. No gtest and no standard containers in the per-set files: their inline
// functions, compiled for a newer machine, could be the copies that the linker keeps.
#pragma once

#include <cstdint>

#include "operations.hpp"
#include "tarn/core/isa.hpp"

namespace tarn::test {

inline constexpr int lanes = 16;

struct IsaCases {
  /// One operation on sixteen lanes.
  void (*apply_float)(FloatOperation, const float* a, const float* b, const float* c, float* out);
  void (*apply_int)(IntOperation, const std::int32_t* a, const std::int32_t* b, const std::int32_t* c,
                    std::int32_t* out);
  void (*apply_word)(WordOperation, const std::uint32_t* a, const std::uint32_t* b, std::uint32_t* out);
  std::int32_t (*word_to_int)(std::uint32_t value);  ///< through a pack
  /// A function on n numbers, n a multiple of 16: as packs and as single floats.
  void (*math_pack)(MathFunction, const float* x, float* y, std::int64_t n);
  void (*math_scalar)(MathFunction, const float* x, float* y, std::int64_t n);
  /// any(a == b), and bit i of the result of lane(a == b, i).
  bool (*any_equal)(const float* a, const float* b);
  std::uint32_t (*equal_lanes)(const float* a, const float* b);
  float (*sum)(const float* a);
  float (*lane)(const float* a, int i);
  /// Sixteen Philox blocks, `counter` `[4, 16]`.
  void (*philox)(std::uint32_t* counter, std::uint64_t key);
  int pack_lanes;
};

/// The copy for an instruction set that is among `available_isas()`.
const IsaCases& isa_cases(Isa isa);

#define TARN_DECLARE_ISA_CASES(isa) \
  namespace isa {                   \
  extern const IsaCases cases;      \
  }
TARN_DECLARE_ISA_CASES(x86_64)
TARN_DECLARE_ISA_CASES(x86_64_v3)
TARN_DECLARE_ISA_CASES(x86_64_v4)
#undef TARN_DECLARE_ISA_CASES

}  // namespace tarn::test
