// Data sets of images and of plain vectors, and the files they are read from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/io/file.hpp"

namespace tarn {

/// Pixel (i, j) of channel c of an image is feature `(i * cols + j) * channels + c`, whatever order its file has.
struct ImageShape {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t channels = 1;

  std::int64_t size() const { return rows * cols * channels; }
  bool operator==(const ImageShape&) const = default;
};

/// Data in their own units: images of bytes hold 0 to 255.
struct Dataset {
  Matrix<float> x;                  ///< `[n, P]`
  std::vector<int> labels;          ///< `[n]`, or empty
  std::optional<ImageShape> image;  ///< where rows are images; `image->size() == P`
  std::int64_t n_available = 0;     ///< items in the file; n of them were kept
  std::string source;               ///< what was read, for messages and reports
};

struct ReadOptions {
  /// The first so many items are kept.
  std::int64_t max_items = std::numeric_limits<std::int64_t>::max();
};

enum class DatasetKind : std::uint8_t { idx, cifar10, npy, png_folder };

/// "idx", "cifar10", "npy", "png_folder".
std::string_view name_of(DatasetKind kind);
/// Throws `UsageError` naming the allowed values.
DatasetKind parse_dataset_kind(std::string_view name);
/// Calls the reader of that kind.
Dataset read_dataset(DatasetKind kind, const std::filesystem::path& path, const ReadOptions& options = {});

/// IDX images of bytes (LeCun et al., the MNIST files; magic 2051), plain or gzip. A folder stands for
/// train-images-idx3-ubyte(.gz) inside it. Labels are read too where a file with "labels-idx1" in place of
/// "images-idx3" lies beside. Throws `Error` for files that are missing, damaged, or whose counts disagree.
Dataset read_idx(const std::filesystem::path& path, const ReadOptions& options = {});
/// The same from the bytes of an (inflated) image file; `name` stands in the errors.
Dataset parse_idx_images(ByteView data, const std::string& name, const ReadOptions& options = {});
/// IDX labels (magic 2049), all of them.
std::vector<int> parse_idx_labels(ByteView data, const std::string& name);
/// Labels from a NumPy array of `[n]` or `[n, 1]` whole numbers, of any type. Throws `Error` for other shapes, and for
/// values that are not whole numbers of 32 bits.
std::vector<int> parse_npy_labels(ByteView data, const std::string& name);
/// Labels from a file of their own: NPY where its name ends so, otherwise IDX, plain or gzip.
std::vector<int> read_labels(const std::filesystem::path& path);

/// CIFAR-10 binary batches (Krizhevsky 2009), plain or gzip: records of a label and 3 x 32 x 32 bytes, plane after
/// plane in the file, channel last here. `path` is a file, or a folder with data_batch_1.bin(.gz) to
/// data_batch_5.bin(.gz), of which those that exist are read. Throws `Error`.
Dataset read_cifar10(const std::filesystem::path& path, const ReadOptions& options = {});
Dataset read_cifar10(const std::vector<std::filesystem::path>& paths, const ReadOptions& options = {});
/// The same from the bytes of one (inflated) batch.
Dataset parse_cifar10(ByteView data, const std::string& name, const ReadOptions& options = {});

/// A NumPy array: `[n]` or `[n, P]` for vectors, `[n, rows, cols]` or `[n, rows, cols, 1 or 3]` for images. Throws
/// `Error` for other shapes and for values that are not finite.
Dataset read_npy_dataset(const std::filesystem::path& path, const ReadOptions& options = {});
Dataset parse_npy_dataset(ByteView data, const std::string& name, const ReadOptions& options = {});

/// All *.png of a folder in order of name, of one size. Gray images among coloured ones become coloured. Throws
/// `Error`.
Dataset read_png_folder(const std::filesystem::path& folder, const ReadOptions& options = {});

/// Rows `[n, k]` that go with the items of a data set, from an NPY file with one row for each of its `n_available`
/// items; those of the kept items are returned. `what` names them in errors. Throws `Error` where the rows do not match
/// or a value is not finite.
Matrix<float> read_item_rows(const std::filesystem::path& path, const Dataset& dataset, const std::string& what);
/// Inputs `u` `[n, U]`, likewise.
Matrix<float> read_condition(const std::filesystem::path& path, const Dataset& dataset);

}  // namespace tarn
