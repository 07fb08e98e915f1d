#include "tarn/data/patches.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "readers.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {
namespace {

constexpr std::int64_t longest_side = 65536;

ImageStack from_array(const NpyArray& array, const std::string& name, const ReadOptions& options) {
  const auto& shape = array.shape;
  require(shape.size() == 3 || (shape.size() == 4 && shape[3] == 1),
          "{}: shape {}; patches are cut from gray images, (n, rows, columns)", name, to_string(shape));
  require(shape[1] >= 1 && shape[2] >= 1 && shape[1] <= longest_side && shape[2] <= longest_side,
          "{}: images of {} x {} pixels; allowed are 1 to {} a side", name, shape[1], shape[2], longest_side);
  auto pixels = to_matrix(array, name);
  const auto kept = data::kept_items(static_cast<std::uint64_t>(pixels.rows()), options, name);
  ImageStack stack;
  stack.pixels = data::first_rows(std::move(pixels), kept);
  stack.rows = shape[1];
  stack.cols = shape[2];
  stack.source = name;
  data::require_finite(stack.pixels, name);
  return stack;
}

}  // namespace

ImageStack parse_image_stack(ByteView data, const std::string& name, const ReadOptions& options) {
  return from_array(parse_npy(data, name), name, options);
}

ImageStack read_image_stack(const std::filesystem::path& path, const ReadOptions& options) {
  return from_array(read_npy(path), path.string(), options);
}

void divide_by_standard_deviation(ImageStack& stack) {
  double sum = 0.0, squares = 0.0;
  const auto n = static_cast<double>(stack.pixels.size());
  for (std::int64_t i = 0; i < stack.pixels.size(); ++i) sum += stack.pixels.data()[i];
  const double mean = sum / n;
  for (std::int64_t i = 0; i < stack.pixels.size(); ++i) {
    const double d = stack.pixels.data()[i] - mean;
    squares += d * d;
  }
  const double deviation = std::sqrt(squares / n);
  require(deviation > 0.0 && std::isfinite(deviation), "{}: pixels have the standard deviation {}; it must be above 0",
          stack.source, deviation);
  for (std::int64_t i = 0; i < stack.pixels.size(); ++i)
    stack.pixels.data()[i] = static_cast<float>(stack.pixels.data()[i] / deviation);
}

PatchBatches::PatchBatches(std::shared_ptr<const ImageStack> stack, const PatchSettings& settings, std::uint64_t seed)
    : stack_(std::move(stack)), settings_(settings), seed_(seed) {
  require(settings_.size >= 1 && settings_.border >= 0 && settings_.epoch_size >= 1,
          "patches: size {}, border {} and epoch {}; allowed are 1, 0 and 1 or more", settings_.size, settings_.border,
          settings_.epoch_size);
  const std::int64_t shorter = std::min(stack_->rows, stack_->cols);
  require(stack_->n_images() > 0 && settings_.size <= shorter && settings_.border <= (shorter - settings_.size) / 2,
          "{}: no patch of {} pixels a side fits into {} images of {} x {} with a border of {}", stack_->source,
          settings_.size, stack_->n_images(), stack_->rows, stack_->cols, settings_.border);
}

std::int64_t PatchBatches::steps_per_epoch(std::int64_t batch_size) const {
  require(batch_size >= 1, "a batch has 1 patch or more, found {}", batch_size);
  return std::max<std::int64_t>(1, settings_.epoch_size / batch_size);
}

void PatchBatches::fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) {
  require(first_step >= 0 && n_steps >= 1 && out.rows % n_steps == 0,
          "batches of steps {} to {} do not fill {} rows evenly", first_step, first_step + n_steps, out.rows);
  cut(static_cast<std::uint64_t>(first_step) * static_cast<std::uint64_t>(out.rows / n_steps), out);
}

void PatchBatches::cut(std::uint64_t first, MatrixView<float> out) const {
  require(out.cols == n_columns(), "patches have {} pixels, room was given for {}", n_columns(), out.cols);
  const std::int64_t size = settings_.size, inner = 2 * settings_.border + size - 1;
  const std::array<std::uint64_t, 3> choices{static_cast<std::uint64_t>(stack_->n_images()),
                                             static_cast<std::uint64_t>(stack_->rows - inner),
                                             static_cast<std::uint64_t>(stack_->cols - inner)};
  constexpr std::int64_t block = 256;
  for (std::int64_t begin = 0; begin < out.rows; begin += block) {
    const std::int64_t n = std::min(block, out.rows - begin);
    std::array<std::uint32_t, 3 * block> words;
    fill_words(seed_, Stream::patches, first + static_cast<std::uint64_t>(begin), 0, 1, {words.data(), n, 3});
    for (std::int64_t i = 0; i < n; ++i) {
      std::array<std::int64_t, 3> place{};
      for (std::size_t k = 0; k < 3; ++k)
        place[k] = static_cast<std::int64_t>((words[static_cast<std::size_t>(3 * i) + k] * choices[k]) >> 32);
      const float* from =
          stack_->pixels.row(place[0]) + (settings_.border + place[1]) * stack_->cols + settings_.border + place[2];
      float* to = out.row(begin + i);
      for (std::int64_t r = 0; r < size; ++r) std::copy_n(from + r * stack_->cols, size, to + r * size);
      if (!settings_.subtract_mean) continue;
      double sum = 0.0;
      for (std::int64_t k = 0; k < out.cols; ++k) sum += to[k];
      const auto mean = static_cast<float>(sum / static_cast<double>(out.cols));
      for (std::int64_t k = 0; k < out.cols; ++k) to[k] -= mean;
    }
  }
}

}  // namespace tarn
