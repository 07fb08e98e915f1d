#include "symmetric.hpp"

#include <lapacke.h>

#include <cmath>

#include "tarn/core/error.hpp"

namespace tarn::data {

std::vector<double> cholesky(const std::vector<double>& matrix, std::int64_t dimension) {
  const auto n = static_cast<std::size_t>(dimension);
  std::vector<double> L(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double rest = matrix[i * n + j];
      for (std::size_t k = 0; k < j; ++k) rest -= L[i * n + k] * L[j * n + k];
      if (i != j) {
        L[i * n + j] = rest / L[j * n + j];
        continue;
      }
      // A pivot of rounding size means a matrix that is singular in double.
      if (!(rest > 1e-14 * matrix[i * n + i]) || !std::isfinite(rest)) return {};
      L[i * n + i] = std::sqrt(rest);
    }
  }
  return L;
}

void solve_lower(const std::vector<double>& L, std::int64_t dimension, double* b) {
  const auto n = static_cast<std::size_t>(dimension);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= L[i * n + k] * b[k];
    b[i] /= L[i * n + i];
  }
}

void solve_lower_transposed(const std::vector<double>& L, std::int64_t dimension, double* b) {
  const auto n = static_cast<std::size_t>(dimension);
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= L[k * n + i] * b[k];
    b[i] /= L[i * n + i];
  }
}

Eigen symmetric_eigen(const std::vector<double>& matrix, std::int64_t dimension) {
  Eigen eigen{matrix, std::vector<double>(static_cast<std::size_t>(dimension))};
  const auto n = static_cast<lapack_int>(dimension);
  const auto status = LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'L', n, eigen.Q.data(), n, eigen.eigenvalues.data());
  require(status == 0, "eigenvectors of a {} x {} covariance: LAPACK's dsyevd returned {}", n, n, status);
  return eigen;
}

Eigen diagonal_eigen(const std::vector<double>& matrix, std::int64_t dimension) {
  const auto n = static_cast<std::size_t>(dimension);
  Eigen eigen{std::vector<double>(n * n), std::vector<double>(n)};
  for (std::size_t k = 0; k < n; ++k) {
    eigen.Q[k * (n + 1)] = 1.0;
    eigen.eigenvalues[k] = matrix[k * (n + 1)];
  }
  return eigen;
}

}  // namespace tarn::data
