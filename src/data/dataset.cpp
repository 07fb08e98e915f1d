#include "tarn/data/dataset.hpp"

#include <cmath>

#include "readers.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {

std::string_view name_of(DatasetKind kind) {
  switch (kind) {
    case DatasetKind::idx:
      return "idx";
    case DatasetKind::cifar10:
      return "cifar10";
    case DatasetKind::npy:
      return "npy";
    case DatasetKind::png_folder:
      break;
  }
  return "png_folder";
}

DatasetKind parse_dataset_kind(std::string_view name) {
  for (const auto kind : {DatasetKind::idx, DatasetKind::cifar10, DatasetKind::npy, DatasetKind::png_folder}) {
    if (name == name_of(kind)) return kind;
  }
  fail_usage("unknown kind of data set \"{}\"; allowed are idx, cifar10, npy, png_folder", name);
}

Dataset read_dataset(DatasetKind kind, const std::filesystem::path& path, const ReadOptions& options) {
  switch (kind) {
    case DatasetKind::idx:
      return read_idx(path, options);
    case DatasetKind::cifar10:
      return read_cifar10(path, options);
    case DatasetKind::npy:
      return read_npy_dataset(path, options);
    case DatasetKind::png_folder:
      break;
  }
  return read_png_folder(path, options);
}

namespace data {

std::int64_t kept_items(std::uint64_t n_available, const ReadOptions& options, const std::string& name) {
  if (options.max_items < 1) fail_usage("max_items must be at least 1, found {}", options.max_items);
  require(n_available > 0, "{}: holds no items", name);
  const auto limit = static_cast<std::uint64_t>(options.max_items);
  return static_cast<std::int64_t>(n_available < limit ? n_available : limit);
}

void require_finite(MatrixView<const float> x, const std::string& name) {
  for (std::int64_t i = 0; i < x.size(); ++i) {
    require(std::isfinite(x.data[i]), "{}: row {}, column {} is {}; only finite numbers are allowed", name, i / x.cols,
            i % x.cols, x.data[i]);
  }
}

Matrix<float> first_rows(Matrix<float> x, std::int64_t n) {
  if (x.rows() == n) return x;
  Matrix<float> head(n, x.cols());
  std::copy_n(x.data(), head.size(), head.data());
  return head;
}

}  // namespace data

std::vector<int> read_labels(const std::filesystem::path& path) {
  if (path.extension() == ".npy") return parse_npy_labels(read_file(path), path.string());
  return parse_idx_labels(read_maybe_gzip(path), path.string());
}

Matrix<float> read_item_rows(const std::filesystem::path& path, const Dataset& dataset, const std::string& what) {
  auto rows = read_npy_matrix(path);
  require(rows.rows() == dataset.n_available, "{}: {} rows of {}, but {} has {} items", path.string(), rows.rows(),
          what, dataset.source, dataset.n_available);
  require(rows.cols() > 0, "{}: {} have no columns", path.string(), what);
  data::require_finite(rows, path.string());
  return data::first_rows(std::move(rows), dataset.x.rows());
}

Matrix<float> read_condition(const std::filesystem::path& path, const Dataset& dataset) {
  return read_item_rows(path, dataset, "inputs");
}

}  // namespace tarn
