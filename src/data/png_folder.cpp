// A folder of PNG images as a data set.
#include <cctype>

#include "readers.hpp"
#include "tarn/io/png.hpp"

namespace tarn {
namespace {

std::vector<std::filesystem::path> png_files(const std::filesystem::path& folder) {
  require(std::filesystem::is_directory(folder), "{}: not a folder; a folder of PNG files is needed", folder.string());
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    auto extension = entry.path().extension().string();
    std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return std::tolower(c); });
    if (extension == ".png" && entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files, {}, [](const auto& path) { return path.filename().string(); });
  return files;
}

}  // namespace

Dataset read_png_folder(const std::filesystem::path& folder, const ReadOptions& options) {
  const auto files = png_files(folder);
  require(!files.empty(), "{}: holds no PNG files", folder.string());
  const auto kept = static_cast<std::size_t>(data::kept_items(files.size(), options, folder.string()));

  std::vector<Image> images;
  std::int64_t channels = 1;
  for (std::size_t i = 0; i < kept; ++i) {
    images.push_back(read_png(files[i]));
    const Image &first = images.front(), &image = images.back();
    require(image.rows == first.rows && image.cols == first.cols,
            "{}: {} x {} pixels, but {} has {} x {}; all images must be of one size", files[i].string(), image.rows,
            image.cols, files[0].filename().string(), first.rows, first.cols);
    channels = std::max(channels, image.channels);
    // A small file can hold a large image, so that sizes on disk say nothing.
    const auto bytes =
        static_cast<double>(kept) * static_cast<double>(image.rows * image.cols * channels) * sizeof(float);
    require(bytes <= static_cast<double>(machine_memory()),
            "{}: {} images of {} x {} pixels take {:.1f} GiB, the machine has {:.1f} GiB; set max_items",
            folder.string(), kept, image.rows, image.cols, bytes / 0x1p30,
            static_cast<double>(machine_memory()) / 0x1p30);
  }

  Dataset dataset;
  dataset.image = ImageShape{images[0].rows, images[0].cols, channels};
  dataset.x = Matrix<float>(static_cast<std::int64_t>(kept), dataset.image->size());
  for (std::size_t i = 0; i < kept; ++i) {
    float* row = dataset.x.row(static_cast<std::int64_t>(i));
    const auto repeats = channels / images[i].channels;  // 3 for a gray image among coloured ones
    for (const auto pixel : images[i].pixels) {
      for (std::int64_t k = 0; k < repeats; ++k) *row++ = pixel;
    }
    images[i] = {};
  }
  dataset.n_available = static_cast<std::int64_t>(files.size());
  dataset.source = folder.string();
  return dataset;
}

}  // namespace tarn
