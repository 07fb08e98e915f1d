#include "tarn/data/mapped_batches.hpp"

namespace tarn {

MappedBatches::MappedBatches(std::unique_ptr<BatchSource> source, DatumScaling datum_scaling,
                             std::shared_ptr<const Filter> filter, AffineScaling scaling)
    : source_(std::move(source)),
      datum_scaling_(std::move(datum_scaling)),
      filter_(std::move(filter)),
      scaling_(std::move(scaling)),
      plain_(filter_->kind() == "none") {
  require(source_->n_columns() == filter_->n_inputs(), "batches have {} columns, the filter takes {}",
          source_->n_columns(), filter_->n_inputs());
}

void MappedBatches::fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) {
  require(out.cols == n_columns(), "batches have {} columns, room was given for {}", n_columns(), out.cols);
  Matrix<float> own;
  MatrixView<float> rows = out;
  if (!plain_) {
    own = Matrix<float>(out.rows, source_->n_columns());
    rows = own;
  }
  source_->fill(first_step, n_steps, rows);
  datum_scaling_.apply(rows);
  // A batch at a time: matrix products of another height may round otherwise, and a row must not depend on what is asked for with it.
  const std::int64_t size = out.rows / n_steps;
  for (std::int64_t s = 0; s < n_steps && !plain_; ++s)
    filter_->apply(own.view().slice(s * size, (s + 1) * size), out.slice(s * size, (s + 1) * size));
  if (scaling_.scale != 1.0 || !scaling_.shift.empty()) apply_scaling(scaling_, out);
}

}  // namespace tarn
