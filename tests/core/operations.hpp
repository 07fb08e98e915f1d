// Every operation of host_device.hpp, pack.hpp, math.hpp and activations.hpp as one list of expressions, so that the
// same text runs on a number and on a pack, and the two can be held against each other on every instruction set.
#pragma once

#include <cstdint>

// X(name, expression of a, b, c); V is float or Pack.
#define TARN_FLOAT_OPERATIONS(X)                 \
  X(add_operator, a + b)                         \
  X(subtract_operator, a - b)                    \
  X(multiply_operator, a* b)                     \
  X(divide_operator, a / b)                      \
  X(add_function, add(a, b))                     \
  X(subtract_function, sub(a, b))                \
  X(multiply_function, mul(a, b))                \
  X(divide_function, div(a, b))                  \
  X(fused_multiply_add, fma(a, b, c))            \
  X(square_root, sqrt(a))                        \
  X(positive_part, positive_part(a))             \
  X(absolute, abs(a))                            \
  X(copy_sign, copy_sign(abs(a), b))             \
  X(less, select(a < b, a, c))                   \
  X(less_equal, select(a <= b, a, c))            \
  X(greater, select(a > b, a, c))                \
  X(greater_equal, select(a >= b, a, c))         \
  X(equal, select(a == b, V(1.0f), V(2.0f)))     \
  X(not_equal, select(a != b, V(1.0f), V(2.0f))) \
  X(negated, select(!(a < b), a, c))             \
  X(number, V(-0.0f))                            \
  X(bits_and_back, as_float(as_int(a)))

// V is std::int32_t or IntPack, F the float that belongs to it. Sums stay clear of overflow, which is undefined for
// numbers.
#define TARN_INT_OPERATIONS(X)       \
  X(add, (a >> 1) + (b >> 1))        \
  X(subtract, (a >> 1) - (b >> 1))   \
  X(bit_and, a& b)                   \
  X(bit_or, a | b)                   \
  X(bit_xor, a ^ b)                  \
  X(shift_left, a << 5)              \
  X(shift_right, a >> 5)             \
  X(equal, select(a == b, a, c))     \
  X(not_equal, select(a != b, a, c)) \
  X(greater, select(a > b, a, c))    \
  X(number, V(-12345))               \
  X(to_float, as_int(to_float(a)))   \
  X(to_float_small, as_int(to_float(a >> 9)))

// V is std::uint32_t or WordPack.
#define TARN_WORD_OPERATIONS(X)                   \
  X(add, a + b)                                   \
  X(subtract, a - b)                              \
  X(bit_and, a& b)                                \
  X(bit_or, a | b)                                \
  X(bit_xor, a ^ b)                               \
  X(shift_left, a << 7)                           \
  X(shift_right, a >> 7)                          \
  X(number, V(0xfedcba98u))                       \
  X(wide_high_first, wide_high(a, 0xd2511f53u))   \
  X(wide_low_first, wide_low(a, 0xd2511f53u))     \
  X(wide_high_second, wide_high(b, 0xcd9e8d57u))  \
  X(wide_low_second, wide_low(b, 0xcd9e8d57u))    \
  X(wide_high_largest, wide_high(a, 0xffffffffu)) \
  X(wide_low_largest, wide_low(a, 0xffffffffu))

// Functions of one number a; V is float or Pack.
#define TARN_MATH_FUNCTIONS(X)                                 \
  X(exp, math::exp(a))                                         \
  X(log, math::log(a))                                         \
  X(tanh, math::tanh(a))                                       \
  X(sigmoid, math::sigmoid(a))                                 \
  X(softplus, math::softplus(a))                               \
  X(expm1_negative, math::expm1_negative(a))                   \
  X(relu, activate<Nonlinearity::relu>(a))                     \
  X(leaky_relu, activate<Nonlinearity::leaky_relu>(a))         \
  X(activate_tanh, activate<Nonlinearity::tanh>(a))            \
  X(activate_softplus, activate<Nonlinearity::softplus>(a))    \
  X(activate_sigmoid, activate<Nonlinearity::sigmoid>(a))      \
  X(relu_derivative, slope<Nonlinearity::relu>(a))             \
  X(leaky_relu_derivative, slope<Nonlinearity::leaky_relu>(a)) \
  X(tanh_derivative, slope<Nonlinearity::tanh>(a))             \
  X(softplus_derivative, slope<Nonlinearity::softplus>(a))     \
  X(sigmoid_derivative, slope<Nonlinearity::sigmoid>(a))

namespace tarn::test {

#define TARN_NAME(name, expression) name,
enum class FloatOperation : int { TARN_FLOAT_OPERATIONS(TARN_NAME) count };
enum class IntOperation : int { TARN_INT_OPERATIONS(TARN_NAME) count };
enum class WordOperation : int { TARN_WORD_OPERATIONS(TARN_NAME) count };
enum class MathFunction : int { TARN_MATH_FUNCTIONS(TARN_NAME) count };
#undef TARN_NAME

#define TARN_STRING(name, expression) #name,
inline constexpr const char* float_operation_names[] = {TARN_FLOAT_OPERATIONS(TARN_STRING)};
inline constexpr const char* int_operation_names[] = {TARN_INT_OPERATIONS(TARN_STRING)};
inline constexpr const char* word_operation_names[] = {TARN_WORD_OPERATIONS(TARN_STRING)};
inline constexpr const char* math_function_names[] = {TARN_MATH_FUNCTIONS(TARN_STRING)};
#undef TARN_STRING

}  // namespace tarn::test
