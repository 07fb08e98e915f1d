// A network whose score is linear, exactly: relu(z) - relu(-z) = z.
#pragma once

#include "tarn/core/matrix.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn::test {

/// Score `-x + [x u] read^T write^T`: `read` `[K, D+U]`, `write` `[D, K]`. 2 K neurons: those that read z, then those that read -z.
inline SamplingNetwork linear_network(const Matrix<double>& read, const Matrix<double>& write) {
  const std::int64_t K = read.rows(), D = write.rows();
  SamplingNetwork n;
  n.phi = Nonlinearity::relu;
  n.n_outputs = D;
  n.n_inputs = read.cols() - D;
  n.W_in = Matrix<float>(2 * K, read.cols());
  n.b = Matrix<float>(1, 2 * K);
  n.W_out = Matrix<float>(D, 2 * K);
  for (std::int64_t j = 0; j < 2 * K; ++j) {
    const double sign = j < K ? 1.0 : -1.0;
    for (std::int64_t d = 0; d < read.cols(); ++d) n.W_in(j, d) = static_cast<float>(sign * read(j % K, d));
    for (std::int64_t d = 0; d < D; ++d) n.W_out(d, j) = static_cast<float>(sign * write(d, j % K));
  }
  return n;
}

/// The same with `write` the identity: score `-x + [x u] map^T`, `map` `[D, D+U]`.
inline SamplingNetwork linear_network(const Matrix<double>& map) {
  Matrix<double> identity(map.rows(), map.rows());
  for (std::int64_t d = 0; d < map.rows(); ++d) identity(d, d) = 1.0;
  return linear_network(map, identity);
}

}  // namespace tarn::test
