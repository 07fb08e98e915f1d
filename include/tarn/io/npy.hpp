// NumPy's .npy files (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), versions 1, 2 and 3.
#pragma once

#include <cstring>
#include <filesystem>
#include <span>
#include <string>

#include "tarn/core/matrix.hpp"
#include "tarn/io/element_type.hpp"
#include "tarn/io/file.hpp"

namespace tarn {

/// A C-order, little-endian array. `bytes` holds exactly `byte_count(shape, dtype)` bytes.
struct NpyArray {
  Shape shape;
  ElementType dtype = ElementType::f32;
  Bytes bytes;

  bool operator==(const NpyArray&) const = default;
};

/// Reads an array from the bytes of a .npy file; `name` stands in the errors. Throws `Error` for anything but a
/// well-formed little-endian, C-order array of f2, f4, f8, i1..i8, u1..u8 or bool whose size fits the bytes exactly.
NpyArray parse_npy(ByteView data, const std::string& name);
NpyArray read_npy(const std::filesystem::path& path, std::uint64_t max_bytes = default_read_limit);

/// As float32, `[n, 1]` from a 0-D or 1-D array; of an N-D array the first axis becomes the rows and the rest is
/// flattened.
Matrix<float> to_matrix(const NpyArray& array, const std::string& name);
Matrix<float> read_npy_matrix(const std::filesystem::path& path, std::uint64_t max_bytes = default_read_limit);

/// An array of the given values. Throws `Error` where the shape does not fit their count.
template <class T>
NpyArray make_npy(std::span<const T> values, Shape shape) {
  NpyArray array{std::move(shape), element_type_of<T>(), {}};
  const auto size = byte_count(array.shape, array.dtype, "array");
  require(size == values.size_bytes(), "{} values do not fill an array of shape {}", values.size(),
          to_string(array.shape));
  array.bytes.resize(size);
  if (size > 0) std::memcpy(array.bytes.data(), values.data(), size);
  return array;
}
/// A float32 array `[rows, cols]`, or of a shape with as many elements.
NpyArray make_npy(MatrixView<const float> values);
NpyArray make_npy(MatrixView<const float> values, Shape shape);

/// The bytes that `numpy.save` writes for this array.
Bytes encode_npy(const NpyArray& array);
/// Written atomically. Throws `Error`.
void write_npy(const std::filesystem::path& path, const NpyArray& array);
void write_npy(const std::filesystem::path& path, MatrixView<const float> values);
void write_npy(const std::filesystem::path& path, MatrixView<const float> values, Shape shape);

}  // namespace tarn
