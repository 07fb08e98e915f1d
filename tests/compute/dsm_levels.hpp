// Noise levels and batches that tests of training share.
#pragma once

#include "compute/large_dsm_reference.hpp"

namespace tarn::test {

inline DsmLevel scaled_level() {
  DsmLevel level;
  level.sigma = 0.4;
  level.output_scale = 1.0 / (0.4 * 0.4);
  level.loss_scale = 0.4 * 0.4;
  return level;
}
inline DsmLevel confined_level(bool antithetic, std::int64_t points) {
  DsmLevel level = scaled_level();
  level.antithetic = antithetic;
  level.confinement_points = points;
  level.confinement_pull = 0.3;
  level.confinement_radius[0] = 2.0;
  level.confinement_radius[1] = 20.0;
  return level;
}

/// The rows of a batch `x` with noise `xi`.
inline Rows rows_of_batch(const Matrix<float>& x, const Matrix<float>& xi, double sigma) {
  Rows rows{Matrix<double>(x.rows(), x.cols()), Matrix<double>(xi.rows(), xi.cols()),
            std::vector<double>(static_cast<std::size_t>(x.rows()), 1.0), x.rows()};
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    for (std::int64_t k = 0; k < x.cols(); ++k) rows.points(i, k) = x(i, k) + (k < xi.cols() ? sigma * xi(i, k) : 0.0);
    for (std::int64_t d = 0; d < xi.cols(); ++d) rows.targets(i, d) = xi(i, d) / sigma;
  }
  return rows;
}

}  // namespace tarn::test
