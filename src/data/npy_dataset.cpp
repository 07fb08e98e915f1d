// NumPy arrays as data sets.
#include <cmath>

#include "readers.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {
namespace {

Dataset from_array(const NpyArray& array, const std::string& name, const ReadOptions& options) {
  const auto& shape = array.shape;
  const bool is_image = shape.size() == 3 || (shape.size() == 4 && (shape[3] == 1 || shape[3] == 3));
  require(shape.size() == 1 || shape.size() == 2 || is_image,
          "{}: shape {}; allowed are (n,), (n, features), (n, rows, columns) and (n, rows, columns, 1 or 3)", name,
          to_string(shape));
  auto x = to_matrix(array, name);
  require(x.cols() > 0, "{}: shape {} has no features", name, to_string(shape));
  Dataset dataset;
  const auto kept = data::kept_items(static_cast<std::uint64_t>(x.rows()), options, name);
  dataset.n_available = x.rows();
  dataset.x = data::first_rows(std::move(x), kept);
  data::require_finite(dataset.x, name);
  if (is_image) dataset.image = ImageShape{shape[1], shape[2], shape.size() == 4 ? shape[3] : 1};
  dataset.source = name;
  return dataset;
}

}  // namespace

Dataset parse_npy_dataset(ByteView data, const std::string& name, const ReadOptions& options) {
  return from_array(parse_npy(data, name), name, options);
}

std::vector<int> parse_npy_labels(ByteView data, const std::string& name) {
  const NpyArray array = parse_npy(data, name);
  const auto& shape = array.shape;
  require(shape.size() == 1 || (shape.size() == 2 && shape[1] == 1),
          "{}: labels of shape {}; allowed are (n,) and (n, 1)", name, to_string(shape));
  std::vector<double> values(array.bytes.size() / size_of(array.dtype));
  convert_to_double(array.dtype, array.bytes, values);
  std::vector<int> labels;
  labels.reserve(values.size());
  for (const double value : values) {
    require(value == std::floor(value) && std::abs(value) <= std::numeric_limits<int>::max(),
            "{}: label {} of item {}; labels are whole numbers of at most 32 bits", name, value, labels.size());
    labels.push_back(static_cast<int>(value));
  }
  return labels;
}

Dataset read_npy_dataset(const std::filesystem::path& path, const ReadOptions& options) {
  return from_array(read_npy(path), path.string(), options);
}

}  // namespace tarn
