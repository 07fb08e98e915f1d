#include "tarn/models/pseudo_inverse.hpp"

#include <cblas.h>
#include <lapacke.h>

#include <algorithm>
#include <cmath>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr double smallest_rcond = 1e-12;

[[noreturn]] void fail_dependent(MatrixView<const float> W_out, double rcond) {
  fail(
      "W_out [{}, {}] has linearly dependent rows (reciprocal condition number of W_out W_out^T: {:.1e}, at least "
      "{:.0e} is "
      "needed): output noise cannot be driven through the neurons; use output mode",
      W_out.rows, W_out.cols, rcond, smallest_rcond);
}

}  // namespace

Matrix<float> pseudo_inverse(MatrixView<const float> W_out) {
  const std::int64_t D = W_out.rows, N = W_out.cols;
  require(D >= 1 && N >= 1, "W_out is [{}, {}]; both extents must be at least 1", D, N);
  for (std::int64_t i = 0; i < W_out.size(); ++i) {
    require(std::isfinite(W_out.data[i]), "W_out holds {} at [{}, {}]; it must be finite", W_out.data[i], i / N, i % N);
  }
  if (N < D) fail_dependent(W_out, 0.0);

  // rows scaled to unit norm first: P of `s W_out` is `P s^-1`, and the check then sees angles, not units
  Matrix<double> rows(D, N);
  std::vector<double> norms(static_cast<std::size_t>(D));
  for (std::int64_t d = 0; d < D; ++d) {
    double square = 0.0;
    for (std::int64_t j = 0; j < N; ++j) square += static_cast<double>(W_out(d, j)) * W_out(d, j);
    if (square == 0.0) fail_dependent(W_out, 0.0);
    norms[static_cast<std::size_t>(d)] = std::sqrt(square);
    for (std::int64_t j = 0; j < N; ++j) rows(d, j) = W_out(d, j) / norms[static_cast<std::size_t>(d)];
  }
  const auto d_int = static_cast<int>(D), n_int = static_cast<int>(N);
  Matrix<double> gram(D, D);
  cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, d_int, n_int, 1.0, rows.data(), n_int, 0.0, gram.data(), d_int);
  const double norm = LAPACKE_dlansy(LAPACK_ROW_MAJOR, '1', 'L', d_int, gram.data(), d_int);
  if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', d_int, gram.data(), d_int) != 0) fail_dependent(W_out, 0.0);
  double rcond = 0.0;
  LAPACKE_dpocon(LAPACK_ROW_MAJOR, 'L', d_int, gram.data(), d_int, norm, &rcond);
  if (!(rcond >= smallest_rcond)) fail_dependent(W_out, rcond);
  // L L^T X = rows
  cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, d_int, n_int, 1.0, gram.data(), d_int,
              rows.data(), n_int);
  cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, d_int, n_int, 1.0, gram.data(), d_int,
              rows.data(), n_int);

  Matrix<float> P(N, D);
  for (std::int64_t d = 0; d < D; ++d) {
    for (std::int64_t j = 0; j < N; ++j) {
      P(j, d) = static_cast<float>(rows(d, j) / norms[static_cast<std::size_t>(d)]);
    }
  }
  return P;
}

}  // namespace tarn
