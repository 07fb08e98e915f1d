// CIFAR-10 binary batches.
#include "readers.hpp"

namespace tarn {
namespace {

constexpr std::int64_t side = 32, plane = side * side, pixels = 3 * plane;
constexpr std::uint64_t record = 1 + pixels;

}  // namespace

Dataset parse_cifar10(ByteView data, const std::string& name, const ReadOptions& options) {
  require(data.size() % record == 0, "{}: {} bytes are not a multiple of {}, the size of a CIFAR-10 record", name,
          data.size(), record);
  const std::uint64_t n = data.size() / record;
  const auto kept = data::kept_items(n, options, name);
  Dataset dataset;
  dataset.x = Matrix<float>(kept, pixels);
  dataset.labels.reserve(static_cast<std::size_t>(kept));
  for (std::int64_t i = 0; i < kept; ++i) {
    const auto* from = data.data() + static_cast<std::uint64_t>(i) * record;
    const int label = std::to_integer<int>(*from);
    require(label <= 9, "{}: label {} of image {}; CIFAR-10 has labels 0 to 9", name, label, i);
    dataset.labels.push_back(label);
    float* to = dataset.x.row(i);
    for (std::int64_t channel = 0; channel < 3; ++channel) {
      for (std::int64_t k = 0; k < plane; ++k) {
        to[k * 3 + channel] = std::to_integer<std::uint8_t>(from[1 + channel * plane + k]);
      }
    }
  }
  dataset.image = ImageShape{side, side, 3};
  dataset.n_available = static_cast<std::int64_t>(n);
  dataset.source = name;
  return dataset;
}

Dataset read_cifar10(const std::vector<std::filesystem::path>& paths, const ReadOptions& options) {
  if (paths.empty()) fail_usage("no CIFAR-10 batch was named");
  std::vector<Dataset> parts;
  std::int64_t n = 0, n_available = 0;
  for (const auto& path : paths) {
    // Batches beyond max_items are read for their size alone, so that `n_available` is always that of all files.
    const auto wanted = n < options.max_items ? options.max_items - n : 1;
    auto part = parse_cifar10(read_maybe_gzip(path), path.string(), {wanted});
    n_available += part.n_available;
    if (n >= options.max_items) continue;
    n += part.x.rows();
    parts.push_back(std::move(part));
  }
  Dataset dataset = std::move(parts.front());
  if (parts.size() > 1) {
    Matrix<float> x(n, pixels);
    float* to = std::copy_n(dataset.x.data(), dataset.x.size(), x.data());
    for (std::size_t k = 1; k < parts.size(); ++k) {
      to = std::copy_n(parts[k].x.data(), parts[k].x.size(), to);
      dataset.labels.insert(dataset.labels.end(), parts[k].labels.begin(), parts[k].labels.end());
      parts[k] = {};
    }
    dataset.x = std::move(x);
  }
  dataset.n_available = n_available;
  if (paths.size() > 1) dataset.source += fmt::format(" and {} more", paths.size() - 1);
  return dataset;
}

Dataset read_cifar10(const std::filesystem::path& path, const ReadOptions& options) {
  if (!std::filesystem::is_directory(path)) return read_cifar10(std::vector{path}, options);
  std::vector<std::filesystem::path> paths;
  for (int i = 1; i <= 5; ++i) {
    if (auto batch = data::find_plain_or_gzip(path, fmt::format("data_batch_{}.bin", i)); !batch.empty()) {
      paths.push_back(std::move(batch));
    }
  }
  require(!paths.empty(), "{}: holds none of data_batch_1.bin(.gz) to data_batch_5.bin(.gz)", path.string());
  return read_cifar10(paths, options);
}

}  // namespace tarn
