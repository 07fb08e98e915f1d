// PNG images, and grids of small images drawn from rows of floats.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/io/file.hpp"

namespace tarn {

/// 8-bit gray (`channels` = 1) or RGB (3); pixel (i, j) channel c is `pixels[(i * cols + j) * channels + c]`.
struct Image {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t channels = 1;
  std::vector<std::uint8_t> pixels;

  bool operator==(const Image&) const = default;
};

inline constexpr std::int64_t default_max_pixels = 1LL << 28;

/// Reads a PNG of any kind as stored: 1, 2 and 4 bit gray are scaled to 8 bit, 16 bit rounded to 8, palettes looked up,
/// alpha and gamma ignored. Gray files give one channel, all others three. Throws `Error` for a damaged file or more
/// than `max_pixels`.
Image read_png(const std::filesystem::path& path, std::int64_t max_pixels = default_max_pixels);
Image parse_png(ByteView data, const std::string& name, std::int64_t max_pixels = default_max_pixels);

/// The same image gives the same bytes (no date, fixed compression). Throws `Error` where the sizes do not fit.
Bytes encode_png(const Image& image);
/// Written atomically.
void write_png(const std::filesystem::path& path, const Image& image);

/// What is black and what is white.
struct PixelRange {
  enum class Kind {
    fixed,     ///< `low` is black, `high` white, values beyond are clamped
    own_max,   ///< `low` is black, each image's own largest value white
    own_range  ///< each image's own smallest value is black, its largest white
  };
  Kind kind = Kind::fixed;
  float low = 0.0F;
  float high = 1.0F;
};

/// Rows of `images` drawn in a grid.
struct GridLayout {
  std::int64_t rows = 0;  ///< pixels of one image
  std::int64_t cols = 0;
  std::int64_t channels =
      1;  ///< 1 or 3, innermost: value (i, j, c) of an image is column (i * cols + j) * channels + c
  std::int64_t grid_rows = 0;
  std::int64_t grid_cols = 0;
  std::int64_t gap = 1;           ///< pixels between images and around the grid
  std::uint8_t background = 255;  ///< of gaps and of places left over
};

/// Draws the first grid_rows * grid_cols rows of `images` `[n, rows * cols * channels]`, row by row. An image that
/// holds a NaN or an infinity is drawn as mid-gray with a white and a black diagonal: never mistaken for a picture.
/// Throws `Error` where the sizes do not fit.
Image image_grid(MatrixView<const float> images, const GridLayout& layout, const PixelRange& range = {});

/// `left` and `right` side by side, top edges level, with `gutter` columns between them; gray becomes RGB where one of
/// them is RGB.
Image side_by_side(const Image& left, const Image& right, std::int64_t gutter, std::uint8_t background = 255);

/// Images in rows of `per_row`, from left to right and from the top down, with `gutter` pixels between them; columns and rows are as wide and high as the
/// largest image. Gray becomes RGB where one of them is RGB. Throws `Error` for no image and for less than one a row.
Image in_rows(std::span<const Image> images, std::int64_t per_row, std::int64_t gutter, std::uint8_t background = 255);

}  // namespace tarn
