// Training batches from a data set in memory, and fresh ones from a synthetic law.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tarn/core/affine_scaling.hpp"
#include "tarn/core/batch_source.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/stream.hpp"
#include "tarn/core/target.hpp"

namespace tarn {

/// The numbers 0 to n - 1 in an order of their own for every epoch: that of `EpochOrder`.
std::vector<std::int64_t> epoch_order(std::uint64_t seed, Stream stream, std::int64_t n, std::int64_t epoch);

/// Rows of a data set, each exactly once an epoch (less the remainder), in the `epoch_order` of `Stream::batch_order`.
/// Step s of an epoch takes places `s * B` to `s * B + B - 1`.
class DatasetBatches final : public BatchSource {
 public:
  /// `rows` `[n, D+U]` in scaled filter space. Throws `Error` where it has no rows or columns.
  DatasetBatches(Matrix<float> rows, std::uint64_t seed);
  std::int64_t n_columns() const override { return rows_->cols(); }
  std::int64_t steps_per_epoch(std::int64_t batch_size) const override;
  /// Throws `Error` where a batch is larger than the data set.
  void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) override;
  std::shared_ptr<const Matrix<float>> table() const override { return rows_; }
  void indices(std::int64_t first_step, std::int64_t n_steps, std::int64_t batch_size, std::int64_t* out) override;
  std::optional<EpochOrder> shuffled() const override { return EpochOrder{seed_, Stream::batch_order}; }

  const Matrix<float>& rows() const { return *rows_; }
  /// Row numbers of an epoch in the order in which they are used `[n]`.
  const std::vector<std::int64_t>& order(std::int64_t epoch);

 private:
  std::shared_ptr<const Matrix<float>> rows_;
  std::uint64_t seed_;
  std::int64_t ordered_epoch_ = -1;
  std::vector<std::int64_t> order_;
};

/// Fresh draws of a law: row i of step s is draw number `s * B + i`, scaled.
class SyntheticBatches final : public BatchSource {
 public:
  /// `epoch_size` > 0 draws count as an epoch. `scaling` acts on the first D columns, D the size of its shift (all
  /// where it is empty); columns after them are inputs `u`. Throws `Error` where the shift is longer than the
  /// dimension.
  SyntheticBatches(std::shared_ptr<const Target> target, AffineScaling scaling, std::uint64_t seed,
                   std::int64_t epoch_size);
  std::int64_t n_columns() const override { return target_->dimension(); }
  std::int64_t steps_per_epoch(std::int64_t batch_size) const override;
  void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) override;

  const Target& target() const { return *target_; }

 private:
  std::shared_ptr<const Target> target_;
  AffineScaling scaling_;
  std::uint64_t seed_;
  std::int64_t epoch_size_;
};

}  // namespace tarn
