// Square patches cut at random places from a few large images: natural scenes as V1 models are trained on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>

#include "tarn/core/batch_source.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/data/dataset.hpp"
#include "tarn/io/file.hpp"

namespace tarn {

/// Gray images of one size.
struct ImageStack {
  Matrix<float> pixels;  ///< `[n_images, rows * cols]`; pixel (i, j) is column `i * cols + j`
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::string source;  ///< what was read, for messages and reports

  std::int64_t n_images() const { return pixels.rows(); }
};

/// A NumPy array `[n_images, rows, cols]` or `[n_images, rows, cols, 1]` of any real type; the first `max_items` images are kept.
/// Throws `Error` for other shapes, sides above 65536 and values that are not finite.
ImageStack read_image_stack(const std::filesystem::path& path, const ReadOptions& options = {});
/// The same from the bytes of the file.
ImageStack parse_image_stack(ByteView data, const std::string& name, const ReadOptions& options = {});

/// How raw photographs are whitened (Olshausen and Field 1997): each image is multiplied in the frequency domain by
/// `f exp(-(f / cutoff)^4)`, f in cycles a pixel. The first factor flattens the 1/f amplitude of natural scenes, the second takes away
/// the corners of the spectrum, where noise and the pixel grid rule. The transform is periodic, so the outermost pixels carry what wraps
/// around: keep patches off the border.
struct Whitening {
  double cutoff = 0.4;     ///< cycles a pixel, > 0; the authors' f0 is 200 cycles in 512 pixels
  bool logarithm = false;  ///< `log(1 + pixel)` first, for photographs of light intensity; needs pixels >= 0
};
/// Throws `Error` for a negative pixel where a logarithm is taken.
void whiten(ImageStack& stack, const Whitening& whitening);

/// Divides all pixels by the standard deviation of the whole stack, as one number; means stay. Throws `Error` where all are equal.
void divide_by_standard_deviation(ImageStack& stack);

/// Where patches come from and what is done to each.
struct PatchSettings {
  std::int64_t size = 12;           ///< pixels a side, >= 1
  std::int64_t border = 4;          ///< pixels along the edges of an image that no patch touches, >= 0
  bool subtract_mean = true;        ///< of each patch
  std::int64_t epoch_size = 10000;  ///< patches that count as one epoch, > 0
};

/// Fresh patches without end: row i of step s is patch number `s * B + i`. Image, row and column of a patch are uniform, a pure
/// function of (seed, number): words 0, 1, 2 of `Stream::patches`, chain = number, step 0; word w chooses item `floor(w n / 2^32)` of n.
class PatchBatches final : public BatchSource {
 public:
  /// Throws `Error` where no patch fits into the images.
  PatchBatches(std::shared_ptr<const ImageStack> stack, const PatchSettings& settings, std::uint64_t seed);
  std::int64_t n_columns() const override { return settings_.size * settings_.size; }
  std::int64_t steps_per_epoch(std::int64_t batch_size) const override;
  void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) override;

  /// Patches `first .. first + out.rows - 1`, `out` `[n, size * size]`. Throws `Error` beyond patch 2^48.
  void cut(std::uint64_t first, MatrixView<float> out) const;

 private:
  std::shared_ptr<const ImageStack> stack_;
  PatchSettings settings_;
  std::uint64_t seed_;
};

}  // namespace tarn
