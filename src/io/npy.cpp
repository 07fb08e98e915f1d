#include "tarn/io/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "printable.hpp"

namespace tarn {
namespace {

constexpr std::string_view magic{"\x93NUMPY", 6};
constexpr std::size_t max_header_bytes = 1U << 16;  // numpy refuses to read more than 10000
constexpr std::size_t max_dimensions = 32;

struct DescrName {
  std::string_view descr;
  ElementType type;
};
// As numpy.save writes them on a little-endian machine.
constexpr std::array<DescrName, 12> descr_names{{{"<f2", ElementType::f16},
                                                 {"<f4", ElementType::f32},
                                                 {"<f8", ElementType::f64},
                                                 {"|i1", ElementType::i8},
                                                 {"<i2", ElementType::i16},
                                                 {"<i4", ElementType::i32},
                                                 {"<i8", ElementType::i64},
                                                 {"|u1", ElementType::u8},
                                                 {"<u2", ElementType::u16},
                                                 {"<u4", ElementType::u32},
                                                 {"<u8", ElementType::u64},
                                                 {"|b1", ElementType::boolean}}};

/// Text from a file for a message: short, printable.
std::string quoted(std::string_view text) { return fmt::format("\"{}\"", printable(text, 40)); }

/// Parses the header: a Python dict of a string, a boolean and a tuple of integers, in any order.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  NpyArray parse() {
    expect('{');
    while (!accept('}')) {
      const auto key = string();
      expect(':');
      if (key == "descr" && !descr_) {
        parse_descr();
      } else if (key == "fortran_order" && !fortran_order_) {
        fortran_order_ = boolean();
      } else if (key == "shape" && !shape_) {
        shape_ = tuple();
      } else {
        fail("{}: .npy header has an unknown or repeated key {}; allowed: descr, fortran_order, shape", name_,
             quoted(key));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) malformed();
    if (!descr_ || !fortran_order_ || !shape_) {
      fail("{}: .npy header lacks one of descr, fortran_order, shape", name_);
    }
    if (*fortran_order_ && shape_->size() > 1) {
      fail("{}: array is in Fortran order; only C order is read: save numpy.ascontiguousarray(a)", name_);
    }
    return {std::move(*shape_), *descr_, {}};
  }

 private:
  [[noreturn]] void malformed() const { fail("{}: .npy header is malformed near its byte {}", name_, at_); }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) malformed();
  }
  bool accept_word(std::string_view word) {
    skip_space();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  std::string_view string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') malformed();
    const auto begin = ++at_;
    const auto end = text_.find(quote, begin);
    if (end == std::string_view::npos) malformed();
    at_ = end + 1;
    return text_.substr(begin, end - begin);
  }
  bool boolean() {
    if (accept_word("True")) return true;
    if (!accept_word("False")) malformed();
    return false;
  }
  std::int64_t integer() {
    skip_space();
    if (at_ >= text_.size() || text_[at_] < '0' || text_[at_] > '9') malformed();
    std::int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (value > (INT64_MAX - 9) / 10) fail("{}: .npy header has an extent beyond 64 bits", name_);
      value = value * 10 + (text_[at_] - '0');
    }
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2 wrote 3L
    return value;
  }
  Shape tuple() {
    expect('(');
    Shape shape;
    while (!accept(')')) {
      if (shape.size() == max_dimensions) fail("{}: array has more than {} axes", name_, max_dimensions);
      shape.push_back(integer());
      const bool comma = accept(',');
      if (comma) continue;
      expect(')');
      if (shape.size() == 1) malformed();  // (3) is a number in Python, not a tuple
      break;
    }
    return shape;
  }
  void parse_descr() {
    if (peek() == '[') fail("{}: is a structured array; only plain numbers are read", name_);
    const auto descr = string();
    for (const auto& entry : descr_names) {
      if (descr == entry.descr ||
          (entry.descr[0] == '|' && descr.size() == 3 && descr.substr(1) == entry.descr.substr(1))) {
        descr_ = entry.type;
        return;
      }
    }
    const auto kind = descr.substr(std::min<std::size_t>(1, descr.size()));
    if (kind == "O") fail("{}: is an array of Python objects; only plain numbers are read", name_);
    if (descr.starts_with('>')) {
      fail("{}: array is big-endian ({}); only little-endian is read: save a.astype('<{}')", name_, quoted(descr),
           quoted(kind).substr(1, kind.size()));
    }
    fail("{}: element type {} is not read; allowed: f2, f4, f8, i1..i8, u1..u8, bool", name_, quoted(descr));
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
  std::optional<ElementType> descr_;
  std::optional<bool> fortran_order_;
  std::optional<Shape> shape_;
};

