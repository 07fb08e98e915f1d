#include "fitted_drift.hpp"

#include <lapacke.h>

#include <algorithm>
#include <vector>

namespace tarn {
namespace {

Matrix<float> to_float(const Matrix<double>& a) {
  Matrix<float> result(a.rows(), a.cols());
  std::transform(a.data(), a.data() + a.size(), result.data(), [](double v) { return static_cast<float>(v); });
  return result;
}

Matrix<double> identity(std::int64_t n) {
  Matrix<double> result(n, n);
  for (std::int64_t i = 0; i < n; ++i) result(i, i) = 1.0;
  return result;
}

Matrix<double> transposed(const Matrix<double>& a) {
  Matrix<double> result(a.cols(), a.rows());
  for (std::int64_t i = 0; i < a.rows(); ++i) {
    for (std::int64_t j = 0; j < a.cols(); ++j) result(j, i) = a(i, j);
  }
  return result;
}

// Nothing where the matrix is singular to working precision.
std::optional<Matrix<double>> inverse(Matrix<double> a) {
  const auto n = static_cast<lapack_int>(a.rows());
  std::vector<lapack_int> pivots(static_cast<std::size_t>(n));
  const double norm = LAPACKE_dlange(LAPACK_ROW_MAJOR, '1', n, n, a.data(), n);
  double reciprocal_condition = 0.0;
  if (LAPACKE_dgetrf(LAPACK_ROW_MAJOR, n, n, a.data(), n, pivots.data()) != 0 ||
      LAPACKE_dgecon(LAPACK_ROW_MAJOR, '1', n, a.data(), n, norm, &reciprocal_condition) != 0 ||
      reciprocal_condition < 1e-10 || LAPACKE_dgetri(LAPACK_ROW_MAJOR, n, a.data(), n, pivots.data()) != 0)
    return std::nullopt;
  return a;
}

}  // namespace

FittedDrift::FittedDrift(Nonlinearity phi, const Matrix<double>& W_in, const Matrix<double>& b,
                         const Matrix<double>& W_out, const Matrix<double>& c, const Matrix<double>& M)
    : phi_(phi), W_in_(to_float(W_in)), b_(to_float(b)), W_out_(to_float(W_out)), c_(to_float(c)), M_(to_float(M)) {}

NetworkView FittedDrift::view() const {
  NetworkView view;
  view.n_outputs = M_.rows();
  view.n_neurons = W_in_.rows();
  view.phi = phi_;
  view.W_in = W_in_.data();
  view.b = b_.data();
  view.W_out = W_out_.data();
  view.c = c_.data();
  view.M = M_.data();
  return view;
}

FittedDrift fitted_drift(const RateFit& fit) {
  const std::int64_t D = fit.W.rows();
  Matrix<double> b(1, D);
  std::copy(fit.b.begin(), fit.b.end(), b.data());
  return {fit.phi, fit.W, b, identity(D), Matrix<double>(1, D), transposed(fit.M)};
}

std::optional<FittedDrift> fitted_drift(const SynapticFit& fit) {
  // phi(x) A + c + x B = (-x + phi(x) W_out^T + c') M^T with M^T = -B, W_out^T = -A B^-1, c' = -c B^-1
  const std::int64_t D = fit.coefficients.cols();
  Matrix<double> B(D, D), M(D, D), W_out(D, D), c(1, D);
  std::copy_n(fit.coefficients.row(D + 1), D * D, B.data());
  const auto B_inverse = inverse(B);
  if (!B_inverse) return std::nullopt;
  for (std::int64_t i = 0; i < D; ++i) {
    for (std::int64_t j = 0; j < D; ++j) {
      M(i, j) = -B(j, i);
      c(0, j) -= fit.coefficients(D, i) * (*B_inverse)(i, j);
      for (std::int64_t k = 0; k < D; ++k) W_out(j, i) -= fit.coefficients(i, k) * (*B_inverse)(k, j);
    }
  }
  return FittedDrift(fit.phi, identity(D), Matrix<double>(1, D), W_out, c, M);
}

}  // namespace tarn
