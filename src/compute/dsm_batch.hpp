// The rows of training steps: noisy data and confinement points, the same for every backend path.
#pragma once

#include <cstdint>

#include "tarn/compute/dsm.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn {

/// One training step's rows: `batch_size` noisy data, then confinement points. A row's residual is `target_scale s(point) + target`;
/// its loss is half the squared residual, times `loss_scale` for data rows.
struct NoisyStep {
  const float* points = nullptr;        ///< `[rows, D+U]`
  const float* targets = nullptr;       ///< `[rows, D]`: xi / sigma; confinement: pull * direction
  const float* target_scale = nullptr;  ///< `[rows]`: 1; confinement: sigma^2 / R
};

/// Makes the rows of several steps at a time. Noise of row i at step s: normals (seed, training_noise, chain i, step s); with antithetic
/// pairs, chain i/2, negated for odd i. Confinement point p at step s: normals (seed, confinement, chain p, step s), D + 1 of them:
/// the first D, normalised, are the direction, the last gives `log R` uniform through the normal distribution function. Inputs u of
/// point p are those of data row p mod B.
class NoisyBatches {
 public:
  /// Fills steps `first_step` to `first_step + n_steps - 1`. Allocates on the first call of a shape only.
  void fill(BatchSource& source, const DsmLevel& level, std::int64_t n_outputs, std::int64_t batch_size,
            std::uint64_t seed, std::int64_t first_step, std::int64_t n_steps);
  /// The same rows for one batch given outright, without confinement points.
  void fill(const DsmBatch& batch, const DsmLevel& level);

  std::int64_t rows() const { return rows_; }  ///< a step
  NoisyStep step(std::int64_t i) const;

 private:
  void resize(std::int64_t n_steps, std::int64_t rows, std::int64_t n_outputs, std::int64_t n_columns);

  std::int64_t rows_ = 0, n_outputs_ = 0, n_columns_ = 0;
  AlignedVector<float> points_, targets_, target_scale_;
  Matrix<float> data_, normals_, confinement_;
};

/// Steps that are worth making at a time: rows for about a quarter of a megabyte.
std::int64_t steps_a_chunk(std::int64_t batch_size, std::int64_t n_columns);

}  // namespace tarn
