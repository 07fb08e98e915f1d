// The safetensors format (https://github.com/huggingface/safetensors), read strictly and written reproducibly.
#pragma once

#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/io/element_type.hpp"
#include "tarn/io/file.hpp"

namespace tarn {

/// C-order, little-endian. `bytes` holds exactly `byte_count(shape, dtype)` bytes.
struct Tensor {
  ElementType dtype = ElementType::f32;
  Shape shape;
  Bytes bytes;

  bool operator==(const Tensor&) const = default;
};

/// The contents of a file. `source` names it in errors. A file written by tarn has "format_version" and "xxh3" in its
/// metadata.
struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
  std::string source = "tensors";

  bool has(const std::string& name) const { return tensors.contains(name); }
  /// Throws `Error` naming the tensors that do exist.
  const Tensor& at(const std::string& name) const;
  /// Throws `Error` where the key is missing.
  const std::string& metadata_at(const std::string& key) const;

  /// Stores a float32 tensor `[rows, cols]`, or of an explicit shape with as many elements.
  void put(const std::string& name, MatrixView<const float> values);
  void put(const std::string& name, MatrixView<const float> values, Shape shape);
  /// Stores a 1-D tensor of float, double, int64, int32, uint64 or uint8, or of an explicit shape with as many
  /// elements.
  template <class T>
  void put_vector(const std::string& name, const std::vector<T>& values) {
    put_vector(name, values, Shape{static_cast<std::int64_t>(values.size())});
  }
  template <class T>
  void put_vector(const std::string& name, const std::vector<T>& values, Shape shape) {
    put_bytes(name, element_type_of<T>(), std::move(shape), std::as_bytes(std::span(values)));
  }

  /// A 2-D tensor of any floating or integer type as float32. `rows` and `cols`, where not -1, must match. Throws
  /// `Error`.
  Matrix<float> matrix(const std::string& name, std::int64_t rows = -1, std::int64_t cols = -1) const;
  /// A 1-D tensor as float32 (any numeric type); `size`, where not -1, must match. Throws `Error`.
  std::vector<float> vector(const std::string& name, std::int64_t size = -1) const;
  /// A tensor of any shape whose type is exactly that of T, flattened; `size`, where not -1, is the number of elements.
  /// Throws `Error`.
  template <class T>
  std::vector<T> values(const std::string& name, std::int64_t size = -1) const {
    const ByteView bytes = checked_bytes(name, element_type_of<T>(), size);
    std::vector<T> out(bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }

 private:
  void put_bytes(const std::string& name, ElementType dtype, Shape shape, ByteView bytes);
  ByteView checked_bytes(const std::string& name, ElementType dtype, std::int64_t size) const;
};

/// Reads a file from memory; `name` stands in the errors. Throws `Error` unless the header is well-formed JSON without
/// duplicate keys, every tensor's type, shape and offsets agree, the tensors fill the data section without gap or
/// overlap, and the data match the metadata's "xxh3" where there is one.
TensorFile parse_safetensors(ByteView data, const std::string& name);
TensorFile read_safetensors(const std::filesystem::path& path, std::uint64_t max_bytes = default_read_limit);

/// The bytes of the file: widest element type first, then by name; header padded so that the data start at a multiple
/// of 8; metadata with "format_version" = "1" and "xxh3" (of the data section) added. The same tensors give the same
/// bytes.
Bytes encode_safetensors(const TensorFile& file);
/// Written atomically. Throws `Error`.
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace tarn
