#include "tarn/io/element_type.hpp"

#include <bit>
#include <cstring>
#include <limits>

namespace tarn {
namespace {

static_assert(std::endian::native == std::endian::little,
              "arrays in files are little-endian and are copied as they are");

// Widened exactly: every half is a float.
float half_to_float(std::uint16_t h) {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000U) << 16;
  const std::uint32_t exponent = (h >> 10) & 0x1fU;
  const std::uint32_t mantissa = h & 0x3ffU;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 0xffU : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}

struct Half {
  std::uint16_t bits;
  explicit operator double() const { return half_to_float(bits); }
  explicit operator float() const { return half_to_float(bits); }
};
struct BrainFloat {
  std::uint16_t bits;
  explicit operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
  explicit operator double() const { return static_cast<float>(*this); }
};
struct Boolean {
  std::uint8_t bits;
  explicit operator float() const { return bits != 0 ? 1.0F : 0.0F; }
  explicit operator double() const { return bits != 0 ? 1.0 : 0.0; }
};

template <class In, class Out>
void convert(std::span<const std::byte> bytes, std::span<Out> out) {
  require(bytes.size() == out.size() * sizeof(In), "{} bytes do not hold {} elements of {} bytes", bytes.size(),
          out.size(), sizeof(In));
  for (std::size_t i = 0; i < out.size(); ++i) {
    In value;
    std::memcpy(&value, bytes.data() + i * sizeof(In), sizeof(In));
    out[i] = static_cast<Out>(value);
  }
}

template <class Out>
void convert_to(ElementType type, std::span<const std::byte> bytes, std::span<Out> out) {
  switch (type) {
    case ElementType::f16:
      return convert<Half>(bytes, out);
    case ElementType::bf16:
      return convert<BrainFloat>(bytes, out);
    case ElementType::f32:
      return convert<float>(bytes, out);
    case ElementType::f64:
      return convert<double>(bytes, out);
    case ElementType::i8:
      return convert<std::int8_t>(bytes, out);
    case ElementType::i16:
      return convert<std::int16_t>(bytes, out);
    case ElementType::i32:
      return convert<std::int32_t>(bytes, out);
    case ElementType::i64:
      return convert<std::int64_t>(bytes, out);
    case ElementType::u8:
      return convert<std::uint8_t>(bytes, out);
    case ElementType::u16:
      return convert<std::uint16_t>(bytes, out);
    case ElementType::u32:
      return convert<std::uint32_t>(bytes, out);
    case ElementType::u64:
      return convert<std::uint64_t>(bytes, out);
    case ElementType::boolean:
      return convert<Boolean>(bytes, out);
  }
  fail("element type {} is unknown", static_cast<int>(type));
}

}  // namespace

std::size_t size_of(ElementType type) {
  switch (type) {
    case ElementType::i8:
    case ElementType::u8:
    case ElementType::boolean:
      return 1;
    case ElementType::f16:
    case ElementType::bf16:
    case ElementType::i16:
    case ElementType::u16:
      return 2;
    case ElementType::f32:
    case ElementType::i32:
    case ElementType::u32:
      return 4;
    case ElementType::f64:
    case ElementType::i64:
    case ElementType::u64:
      return 8;
  }
  fail("element type {} is unknown", static_cast<int>(type));
}

std::string_view name_of(ElementType type) {
  switch (type) {
    case ElementType::f16:
      return "float16";
    case ElementType::bf16:
      return "bfloat16";
    case ElementType::f32:
      return "float32";
    case ElementType::f64:
      return "float64";
    case ElementType::i8:
      return "int8";
    case ElementType::i16:
      return "int16";
    case ElementType::i32:
      return "int32";
    case ElementType::i64:
      return "int64";
    case ElementType::u8:
      return "uint8";
    case ElementType::u16:
      return "uint16";
    case ElementType::u32:
      return "uint32";
    case ElementType::u64:
      return "uint64";
    case ElementType::boolean:
      return "bool";
  }
  return "unknown";
}

std::string to_string(const Shape& shape) {
  std::string out = "(";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (axis > 0) out += ", ";
    out += std::to_string(shape[axis]);
  }
  return out + (shape.size() == 1 ? ",)" : ")");
}

std::uint64_t byte_count(const Shape& shape, ElementType type, const std::string& what) {
  // Extents are multiplied as if none were zero, so that no array of any shape can overflow its strides.
  constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t count = size_of(type);
  bool empty = false;
  for (const auto extent : shape) {
    if (extent < 0) fail("{}: shape {} has a negative extent", what, to_string(shape));
    if (extent == 0) {
      empty = true;
      continue;
    }
    if (count > limit / static_cast<std::uint64_t>(extent)) {
      fail("{}: shape {} of {} is larger than any memory", what, to_string(shape), name_of(type));
    }
    count *= static_cast<std::uint64_t>(extent);
  }
  return empty ? 0 : count;
}

void convert_to_float(ElementType type, std::span<const std::byte> bytes, std::span<float> out) {
  convert_to(type, bytes, out);
}
void convert_to_double(ElementType type, std::span<const std::byte> bytes, std::span<double> out) {
  convert_to(type, bytes, out);
}

}  // namespace tarn
