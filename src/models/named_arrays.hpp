// The arrays of a weights file by name, whatever its format: shape checks and conversion in one place.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/io/element_type.hpp"
#include "tarn/io/file.hpp"

namespace tarn {

class NamedArrays {
 public:
  /// `source` names the file in errors.
  explicit NamedArrays(std::string source) : source_(std::move(source)) {}
  /// `shape` and `bytes` must outlive this.
  void add(const std::string& name, ElementType dtype, const Shape& shape, ByteView bytes);

  const std::string& source() const { return source_; }
  bool has(const std::string& name) const { return arrays_.contains(name); }
  std::string list_of_names() const;
  /// Shape of an array that must have `rank` extents. Throws `Error`, naming the arrays there are, where it is missing.
  const Shape& shape(const std::string& name, std::size_t rank) const;
  /// As float32, a 1-D array as one row. Throws `Error` for another shape or an element type that is not floating.
  Matrix<float> floats(const std::string& name, const Shape& expected);
  /// As float64, integers included.
  std::vector<double> doubles(const std::string& name, const Shape& expected);
  /// Tells the log which arrays were rounded to float32 and which were not asked for.
  void note_what_was_converted_or_left() const;

 private:
  struct Entry {
    ElementType dtype;
    const Shape* shape;
    ByteView bytes;
    bool used = false, converted = false;
  };
  Entry& find(const std::string& name, const Shape& expected);

  std::string source_;
  std::map<std::string, Entry> arrays_;
};

}  // namespace tarn
