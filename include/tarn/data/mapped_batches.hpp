// Fresh batches in the data's own units, brought to scaled filter space as they come.
#pragma once

#include <memory>

#include "tarn/core/affine_scaling.hpp"
#include "tarn/core/batch_source.hpp"
#include "tarn/data/filter.hpp"
#include "tarn/data/scaling.hpp"

namespace tarn {

/// The batches of another source, each row scaled, filtered and scaled again.
class MappedBatches final : public BatchSource {
 public:
  /// Throws `Error` where the filter does not take the source's rows.
  MappedBatches(std::unique_ptr<BatchSource> source, DatumScaling datum_scaling, std::shared_ptr<const Filter> filter,
                AffineScaling scaling);
  std::int64_t n_columns() const override { return filter_->n_outputs(); }
  std::int64_t steps_per_epoch(std::int64_t batch_size) const override { return source_->steps_per_epoch(batch_size); }
  void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) override;

 private:
  std::unique_ptr<BatchSource> source_;
  DatumScaling datum_scaling_;
  std::shared_ptr<const Filter> filter_;
  AffineScaling scaling_;
  bool plain_;  ///< the filter changes nothing
};

}  // namespace tarn
