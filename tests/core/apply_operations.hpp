// The lists of operations.hpp as functions over a value type. Included by the files compiled once per instruction set
// and by the tests, which run them on plain numbers; everything is inlined, so that no two copies meet in the linker.
#pragma once

#include "operations.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/core/host_device.hpp"

namespace tarn {

template <class W>
TARN_HD W wide_high(W a, std::uint32_t m) {
  W high, low;
  multiply_wide(a, m, high, low);
  return high;
}
template <class W>
TARN_HD W wide_low(W a, std::uint32_t m) {
  W high, low;
  multiply_wide(a, m, high, low);
  return low;
}
template <Nonlinearity phi, class V>
TARN_HD V slope(V u) {
  return activate_derivative<phi>(u, activate<phi>(u));
}

#define TARN_CASE(name, expression) \
  case Operation::name:             \
    return expression;

template <class V>
TARN_HD V apply_float(test::FloatOperation operation, V a, V b, V c) {
  using Operation = test::FloatOperation;
  switch (operation) {
    TARN_FLOAT_OPERATIONS(TARN_CASE)
    case Operation::count:
      break;
  }
  return a;
}
template <class V>
TARN_HD V apply_int(test::IntOperation operation, V a, V b, V c) {
  using Operation = test::IntOperation;
  switch (operation) {
    TARN_INT_OPERATIONS(TARN_CASE)
    case Operation::count:
      break;
  }
  return a;
}
template <class V>
TARN_HD V apply_word(test::WordOperation operation, V a, V b) {
  using Operation = test::WordOperation;
  switch (operation) {
    TARN_WORD_OPERATIONS(TARN_CASE)
    case Operation::count:
      break;
  }
  return a;
}
template <class V>
TARN_HD V apply_math(test::MathFunction function, V a) {
  using Operation = test::MathFunction;
  switch (function) {
    TARN_MATH_FUNCTIONS(TARN_CASE)
    case Operation::count:
      break;
  }
  return a;
}
#undef TARN_CASE

}  // namespace tarn