std::string_view descr_of(ElementType type) {
  for (const auto& entry : descr_names) {
    if (entry.type == type) return entry.descr;
  }
  fail("a .npy file cannot hold {}", name_of(type));
}

}  // namespace

NpyArray parse_npy(ByteView data, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  if (!text.starts_with(magic)) fail("{}: is not a .npy file (it does not start with \\x93NUMPY)", name);
  const auto byte = [&](std::size_t i) -> std::size_t {
    if (i >= data.size()) fail("{}: .npy header is cut off after {} bytes", name, data.size());
    return std::to_integer<std::size_t>(data[i]);
  };
  const auto major = byte(6);
  if (major < 1 || major > 3 || byte(7) != 0) {
    fail("{}: .npy version {}.{} is not read; allowed: 1.0, 2.0, 3.0", name, major, byte(7));
  }
  std::size_t begin = 10;
  std::size_t length = byte(8) | byte(9) << 8;
  if (major > 1) {
    begin = 12;
    length |= byte(10) << 16 | byte(11) << 24;
  }
  if (length > max_header_bytes) fail("{}: .npy header claims {} bytes; allowed: {}", name, length, max_header_bytes);
  if (length > data.size() - begin) fail("{}: .npy header is cut off after {} bytes", name, data.size());

  auto array = HeaderParser(text.substr(begin, length), name).parse();
  const auto values = data.subspan(begin + length);
  const auto size = byte_count(array.shape, array.dtype, name);
  if (size != values.size()) {
    fail("{}: shape {} of {} takes {} bytes, but the file holds {}", name, to_string(array.shape), name_of(array.dtype),
         size, values.size());
  }
  array.bytes.assign(values.begin(), values.end());
  return array;
}

NpyArray read_npy(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return parse_npy(read_file(path, max_bytes), path.string());
}

Matrix<float> to_matrix(const NpyArray& array, const std::string& name) {
  const auto count = static_cast<std::int64_t>(byte_count(array.shape, array.dtype, name) / size_of(array.dtype));
  std::int64_t rows = array.shape.empty() ? 1 : array.shape[0];
  std::int64_t cols = 1;
  for (std::size_t axis = 1; axis < array.shape.size(); ++axis) cols *= array.shape[axis];
  Matrix<float> out(rows, cols);
  convert_to_float(array.dtype, array.bytes, std::span(out.data(), static_cast<std::size_t>(count)));
  return out;
}

Matrix<float> read_npy_matrix(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return to_matrix(read_npy(path, max_bytes), path.string());
}

NpyArray make_npy(MatrixView<const float> values) { return make_npy(values, Shape{values.rows, values.cols}); }

NpyArray make_npy(MatrixView<const float> values, Shape shape) {
  return make_npy(std::span(values.data, static_cast<std::size_t>(values.size())), std::move(shape));
}

Bytes encode_npy(const NpyArray& array) {
  const auto size = byte_count(array.shape, array.dtype, "array");
  require(size == array.bytes.size(), "array of shape {} takes {} bytes, found {}", to_string(array.shape), size,
          array.bytes.size());
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", descr_of(array.dtype),
                                   to_string(array.shape));
  // numpy leaves room for the first extent to grow to 21 digits, then fills up to a multiple of 64 (a whole 64 where it
  // fits).
  if (!array.shape.empty()) header.append(21 - std::to_string(array.shape[0]).size(), ' ');
  header.append(64 - (10 + header.size() + 1) % 64, ' ');
  header += '\n';
  require(header.size() < 0x10000, "array of shape {} has too many axes", to_string(array.shape));

  std::string start(magic);
  start += '\x01';
  start += '\x00';
  start += static_cast<char>(header.size() & 0xffU);
  start += static_cast<char>(header.size() >> 8);
  start += header;
  Bytes out(start.size() + array.bytes.size());
  std::memcpy(out.data(), start.data(), start.size());
  std::copy(array.bytes.begin(), array.bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(start.size()));
  return out;
}

void write_npy(const std::filesystem::path& path, const NpyArray& array) {
  write_file_atomically(path, encode_npy(array));
}
void write_npy(const std::filesystem::path& path, MatrixView<const float> values) { write_npy(path, make_npy(values)); }
void write_npy(const std::filesystem::path& path, MatrixView<const float> values, Shape shape) {
  write_npy(path, make_npy(values, std::move(shape)));
}

}  // namespace tarn
