#include "tarn/compute/trained_skew.hpp"

#include <algorithm>
#include <cmath>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

// Gauss-Jordan without pivoting. Of (I + J) and of its inverse the symmetric part is positive definite, so that every
// pivot is positive: no rows need be swapped.
Matrix<double> inverse(Matrix<double> a) {
  const std::int64_t n = a.rows();
  for (std::int64_t k = 0; k < n; ++k) {
    const double pivot = 1.0 / a(k, k);
    a(k, k) = 1.0;
    for (std::int64_t j = 0; j < n; ++j) a(k, j) *= pivot;
    for (std::int64_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = a(i, k);
      a(i, k) = 0.0;
      for (std::int64_t j = 0; j < n; ++j) a(i, j) -= factor * a(k, j);
    }
  }
  return a;
}

double norm(const Matrix<double>& a) {
  double square = 0.0;
  for (std::int64_t i = 0; i < a.size(); ++i) square += a.data()[i] * a.data()[i];
  return std::sqrt(square);
}

Matrix<double> difference(MatrixView<const float> A) {  // A - A^T
  Matrix<double> K(A.rows, A.rows);
  for (std::int64_t i = 0; i < A.rows; ++i) {
    for (std::int64_t j = 0; j < A.rows; ++j) K(i, j) = static_cast<double>(A(i, j)) - A(j, i);
  }
  return K;
}

}  // namespace

Matrix<double> skew_of(MatrixView<const float> A, double strength) {
  Matrix<double> K = difference(A);
  const double size = norm(K), factor = size == 0.0 ? 0.0 : strength / size;
  for (std::int64_t i = 0; i < K.size(); ++i) K.data()[i] *= factor;
  return K;
}

Matrix<float> parameters_of_skew(const Matrix<double>& J) {
  const auto n = static_cast<double>(J.rows());
  const double size = norm(J);
  require(size > 0.0, "a trained irreversible drift needs a J that is not zero");
  const double factor = std::sqrt(0.5 * n * (n - 1.0)) / size;
  Matrix<float> A(J.rows(), J.rows());
  std::transform(J.data(), J.data() + J.size(), A.data(), [&](double v) { return static_cast<float>(factor * v); });
  return A;
}

Matrix<double> circuit_to_score(const Matrix<double>& J) {
  Matrix<double> a = J;
  for (std::int64_t i = 0; i < a.rows(); ++i) a(i, i) += 1.0;
  return inverse(std::move(a));
}

Matrix<double> skew_of_map(MatrixView<const float> M) {
  const std::int64_t D = M.rows;
  Matrix<double> J(D, D);
  std::copy_n(M.data, M.size(), J.data());
  J = inverse(std::move(J));
  for (std::int64_t i = 0; i < D; ++i) J(i, i) -= 1.0;
  double largest = 0.0, fault = 0.0;
  for (std::int64_t i = 0; i < D; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      largest = std::max(largest, std::fabs(J(i, j) - J(j, i)) / 2.0);
      fault = std::max(fault, std::fabs(J(i, j) + J(j, i)));
      if (!std::isfinite(J(i, j)) || !std::isfinite(J(j, i))) fail("drift_map has no inverse");
      const double half = 0.5 * (J(i, j) - J(j, i));
      J(i, j) = half;
      J(j, i) = -half;
    }
  }
  // the map is stored in float32, whose rounding (6e-8) is large beside a small J
  require(fault <= 1e-4 * largest + 1e-5,
          "drift_map is not (I + J)^-1 of a skew-symmetric J: J and -J^T differ by up to {:.3g}, its largest entry is "
          "{:.3g}",
          fault, largest);
  return J;
}

Matrix<float> skew_gradient(MatrixView<const float> A, double strength, const Matrix<double>& dJ) {
  Matrix<double> K = difference(A);
  const double size = norm(K);
  Matrix<float> dA(A.rows, A.cols);
  if (size == 0.0) return dA;
  double along = 0.0;  // the length of K does not matter: what points along it is taken out
  for (std::int64_t i = 0; i < K.size(); ++i) {
    K.data()[i] /= size;
    along += K.data()[i] * dJ.data()[i];
  }
  const double factor = strength / size;
  for (std::int64_t i = 0; i < A.rows; ++i) {
    for (std::int64_t j = 0; j < A.rows; ++j) {
      dA(i, j) = static_cast<float>(factor * (dJ(i, j) - dJ(j, i) - 2.0 * along * K(i, j)));
    }
  }
  return dA;
}

}  // namespace tarn
