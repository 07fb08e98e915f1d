#include "named_arrays.hpp"

#include <algorithm>

#include "tarn/core/error.hpp"
#include "tarn/core/log.hpp"

namespace tarn {
namespace {

bool is_floating(ElementType type) {
  return type == ElementType::f16 || type == ElementType::bf16 || type == ElementType::f32 || type == ElementType::f64;
}

template <class Entries, class Wanted>
std::string names_where(const Entries& entries, Wanted wanted) {
  std::string names;
  for (const auto& [name, entry] : entries) {
    if (!wanted(entry)) continue;
    if (names.size() > 120) return names + ", ...";
    names += (names.empty() ? "" : ", ") + name.substr(0, 60);
  }
  return names;
}

}  // namespace

void NamedArrays::add(const std::string& name, ElementType dtype, const Shape& shape, ByteView bytes) {
  arrays_.insert_or_assign(name, Entry{dtype, &shape, bytes});
}

std::string NamedArrays::list_of_names() const {
  const std::string names = names_where(arrays_, [](const Entry&) { return true; });
  return names.empty() ? "no arrays" : names;
}

const Shape& NamedArrays::shape(const std::string& name, std::size_t rank) const {
  const auto found = arrays_.find(name);
  if (found == arrays_.end()) fail("{}: array {} is missing; found: {}", source_, name, list_of_names());
  if (found->second.shape->size() != rank) {
    fail("{}: {} has shape {}, expected {} extents", source_, name, to_string(*found->second.shape), rank);
  }
  return *found->second.shape;
}

NamedArrays::Entry& NamedArrays::find(const std::string& name, const Shape& expected) {
  const auto found = arrays_.find(name);
  if (found == arrays_.end()) {
    fail("{}: array {} of shape {} is missing; found: {}", source_, name, to_string(expected), list_of_names());
  }
  if (*found->second.shape != expected) {
    fail("{}: {} has shape {}, expected {}", source_, name, to_string(*found->second.shape), to_string(expected));
  }
  found->second.used = true;
  return found->second;
}

Matrix<float> NamedArrays::floats(const std::string& name, const Shape& expected) {
  Entry& entry = find(name, expected);
  if (!is_floating(entry.dtype)) {
    fail("{}: {} is {}, expected float32 (float16, bfloat16 and float64 are converted)", source_, name,
         name_of(entry.dtype));
  }
  entry.converted = entry.dtype != ElementType::f32;
  Matrix<float> values(expected.size() == 2 ? expected[0] : 1, expected.back());
  convert_to_float(entry.dtype, entry.bytes, std::span(values.data(), static_cast<std::size_t>(values.size())));
  return values;
}

std::vector<double> NamedArrays::doubles(const std::string& name, const Shape& expected) {
  const Entry& entry = find(name, expected);
  std::vector<double> values(entry.bytes.size() / size_of(entry.dtype));
  convert_to_double(entry.dtype, entry.bytes, values);
  return values;
}

void NamedArrays::note_what_was_converted_or_left() const {
  const std::string converted = names_where(arrays_, [](const Entry& entry) { return entry.converted; });
  if (!converted.empty()) info("{}: converted to float32: {}", source_, converted);
  const std::string left = names_where(arrays_, [](const Entry& entry) { return !entry.used; });
  if (!left.empty()) info("{}: not read: {}", source_, left);
}

}  // namespace tarn
