// Element types of arrays in files, and their conversion to float.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tarn/core/error.hpp"

namespace tarn {

/// Little-endian numbers. `bf16` exists in safetensors only.
enum class ElementType : std::uint8_t { f16, bf16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64, boolean };

/// Bytes of one element.
std::size_t size_of(ElementType type);
/// "float32", "uint8", "bool": for messages.
std::string_view name_of(ElementType type);

template <class T>
constexpr ElementType element_type_of();
template <>
constexpr ElementType element_type_of<float>() {
  return ElementType::f32;
}
template <>
constexpr ElementType element_type_of<double>() {
  return ElementType::f64;
}
template <>
constexpr ElementType element_type_of<std::int64_t>() {
  return ElementType::i64;
}
template <>
constexpr ElementType element_type_of<std::int32_t>() {
  return ElementType::i32;
}
template <>
constexpr ElementType element_type_of<std::uint64_t>() {
  return ElementType::u64;
}
template <>
constexpr ElementType element_type_of<std::uint8_t>() {
  return ElementType::u8;
}

using Shape = std::vector<std::int64_t>;

/// "(3, 4)", "(5,)", "()", as Python writes it.
std::string to_string(const Shape& shape);
/// Bytes that an array of this shape takes; throws `Error` naming `what` where an extent is negative or the product
/// overflows.
std::uint64_t byte_count(const Shape& shape, ElementType type, const std::string& what);
/// Converts every element of `bytes` to float (round to nearest; non-zero booleans are 1) into `out`, one element each.
/// Throws `Error` where the counts differ.
void convert_to_float(ElementType type, std::span<const std::byte> bytes, std::span<float> out);
/// The same to double.
void convert_to_double(ElementType type, std::span<const std::byte> bytes, std::span<double> out);

}  // namespace tarn
