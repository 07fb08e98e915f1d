#include "batch_feed.hpp"

#include <algorithm>
#include <limits>

namespace tarn::cuda {
namespace {

constexpr std::int64_t values_a_half = std::int64_t{1} << 20;
constexpr std::int64_t most_steps_a_half = 64;

}  // namespace

bool BatchFeed::make_resident(std::shared_ptr<const Matrix<float>> table) {
  if (table == nullptr) return false;
  if (table == table_) return !table_rows_.empty();
  table_rows_ = {};
  sorter_ = {};
  table_ = std::move(table);
  std::size_t free = 0, total = 0;
  TARN_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  // a row takes its values and what sorting needs
  const std::int64_t bytes = table_->size() * static_cast<std::int64_t>(sizeof(float)) + table_->rows() * 72;
  if (bytes > static_cast<std::int64_t>(free / 2)) return false;
  table_rows_ = DeviceBuffer<float>(table_->size());
  copy_async(table_rows_.data(), table_->data(), table_->size(), context_.stream.handle());
  context_.stream.synchronize();
  return true;
}

void BatchFeed::begin(BatchSource& source, std::int64_t rows_a_step, std::int64_t first_step, std::int64_t n_steps) {
  source_ = &source;
  rows_a_step_ = rows_a_step;
  first_step_ = first_step;
  n_steps_ = n_steps;
  mode_ = Mode::uploaded;
  if (make_resident(source.table())) {
    const auto rule = source.shuffled();
    const bool sorts = rule && table_->rows() <= std::numeric_limits<std::int32_t>::max();
    mode_ = sorts ? Mode::ordered : Mode::indexed;
    if (sorts) {
      rule_ = *rule;
      steps_per_epoch_ = table_->rows() / rows_a_step;
      require(steps_per_epoch_ > 0, "a batch of {} rows is larger than the data set of {}", rows_a_step,
              table_->rows());
      if (sorter_.order() == nullptr) sorter_ = EpochSorter(table_->rows());
      return;
    }
  }
  const std::int64_t width = mode_ == Mode::uploaded ? source.n_columns() : 1;
  chunk_ = std::clamp<std::int64_t>(values_a_half / (rows_a_step * width), 1, most_steps_a_half);
  const std::int64_t values = 2 * chunk_ * rows_a_step * width;
  if (mode_ == Mode::uploaded) {
    rows_.reserve(values);
    host_rows_.reserve(values);
  } else {
    indices_.reserve(values);
    host_indices_.reserve(values);
  }
}

const std::int64_t* BatchFeed::indices() const {
  if (mode_ == Mode::ordered) return sorter_.order();
  return mode_ == Mode::indexed ? indices_.data() : nullptr;
}

std::int64_t BatchFeed::offset(std::int64_t i) const {
  if (mode_ == Mode::ordered) return (first_step_ + i) % steps_per_epoch_ * rows_a_step_;
  return (i / chunk_ % 2 * chunk_ + i % chunk_) * rows_a_step_;
}

std::int64_t BatchFeed::stretch_end(std::int64_t i) const {
  const std::int64_t end =
      mode_ == Mode::ordered ? i + steps_per_epoch_ - (first_step_ + i) % steps_per_epoch_ : (i / chunk_ + 1) * chunk_;
  return std::min(end, n_steps_);
}

std::int64_t BatchFeed::prepare(std::int64_t i) {
  const StreamHandle stream = context_.stream.handle(), copies = context_.copies.handle();
  const std::int64_t step = first_step_ + i;
  if (mode_ == Mode::ordered) {
    sorter_.sort(rule_, step / steps_per_epoch_, stream);
    return stretch_end(i) - i;
  }
  const std::int64_t n = stretch_end(i) - i, half = i / chunk_ % 2, begin = half * chunk_ * rows_a_step_;
  half_ = static_cast<int>(half);
  if (i / chunk_ >= 2) used_[half_].synchronize();  // the steps that had this half before
  if (mode_ == Mode::uploaded) {
    const std::int64_t width = source_->n_columns();
    float* rows = host_rows_.data() + begin * width;
    source_->fill(step, n, {rows, n * rows_a_step_, width});
    copy_async<float>(rows_.data() + begin * width, rows, n * rows_a_step_ * width, copies);
  } else {
    std::int64_t* rows = host_indices_.data() + begin;
    source_->indices(step, n, rows_a_step_, rows);
    copy_async<std::int64_t>(indices_.data() + begin, rows, n * rows_a_step_, copies);
  }
  copied_.record(copies);
  copied_.hold(stream);
  return n;
}

void BatchFeed::used() {
  if (mode_ != Mode::ordered) used_[half_].record(context_.stream.handle());
}

}  // namespace tarn::cuda
