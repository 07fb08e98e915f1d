#include "tarn/evaluation/principal_subspace.hpp"

#include <cmath>
#include <numbers>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Vector column(MatrixView<const float> m, std::int64_t j) {
  Vector v;
  for (std::int64_t i = 0; i < m.rows; ++i) v.push_back(m(i, j));
  return v;
}

void subtract_projection(const std::vector<Vector>& basis, Vector& v) {
  for (const Vector& u : basis) {
    const double along = dot(u, v);
    for (std::size_t d = 0; d < v.size(); ++d) v[d] -= along * u[d];
  }
}

// Of the columns, by Gram and Schmidt, twice for rounding.
std::vector<Vector> orthonormal_basis(MatrixView<const float> W) {
  std::vector<Vector> basis;
  for (std::int64_t j = 0; j < W.cols; ++j) {
    Vector v = column(W, j);
    const double length = std::sqrt(dot(v, v));
    subtract_projection(basis, v);
    subtract_projection(basis, v);
    const double left = std::sqrt(dot(v, v));
    if (left <= 1e-6 * length) continue;  // it lies in the span of those before, to single precision
    for (double& value : v) value /= left;
    basis.push_back(std::move(v));
  }
  return basis;
}

// The largest singular value of a matrix of these columns, by power iteration.
double spectral_norm(const std::vector<Vector>& columns) {
  constexpr int n_iterations = 200;
  Vector weights(columns.size());
  for (std::size_t k = 0; k < weights.size(); ++k) weights[k] = 1.0 + 0.5 * std::sin(static_cast<double>(k));
  double square = 0.0;
  for (int i = 0; i < n_iterations; ++i) {
    const double norm = std::sqrt(dot(weights, weights));
    if (norm == 0.0) return 0.0;
    Vector sum(columns[0].size());
    for (std::size_t k = 0; k < weights.size(); ++k) {
      for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += weights[k] / norm * columns[k][d];
    }
    square = dot(sum, sum);
    for (std::size_t k = 0; k < weights.size(); ++k) weights[k] = dot(sum, columns[k]);
  }
  return std::sqrt(square);
}

}  // namespace

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

double subspace_distance(MatrixView<const float> W, MatrixView<const float> directions) {
  require(directions.rows == W.rows && directions.cols > 0, "{} directions of {} values for weights of {}",
          directions.cols, directions.rows, W.rows);
  const std::vector<Vector> basis = orthonormal_basis(W);
  std::vector<Vector> outside;
  for (std::int64_t k = 0; k < directions.cols; ++k) {
    outside.push_back(column(directions, k));
    subtract_projection(basis, outside.back());
  }
  return spectral_norm(outside);
}

}  // namespace tarn
