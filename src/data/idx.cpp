// IDX files, the format of MNIST: big-endian header, then bytes.
#include "readers.hpp"

namespace tarn {
namespace {

constexpr std::uint32_t images_magic = 2051, labels_magic = 2049;

std::uint32_t big_endian(ByteView data, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<std::uint32_t>(data[at + i]);
  return value;
}

void check_header(ByteView data, const std::string& name, std::uint32_t magic, std::size_t header_size,
                  const char* what) {
  require(data.size() >= header_size, "{}: {} bytes, but the header of IDX {} takes {}", name, data.size(), what,
          header_size);
  const auto found = big_endian(data, 0);
  require(found == magic, "{}: IDX magic number {}, but that of {} of bytes is {}{}", name, found, what, magic,
          found == labels_magic   ? " (this is a file of labels)"
          : found == images_magic ? " (this is a file of images)"
                                  : "");
}

// The file of labels beside a file of images: the same name with "labels" for "images" and idx1 for idx3, plain or
// gzip.
std::filesystem::path labels_beside(const std::filesystem::path& images) {
  auto name = images.filename().string();
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  for (const std::string separator : {"-", "."}) {
    const auto from = "images" + separator + "idx3";
    if (const auto at = name.rfind(from); at != std::string::npos) {
      name.replace(at, from.size(), "labels" + separator + "idx1");
      return data::find_plain_or_gzip(images.parent_path(), name);
    }
  }
  return {};
}

}  // namespace

Dataset parse_idx_images(ByteView data, const std::string& name, const ReadOptions& options) {
  constexpr std::size_t header_size = 16;
  check_header(data, name, images_magic, header_size, "images");
  const std::uint64_t n = big_endian(data, 4), rows = big_endian(data, 8), cols = big_endian(data, 12);
  require(rows > 0 && cols > 0, "{}: images of {} x {} pixels; both must be positive", name, rows, cols);
  const std::uint64_t pixels = rows * cols, found = data.size() - header_size;
  require(n == found / pixels && found % pixels == 0,
          "{}: the header promises {} images of {} x {} bytes, but {} bytes follow it", name, n, rows, cols, found);

  Dataset dataset;
  const auto kept = data::kept_items(n, options, name);
  dataset.x = Matrix<float>(kept, static_cast<std::int64_t>(pixels));
  for (std::int64_t i = 0; i < dataset.x.size(); ++i) {
    dataset.x.data()[i] = std::to_integer<std::uint8_t>(data[header_size + static_cast<std::size_t>(i)]);
  }
  dataset.image = ImageShape{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(cols), 1};
  dataset.n_available = static_cast<std::int64_t>(n);
  dataset.source = name;
  return dataset;
}

std::vector<int> parse_idx_labels(ByteView data, const std::string& name) {
  constexpr std::size_t header_size = 8;
  check_header(data, name, labels_magic, header_size, "labels");
  const std::uint64_t n = big_endian(data, 4);
  require(n == data.size() - header_size, "{}: the header promises {} labels, but {} bytes follow it", name, n,
          data.size() - header_size);
  std::vector<int> labels(n);
  for (std::size_t i = 0; i < n; ++i) labels[i] = std::to_integer<int>(data[header_size + i]);
  return labels;
}

Dataset read_idx(const std::filesystem::path& path, const ReadOptions& options) {
  auto images = path;
  if (std::filesystem::is_directory(path)) {
    images = data::find_plain_or_gzip(path, "train-images-idx3-ubyte");
    require(!images.empty(), "{}: holds neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz", path.string());
  }
  auto dataset = parse_idx_images(read_maybe_gzip(images), images.string(), options);
  if (const auto labels = labels_beside(images); !labels.empty()) {
    dataset.labels = parse_idx_labels(read_maybe_gzip(labels), labels.string());
    require(static_cast<std::int64_t>(dataset.labels.size()) == dataset.n_available,
            "{}: {} labels, but {} holds {} images", labels.string(), dataset.labels.size(), images.string(),
            dataset.n_available);
    dataset.labels.resize(static_cast<std::size_t>(dataset.x.rows()));
  }
  return dataset;
}

}  // namespace tarn
