// Compiled once per instruction set; see isa_cases.hpp.
#include "apply_operations.hpp"
#include "isa_cases.hpp"
#include "tarn/core/pack.hpp"
#include "tarn/core/philox.hpp"

namespace tarn::test::TARN_ISA {
namespace {

void run_float(FloatOperation operation, const float* a, const float* b, const float* c, float* out) {
  apply_float(operation, Pack::load(a), Pack::load(b), Pack::load(c)).store(out);
}
void run_int(IntOperation operation, const std::int32_t* a, const std::int32_t* b, const std::int32_t* c,
             std::int32_t* out) {
  apply_int(operation, IntPack::load(a), IntPack::load(b), IntPack::load(c)).store(out);
}
void run_word(WordOperation operation, const std::uint32_t* a, const std::uint32_t* b, std::uint32_t* out) {
  apply_word(operation, WordPack::load(a), WordPack::load(b)).store(out);
}
std::int32_t run_word_to_int(std::uint32_t value) { return word_to_int(WordPack(value)).lane(pack_lanes - 1); }

// One loop per function, so that the compiler treats each as library code would be treated.
#define TARN_LOOPS(name, expression)                             \
  void name##_pack(const float* x, float* y, std::int64_t n) {   \
    for (std::int64_t i = 0; i < n; i += pack_lanes) {           \
      const Pack a = Pack::load(x + i);                          \
      (expression).store(y + i);                                 \
    }                                                            \
  }                                                              \
  void name##_scalar(const float* x, float* y, std::int64_t n) { \
    for (std::int64_t i = 0; i < n; ++i) {                       \
      const float a = x[i];                                      \
      y[i] = expression;                                         \
    }                                                            \
  }
TARN_MATH_FUNCTIONS(TARN_LOOPS)
#undef TARN_LOOPS

void run_math_pack(MathFunction function, const float* x, float* y, std::int64_t n) {
  switch (function) {
#define TARN_CALL(name, expression) \
  case MathFunction::name:          \
    return name##_pack(x, y, n);
    TARN_MATH_FUNCTIONS(TARN_CALL)
#undef TARN_CALL
    case MathFunction::count:
      break;
  }
}
void run_math_scalar(MathFunction function, const float* x, float* y, std::int64_t n) {
  switch (function) {
#define TARN_CALL(name, expression) \
  case MathFunction::name:          \
    return name##_scalar(x, y, n);
    TARN_MATH_FUNCTIONS(TARN_CALL)
#undef TARN_CALL
    case MathFunction::count:
      break;
  }
}

bool any_equal(const float* a, const float* b) { return any(Pack::load(a) == Pack::load(b)); }
std::uint32_t equal_lanes(const float* a, const float* b) {
  const Mask mask = Pack::load(a) == Pack::load(b);
  std::uint32_t bits = 0;
  for (int i = 0; i < pack_lanes; ++i) bits |= static_cast<std::uint32_t>(tarn::lane(mask, i)) << i;
  return bits;
}
float run_sum(const float* a) { return sum(Pack::load(a)); }
float run_lane(const float* a, int i) { return Pack::load(a).lane(i); }

void philox(std::uint32_t* counter, std::uint64_t key) {
  WordPack c[4];
  for (int k = 0; k < 4; ++k) c[k] = WordPack::load(counter + k * pack_lanes);
  philox4x32_10(c, key);
  for (int k = 0; k < 4; ++k) c[k].store(counter + k * pack_lanes);
}

}  // namespace

const IsaCases cases{run_float, run_int,     run_word, run_word_to_int, run_math_pack, run_math_scalar,
                     any_equal, equal_lanes, run_sum,  run_lane,        philox,        pack_lanes};

}  // namespace tarn::test::TARN_ISA
