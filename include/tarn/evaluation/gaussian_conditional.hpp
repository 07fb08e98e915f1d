// What one Gaussian knows of what is not seen: the yardstick of inpainting, and the Wiener filter of denoising.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// `E[x | y]` of `x ~ N(mean, C)` given `y = x[seen] + n`, `n ~ N(0, v)`: `mean + C S^T (S C S^T + v)^-1 (y - S mean)`, S the choice of
/// the seen coordinates.
class GaussianConditional {
 public:
  /// `covariance` `[P, P]`; `variance` v > 0, which also makes up for directions without any. Throws `Error` where shapes do not fit
  /// or the matrix to be inverted is not positive definite.
  GaussianConditional(const Matrix<double>& covariance, std::span<const std::int64_t> seen, double variance);

  /// `means` `[n, P]`, a mean for each row, and y `[n, m]` to `[n, P]`. A row with a value that is not finite gives one like it.
  Matrix<float> operator()(MatrixView<const float> means, MatrixView<const float> y) const;

 private:
  std::vector<std::int64_t> seen_;
  Matrix<double> gain_;  ///< `[m, P]`, transposed
};

}  // namespace tarn
