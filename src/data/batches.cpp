#include "tarn/data/batches.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tarn/core/noise.hpp"
#include "tarn/data/scaling.hpp"

namespace tarn {
namespace {

// Rows of one step, where `out` holds `n_steps` of them.
std::int64_t batch_rows(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out, std::int64_t n_columns) {
  require(out.cols == n_columns, "batches have {} columns, room was given for {}", n_columns, out.cols);
  require(first_step >= 0 && n_steps > 0 && out.rows > 0 && out.rows % n_steps == 0,
          "batches: {} rows are not a positive multiple of {} steps from step {}", out.rows, n_steps, first_step);
  return out.rows / n_steps;
}

}  // namespace

std::vector<std::int64_t> epoch_order(std::uint64_t seed, Stream stream, std::int64_t n, std::int64_t epoch) {
  struct Place {
    std::uint64_t key;
    std::int64_t row;
    auto operator<=>(const Place&) const = default;  // by key, then by row: a stable order
  };
  Matrix<std::uint32_t> words(n, 2);
  fill_words(seed, stream, 0, static_cast<std::uint64_t>(epoch), 1, words);
  std::vector<Place> places(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    places[static_cast<std::size_t>(i)] = {std::uint64_t{words(i, 0)} << 32 | words(i, 1), i};
  }
  std::ranges::sort(places);
  std::vector<std::int64_t> order(places.size());
  std::ranges::transform(places, order.begin(), &Place::row);
  return order;
}

DatasetBatches::DatasetBatches(Matrix<float> rows, std::uint64_t seed)
    : rows_(std::make_shared<const Matrix<float>>(std::move(rows))), seed_(seed) {
  require(rows_->size() > 0, "batches need data, found {} rows of {} columns", rows_->rows(), rows_->cols());
}

std::int64_t DatasetBatches::steps_per_epoch(std::int64_t batch_size) const {
  require(batch_size > 0, "batch size must be positive, found {}", batch_size);
  return rows_->rows() / batch_size;
}

const std::vector<std::int64_t>& DatasetBatches::order(std::int64_t epoch) {
  if (epoch == ordered_epoch_) return order_;
  order_ = epoch_order(seed_, Stream::batch_order, rows_->rows(), epoch);
  ordered_epoch_ = epoch;
  return order_;
}

void DatasetBatches::fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) {
  const auto batch = batch_rows(first_step, n_steps, out, rows_->cols());
  std::vector<std::int64_t> places(static_cast<std::size_t>(out.rows));
  indices(first_step, n_steps, batch, places.data());
  for (std::int64_t i = 0; i < out.rows; ++i) {
    std::copy_n(rows_->row(places[static_cast<std::size_t>(i)]), rows_->cols(), out.row(i));
  }
}

void DatasetBatches::indices(std::int64_t first_step, std::int64_t n_steps, std::int64_t batch_size,
                             std::int64_t* out) {
  const auto steps = steps_per_epoch(batch_size);
  require(steps > 0, "a batch of {} rows is larger than the data set of {}", batch_size, rows_->rows());
  for (std::int64_t s = 0; s < n_steps; ++s) {
    const auto step = first_step + s;
    std::copy_n(order(step / steps).data() + (step % steps) * batch_size, batch_size, out + s * batch_size);
  }
}

SyntheticBatches::SyntheticBatches(std::shared_ptr<const Target> target, AffineScaling scaling, std::uint64_t seed,
                                   std::int64_t epoch_size)
    : target_(std::move(target)), scaling_(std::move(scaling)), seed_(seed), epoch_size_(epoch_size) {
  require(target_ != nullptr, "synthetic batches need a target");
  require(epoch_size_ > 0, "epoch_size must be positive, found {}", epoch_size_);
  require(static_cast<std::int64_t>(scaling_.shift.size()) <= target_->dimension(),
          "scaling has a shift of {} values for {} dimensions", scaling_.shift.size(), target_->dimension());
  require(scaling_.scale > 0.0 && std::isfinite(scaling_.scale), "scale must be a positive number, found {}",
          scaling_.scale);
}

std::int64_t SyntheticBatches::steps_per_epoch(std::int64_t batch_size) const {
  require(batch_size > 0, "batch size must be positive, found {}", batch_size);
  return epoch_size_ / batch_size;
}

void SyntheticBatches::fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) {
  const auto batch = batch_rows(first_step, n_steps, out, target_->dimension());
  // The draws of successive steps follow one another.
  target_->draw(seed_, static_cast<std::uint64_t>(first_step) * static_cast<std::uint64_t>(batch), out);
  apply_scaling(scaling_, out);
}

}  // namespace tarn
