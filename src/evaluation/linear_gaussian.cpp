#include "tarn/evaluation/linear_gaussian.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

// Lower triangle L with L L^T = A.
Matrix<double> cholesky(Matrix<double> A) {
  const std::int64_t n = A.rows();
  for (std::int64_t j = 0; j < n; ++j) {
    for (std::int64_t k = 0; k < j; ++k) A(j, j) -= A(j, k) * A(j, k);
    require(A(j, j) > 0.0, "a precision matrix is not positive definite");
    A(j, j) = std::sqrt(A(j, j));
    for (std::int64_t i = j + 1; i < n; ++i) {
      for (std::int64_t k = 0; k < j; ++k) A(i, j) -= A(i, k) * A(j, k);
      A(i, j) /= A(j, j);
    }
    for (std::int64_t k = j + 1; k < n; ++k) A(j, k) = 0.0;
  }
  return A;
}

// v := L^-1 v, and v := L^-T v.
void solve_lower(const Matrix<double>& L, std::vector<double>& v) {
  for (std::int64_t i = 0; i < L.rows(); ++i) {
    double sum = v[static_cast<std::size_t>(i)];
    for (std::int64_t k = 0; k < i; ++k) sum -= L(i, k) * v[static_cast<std::size_t>(k)];
    v[static_cast<std::size_t>(i)] = sum / L(i, i);
  }
}

void solve_upper(const Matrix<double>& L, std::vector<double>& v) {
  for (std::int64_t i = L.rows(); i-- > 0;) {
    double sum = v[static_cast<std::size_t>(i)];
    for (std::int64_t k = i + 1; k < L.rows(); ++k) sum -= L(k, i) * v[static_cast<std::size_t>(k)];
    v[static_cast<std::size_t>(i)] = sum / L(i, i);
  }
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

LinearGaussian::LinearGaussian(Matrix<double> W, std::vector<double> b, std::vector<double> m, double s, double s_1)
    : W_(std::move(W)), b_(std::move(b)), m_(std::move(m)), s_(s), s_1_(s_1) {
  require(std::ssize(b_) == W_.rows() && std::ssize(m_) == W_.cols() && s > 0.0 && s_1 > 0.0,
          "a linear-Gaussian model of {} x {} weights with {} and {} offsets, s = {}, s_1 = {}", W_.rows(), W_.cols(),
          b_.size(), m_.size(), s, s_1);
  const std::int64_t n = W_.cols();
  Matrix<double> precision(n, n);
  for (std::int64_t d = 0; d < W_.rows(); ++d) {
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) precision(i, j) += W_(d, i) * W_(d, j) / (s * s);
    }
  }
  for (std::int64_t i = 0; i < n; ++i) precision(i, i) += 1.0 / (s_1 * s_1);
  factor_ = cholesky(std::move(precision));
}

// W^T r / s^2 with r = x - b - W m, which is left in `residual`.
std::vector<double> LinearGaussian::message(const float* row, std::vector<double>& residual) const {
  std::vector<double> out(m_.size());
  residual.resize(b_.size());
  for (std::int64_t d = 0; d < W_.rows(); ++d) {
    double r = row[d] - b_[static_cast<std::size_t>(d)];
    for (std::int64_t j = 0; j < W_.cols(); ++j) r -= W_(d, j) * m_[static_cast<std::size_t>(j)];
    residual[static_cast<std::size_t>(d)] = r;
    for (std::int64_t j = 0; j < W_.cols(); ++j) out[static_cast<std::size_t>(j)] += W_(d, j) * r / (s_ * s_);
  }
  return out;
}

Matrix<double> LinearGaussian::posterior_means(MatrixView<const float> x) const {
  require(x.cols == W_.rows(), "rows of {} values for a model of {}", x.cols, W_.rows());
  Matrix<double> means(x.rows, W_.cols());
  std::vector<double> residual;
  for (std::int64_t i = 0; i < x.rows; ++i) {
    std::vector<double> v = message(x.row(i), residual);
    solve_lower(factor_, v);
    solve_upper(factor_, v);
    for (std::int64_t j = 0; j < W_.cols(); ++j)
      means(i, j) = m_[static_cast<std::size_t>(j)] + v[static_cast<std::size_t>(j)];
  }
  return means;
}

