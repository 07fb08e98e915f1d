// Typed access to the tensors of a file.
#include <fmt/format.h>

#include <limits>

#include "printable.hpp"
#include "tarn/io/safetensors.hpp"

namespace tarn {
namespace {

std::string list_of_names(const auto& map) {
  std::string out;
  for (const auto& [name, value] : map) {
    if (out.size() > 200) return out + ", ...";
    out += (out.empty() ? "" : ", ") + printable(name);
  }
  return out.empty() ? "none" : out;
}

std::string wanted(std::int64_t extent) { return extent < 0 ? "any" : std::to_string(extent); }

}  // namespace

const Tensor& TensorFile::at(const std::string& name) const {
  const auto found = tensors.find(name);
  if (found == tensors.end()) fail("{}: has no tensor \"{}\"; it holds: {}", source, name, list_of_names(tensors));
  return found->second;
}

const std::string& TensorFile::metadata_at(const std::string& key) const {
  const auto found = metadata.find(key);
  if (found == metadata.end()) fail("{}: metadata have no \"{}\"; they hold: {}", source, key, list_of_names(metadata));
  return found->second;
}

void TensorFile::put(const std::string& name, MatrixView<const float> values) {
  put(name, values, Shape{values.rows, values.cols});
}

void TensorFile::put(const std::string& name, MatrixView<const float> values, Shape shape) {
  put_bytes(name, ElementType::f32, std::move(shape),
            std::as_bytes(std::span(values.data, static_cast<std::size_t>(values.size()))));
}

void TensorFile::put_bytes(const std::string& name, ElementType dtype, Shape shape, ByteView bytes) {
  const auto size = byte_count(shape, dtype, "tensor \"" + name + "\"");
  require(size == bytes.size(), "tensor \"{}\" of shape {} takes {} bytes, found {}", name, to_string(shape), size,
          bytes.size());
  tensors[name] = Tensor{dtype, std::move(shape), Bytes(bytes.begin(), bytes.end())};
}

Matrix<float> TensorFile::matrix(const std::string& name, std::int64_t rows, std::int64_t cols) const {
  const auto& tensor = at(name);
  if (tensor.shape.size() != 2 || (rows >= 0 && tensor.shape[0] != rows) || (cols >= 0 && tensor.shape[1] != cols)) {
    fail("{}: tensor \"{}\" has shape {}, expected ({}, {})", source, name, to_string(tensor.shape), wanted(rows),
         wanted(cols));
  }
  Matrix<float> out(tensor.shape[0], tensor.shape[1]);
  convert_to_float(tensor.dtype, tensor.bytes, std::span(out.data(), static_cast<std::size_t>(out.size())));
  return out;
}

std::vector<float> TensorFile::vector(const std::string& name, std::int64_t size) const {
  const auto& tensor = at(name);
  if (tensor.shape.size() != 1 || (size >= 0 && tensor.shape[0] != size)) {
    fail("{}: tensor \"{}\" has shape {}, expected ({},)", source, name, to_string(tensor.shape), wanted(size));
  }
  std::vector<float> out(tensor.bytes.size() / size_of(tensor.dtype));
  convert_to_float(tensor.dtype, tensor.bytes, out);
  return out;
}

ByteView TensorFile::checked_bytes(const std::string& name, ElementType dtype, std::int64_t size) const {
  const auto& tensor = at(name);
  const auto count = tensor.bytes.size() / size_of(tensor.dtype);
  if (tensor.dtype != dtype || (size >= 0 && count != static_cast<std::size_t>(size))) {
    fail("{}: tensor \"{}\" is {} of shape {}, expected {} with {} elements", source, name, name_of(tensor.dtype),
         to_string(tensor.shape), name_of(dtype), wanted(size));
  }
  return tensor.bytes;
}

}  // namespace tarn
