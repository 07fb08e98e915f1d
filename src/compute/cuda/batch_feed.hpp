// How the rows of training batches get to the device.
#pragma once

#include <cstdint>
#include <memory>

#include "context.hpp"
#include "epoch_sorter.hpp"
#include "memory.hpp"
#include "tarn/core/batch_source.hpp"

namespace tarn::cuda {

/// Serves the steps of a run in stretches. A table that the source draws from is copied to the device once; its rows are then named by
/// the epoch's order, sorted on the device, or by indices from the host. Without a table, or where it would fill more than half of the free
/// memory, rows are uploaded. What the host makes goes through two buffers of bounded size in turn, so that it makes one while
/// the device works on the other.
class BatchFeed {
 public:
  explicit BatchFeed(Context& context) : context_(context) {}

  /// Steps `first_step` to `first_step + n_steps - 1` of `source`, `rows_a_step` rows each. The source must stay until the run ends; work
  /// of the run before is done. Throws `Error` where a batch is larger than the data set.
  void begin(BatchSource& source, std::int64_t rows_a_step, std::int64_t first_step, std::int64_t n_steps);

  const float* data() const { return mode_ == Mode::uploaded ? rows_.data() : table_rows_.data(); }
  /// Which rows of `data`; null: those at the offset themselves.
  const std::int64_t* indices() const;
  /// Where step `i` of the run begins in `indices`, or in `data`.
  std::int64_t offset(std::int64_t i) const;

  /// The end of the stretch that step `i` of the run is in: its steps are prepared together.
  std::int64_t stretch_end(std::int64_t i) const;
  /// Puts into the stream what steps from `i` on need, and returns for how many of them: those to the end of their stretch.
  std::int64_t prepare(std::int64_t i);
  /// The work of these steps is in the stream.
  void used();

 private:
  enum class Mode : std::uint8_t { ordered, indexed, uploaded };
  bool make_resident(std::shared_ptr<const Matrix<float>> table);

  Context& context_;
  Mode mode_ = Mode::uploaded;
  BatchSource* source_ = nullptr;
  std::int64_t rows_a_step_ = 0, first_step_ = 0, n_steps_ = 0;
  std::int64_t chunk_ = 0;            ///< steps in one half of the buffers
  std::int64_t steps_per_epoch_ = 0;  ///< where the device sorts
  int half_ = 0;

  std::shared_ptr<const Matrix<float>> table_;  ///< held, so that another one cannot be taken for it
  DeviceBuffer<float> table_rows_;              ///< empty: it does not fit
  EpochSorter sorter_;
  EpochOrder rule_;
  DeviceBuffer<float> rows_;
  PinnedBuffer<float> host_rows_;
  DeviceBuffer<std::int64_t> indices_;
  PinnedBuffer<std::int64_t> host_indices_;
  CudaEvent copied_, used_[2];
};

}  // namespace tarn::cuda
