// Small symmetric matrices in double, row-major: factors and eigenvectors of covariances.
#pragma once

#include <cstdint>
#include <vector>

namespace tarn::data {

/// Lower Cholesky factor `[D, D]` of a symmetric positive definite matrix; empty where it is not positive definite.
/// Plain loops, so that the factors are the same bits on every machine.
std::vector<double> cholesky(const std::vector<double>& matrix, std::int64_t dimension);

/// `L^-1 b` for a lower factor, in place; and `L^-T b`.
void solve_lower(const std::vector<double>& L, std::int64_t dimension, double* b);
void solve_lower_transposed(const std::vector<double>& L, std::int64_t dimension, double* b);

/// `matrix = Q diag(eigenvalues) Q^T`; column k of `Q` `[D, D]` belongs to eigenvalue k.
struct Eigen {
  std::vector<double> Q, eigenvalues;
};
/// Throws `Error` where LAPACK gives up.
Eigen symmetric_eigen(const std::vector<double>& matrix, std::int64_t dimension);
/// The same for a matrix that is known to be diagonal.
Eigen diagonal_eigen(const std::vector<double>& matrix, std::int64_t dimension);

}  // namespace tarn::data
