#include "tarn/evaluation/gaussian_conditional.hpp"

#include <cblas.h>
#include <lapacke.h>

#include "tarn/core/error.hpp"

namespace tarn {

GaussianConditional::GaussianConditional(const Matrix<double>& covariance, std::span<const std::int64_t> seen,
                                         double variance)
    : seen_(seen.begin(), seen.end()), gain_(std::ssize(seen), covariance.cols()) {
  const std::int64_t P = covariance.rows(), m = gain_.rows();
  require(P >= 1 && covariance.cols() == P && m >= 1, "a covariance of {} x {}, of which {} coordinates are seen", P,
          covariance.cols(), m);
  Matrix<double> of_seen(m, m);
  for (std::int64_t i = 0; i < m; ++i) {
    const std::int64_t unit = seen_[static_cast<std::size_t>(i)];
    require(unit >= 0 && unit < P, "coordinate {} is seen of {}", unit, P);
    for (std::int64_t j = 0; j < P; ++j) gain_(i, j) = covariance(unit, j);
    for (std::int64_t j = 0; j < m; ++j) of_seen(i, j) = covariance(unit, seen_[static_cast<std::size_t>(j)]);
    of_seen(i, i) += variance;
  }
  const auto rows = static_cast<int>(m), columns = static_cast<int>(P);
  if (LAPACKE_dposv(LAPACK_ROW_MAJOR, 'L', rows, columns, of_seen.data(), rows, gain_.data(), columns) != 0)
    fail("the covariance of what is seen is not positive definite");
}

Matrix<float> GaussianConditional::operator()(MatrixView<const float> means, MatrixView<const float> y) const {
  const std::int64_t n = means.rows, P = gain_.cols(), m = gain_.rows();
  require(means.cols == P && y.rows == n && y.cols == m, "means of {} x {} and {} x {} seen, should be of {} and {}", n,
          means.cols, y.rows, y.cols, P, m);
  Matrix<double> error(n, m), x(n, P);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t k = 0; k < m; ++k)
      error(i, k) = static_cast<double>(y(i, k)) - static_cast<double>(means(i, seen_[static_cast<std::size_t>(k)]));
    for (std::int64_t j = 0; j < P; ++j) x(i, j) = static_cast<double>(means(i, j));
  }
  if (n > 0) {
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(n), static_cast<int>(P),
                static_cast<int>(m), 1.0, error.data(), static_cast<int>(m), gain_.data(), static_cast<int>(P), 1.0,
                x.data(), static_cast<int>(P));
  }
  Matrix<float> out(n, P);
  for (std::int64_t i = 0; i < out.size(); ++i) out.data()[i] = static_cast<float>(x.data()[i]);
  return out;
}

}  // namespace tarn
