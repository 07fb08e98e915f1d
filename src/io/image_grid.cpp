// Grids of small images, drawn from rows of floats.
#include <algorithm>
#include <cmath>

#include "tarn/io/png.hpp"

namespace tarn {
namespace {

constexpr std::int64_t max_pixels = 1LL << 30;

Image blank(std::int64_t rows, std::int64_t cols, std::int64_t channels, std::uint8_t value) {
  require(rows > 0 && cols > 0 && rows <= max_pixels / cols, "an image of {} x {} pixels is empty or too large", rows,
          cols);
  return {rows, cols, channels, std::vector<std::uint8_t>(static_cast<std::size_t>(rows * cols * channels), value)};
}

/// Gray with a white diagonal and a black one: says that the image is not finite.
std::uint8_t broken_pixel(std::int64_t i, std::int64_t j, const GridLayout& layout) {
  const auto on_diagonal = [&](std::int64_t col) {
    return i * layout.cols / layout.rows == col || i == col * layout.rows / layout.cols;
  };
  if (on_diagonal(j)) return 255;
  if (on_diagonal(layout.cols - 1 - j)) return 0;
  return 128;
}

struct Limits {
  float low;
  float high;
};

Limits limits_of(const float* pixels, std::int64_t n, const PixelRange& range) {
  if (range.kind == PixelRange::Kind::fixed) return {range.low, range.high};
  const auto [least, most] = std::minmax_element(pixels, pixels + n);
  return {range.kind == PixelRange::Kind::own_max ? range.low : *least, *most};
}

std::uint8_t to_byte(float value, Limits limits) {
  // An image without contrast (or below its black) is drawn black.
  if (!(limits.high > limits.low)) return 0;
  const double unit = (static_cast<double>(value) - limits.low) / (static_cast<double>(limits.high) - limits.low);
  return static_cast<std::uint8_t>(std::lround(255.0 * std::clamp(unit, 0.0, 1.0)));
}

void paste(Image& onto, const Image& image, std::int64_t row, std::int64_t col) {
  for (std::int64_t i = 0; i < image.rows; ++i) {
    for (std::int64_t j = 0; j < image.cols; ++j) {
      for (std::int64_t c = 0; c < onto.channels; ++c) {
        const auto source = image.channels == 1 ? 0 : c;
        onto.pixels[static_cast<std::size_t>(((row + i) * onto.cols + col + j) * onto.channels + c)] =
            image.pixels[static_cast<std::size_t>((i * image.cols + j) * image.channels + source)];
      }
    }
  }
}

Image draw(const float* values, const GridLayout& layout, const PixelRange& range) {
  Image image = blank(layout.rows, layout.cols, layout.channels, 0);
  const auto n = static_cast<std::int64_t>(image.pixels.size());
  if (std::all_of(values, values + n, [](float v) { return std::isfinite(v); })) {
    const auto limits = limits_of(values, n, range);
    std::transform(values, values + n, image.pixels.begin(), [&](float v) { return to_byte(v, limits); });
    return image;
  }
  for (std::int64_t p = 0; p < n; ++p) {
    const auto pixel = p / layout.channels;
    image.pixels[static_cast<std::size_t>(p)] = broken_pixel(pixel / layout.cols, pixel % layout.cols, layout);
  }
  return image;
}

}  // namespace

Image image_grid(MatrixView<const float> images, const GridLayout& layout, const PixelRange& range) {
  require(layout.rows > 0 && layout.cols > 0 && (layout.channels == 1 || layout.channels == 3),
          "images of {} x {} pixels with {} channels cannot be drawn; channels must be 1 or 3", layout.rows,
          layout.cols, layout.channels);
  require(layout.rows <= max_pixels / layout.cols && images.cols == layout.rows * layout.cols * layout.channels,
          "images have {} values, but {} x {} pixels with {} channels were asked for", images.cols, layout.rows,
          layout.cols, layout.channels);
  require(layout.grid_rows > 0 && layout.grid_cols > 0 && layout.gap >= 0 && layout.grid_rows <= max_pixels &&
              layout.grid_cols <= max_pixels && layout.gap <= max_pixels,
          "a grid of {} x {} images with a gap of {} cannot be drawn", layout.grid_rows, layout.grid_cols, layout.gap);
  require(range.kind != PixelRange::Kind::fixed || range.high > range.low,
          "white must lie above black, found low = {} and high = {}", range.low, range.high);
  Image grid = blank(layout.grid_rows * (layout.rows + layout.gap) + layout.gap,
                     layout.grid_cols * (layout.cols + layout.gap) + layout.gap, layout.channels, layout.background);
  const auto n_places = std::min(images.rows, layout.grid_rows * layout.grid_cols);
  for (std::int64_t place = 0; place < n_places; ++place) {
    const auto row = layout.gap + place / layout.grid_cols * (layout.rows + layout.gap);
    const auto col = layout.gap + place % layout.grid_cols * (layout.cols + layout.gap);
    paste(grid, draw(images.row(place), layout, range), row, col);
  }
  return grid;
}

Image side_by_side(const Image& left, const Image& right, std::int64_t gutter, std::uint8_t background) {
  require(gutter >= 0 && gutter <= max_pixels, "the gutter must be 0 pixels or more, found {}", gutter);
  Image both = blank(std::max(left.rows, right.rows), left.cols + gutter + right.cols,
                     std::max(left.channels, right.channels), background);
  paste(both, left, 0, 0);
  paste(both, right, 0, left.cols + gutter);
  return both;
}

Image in_rows(std::span<const Image> images, std::int64_t per_row, std::int64_t gutter, std::uint8_t background) {
  require(!images.empty() && per_row >= 1 && gutter >= 0 && gutter <= max_pixels,
          "rows of images need an image, one a row and a gutter of 0 pixels or more; found {}, {} and {}",
          images.size(), per_row, gutter);
  std::int64_t rows = 0, cols = 0, channels = 1;
  for (const Image& image : images) {
    rows = std::max(rows, image.rows);
    cols = std::max(cols, image.cols);
    channels = std::max(channels, image.channels);
  }
  const std::int64_t n = std::ssize(images), across = std::min(n, per_row), down = (n + per_row - 1) / per_row;
  Image all = blank(down * (rows + gutter) - gutter, across * (cols + gutter) - gutter, channels, background);
  for (std::int64_t k = 0; k < n; ++k)
    paste(all, images[static_cast<std::size_t>(k)], k / per_row * (rows + gutter), k % per_row * (cols + gutter));
  return all;
}

}  // namespace tarn