Matrix<double> LinearGaussian::posterior_covariance() const {
  const std::int64_t n = W_.cols();
  Matrix<double> covariance(n, n);
  for (std::int64_t j = 0; j < n; ++j) {
    std::vector<double> v(static_cast<std::size_t>(n));
    v[static_cast<std::size_t>(j)] = 1.0;
    solve_lower(factor_, v);
    solve_upper(factor_, v);
    std::copy(v.begin(), v.end(), covariance.row(j));
  }
  return covariance;
}

double LinearGaussian::log_likelihood(MatrixView<const float> x) const {
  require(x.cols == W_.rows() && x.rows > 0, "{} rows of {} values for a model of {}", x.rows, x.cols, W_.rows());
  const auto D = static_cast<double>(W_.rows()), n = static_cast<double>(W_.cols());
  double log_det = 2.0 * D * std::log(s_) + 2.0 * n * std::log(s_1_);
  for (std::int64_t j = 0; j < W_.cols(); ++j) log_det += 2.0 * std::log(factor_(j, j));
  double quadratic = 0.0;
  std::vector<double> residual;
  for (std::int64_t i = 0; i < x.rows; ++i) {
    std::vector<double> v = message(x.row(i), residual);
    solve_lower(factor_, v);
    quadratic += dot(residual, residual) / (s_ * s_) - dot(v, v);
  }
  return -0.5 * (D * std::log(2.0 * std::numbers::pi) + log_det + quadratic / static_cast<double>(x.rows));
}

double LinearGaussian::distance_to(MatrixView<const float> directions) const {
  require(directions.rows == W_.rows(), "directions of {} values for a model of {}", directions.rows, W_.rows());
  const auto D = static_cast<std::size_t>(W_.rows());
  std::vector<std::vector<double>> basis;  // of the columns of W, by Gram and Schmidt, twice for rounding
  for (std::int64_t j = 0; j < W_.cols(); ++j) {
    std::vector<double> v(D);
    for (std::size_t d = 0; d < D; ++d) v[d] = W_(static_cast<std::int64_t>(d), j);
    const double length = std::sqrt(dot(v, v));
    for (int pass = 0; pass < 2; ++pass) {
      for (const auto& u : basis) {
        const double along = dot(u, v);
        for (std::size_t d = 0; d < D; ++d) v[d] -= along * u[d];
      }
    }
    const double left = std::sqrt(dot(v, v));
    if (left <= 1e-10 * length) continue;
    for (double& value : v) value /= left;
    basis.push_back(std::move(v));
  }
  // what of the directions stands outside: the largest singular value of (I - Q Q^T) V, by power iteration
  std::vector<std::vector<double>> outside;
  for (std::int64_t k = 0; k < directions.cols; ++k) {
    std::vector<double> v(D);
    for (std::size_t d = 0; d < D; ++d) v[d] = directions(static_cast<std::int64_t>(d), k);
    for (const auto& u : basis) {
      const double along = dot(u, v);
      for (std::size_t d = 0; d < D; ++d) v[d] -= along * u[d];
    }
    outside.push_back(std::move(v));
  }
  std::vector<double> weights(outside.size());
  for (std::size_t k = 0; k < weights.size(); ++k) weights[k] = 1.0 + 0.5 * std::sin(static_cast<double>(k));
  double square = 0.0;
  for (int iteration = 0; iteration < 200; ++iteration) {
    const double norm = std::sqrt(dot(weights, weights));
    if (norm == 0.0) return 0.0;
    std::vector<double> sum(D);
    for (std::size_t k = 0; k < weights.size(); ++k) {
      for (std::size_t d = 0; d < D; ++d) sum[d] += weights[k] / norm * outside[k][d];
    }
    square = dot(sum, sum);
    for (std::size_t k = 0; k < weights.size(); ++k) weights[k] = dot(sum, outside[k]);
  }
  return std::sqrt(square);
}

double best_log_likelihood(const std::vector<double>& eigenvalues, double trace, std::int64_t n_outputs,
                           std::int64_t n_latents, double s) {
  const double noise = s * s;
  double sum = 0.0, left = trace;
  std::int64_t n_used = 0;
  for (const double value : eigenvalues) {
    if (n_used == n_latents || value <= noise) break;
    sum += std::log(value) + 1.0;
    left -= value;
    ++n_used;
  }
  sum += static_cast<double>(n_outputs - n_used) * std::log(noise) + left / noise;
  return -0.5 * (static_cast<double>(n_outputs) * std::log(2.0 * std::numbers::pi) + sum);
}

}  // namespace tarn
