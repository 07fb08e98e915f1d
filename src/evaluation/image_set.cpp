#include "tarn/evaluation/image_set.hpp"

#include <cblas.h>
#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/error.hpp"
#include "tarn/evaluation/set_comparison.hpp"

namespace tarn {
namespace {

double norm_of(const float* row, std::int64_t n) {
  double sum = 0.0;
  for (std::int64_t j = 0; j < n; ++j) sum += static_cast<double>(row[j]) * row[j];
  return std::sqrt(sum);
}

// Eigenvalues of the symmetric matrix in A's lower triangle, ascending; A becomes the eigenvectors, as columns.
std::vector<double> eigen(Matrix<double>& A, bool vectors) {
  std::vector<double> values(static_cast<std::size_t>(A.rows()));
  const auto n = static_cast<lapack_int>(A.rows());
  const auto status = LAPACKE_dsyevd(LAPACK_ROW_MAJOR, vectors ? 'V' : 'N', 'L', n, A.data(), n, values.data());
  require(status == 0, "eigenvalues of a {} x {} covariance did not converge (dsyevd returned {})", n, n, status);
  return values;
}

}  // namespace

double largest_norm(MatrixView<const float> data) {
  double largest = 0.0;
  for (std::int64_t i = 0; i < data.rows; ++i) {
    const double norm = norm_of(data.row(i), data.cols);
    require(std::isfinite(norm), "row {} of the data holds a value that is not finite", i);
    largest = std::max(largest, norm);
  }
  return largest;
}

NormCount count_beyond(MatrixView<const float> draws, double largest_data_norm, double factor) {
  require(largest_data_norm >= 0.0 && factor > 0.0,
          "the largest norm must not be negative and its factor above 0; found {} and {}", largest_data_norm, factor);
  NormCount count;
  count.n_draws = draws.rows;
  count.bound = factor * largest_data_norm;
  for (std::int64_t i = 0; i < draws.rows; ++i) {
    const double norm = norm_of(draws.row(i), draws.cols);
    if (!std::isfinite(norm)) {
      ++count.n_not_finite;
      continue;
    }
    if (norm > count.bound) ++count.n_beyond;
    count.largest = std::max(count.largest, norm);
  }
  return count;
}

GaussianMoments::GaussianMoments(std::int64_t dimension) : dimension_(dimension) {
  require(dimension >= 1 && dimension <= 1 << 15, "moments need 1 to 32768 dimensions, found {}", dimension);
  products_ = Matrix<double>(dimension, dimension);
  sum_.assign(static_cast<std::size_t>(dimension), 0.0);
}

void GaussianMoments::add(MatrixView<const float> rows) {
  require(rows.cols == dimension_, "moments in {} dimensions cannot take rows of {}", dimension_, rows.cols);
  const std::int64_t D = dimension_;
  const std::int64_t tile = std::clamp((std::int64_t{1} << 20) / D, std::int64_t{512}, std::int64_t{1} << 16);  // 8 MiB
  std::vector<const float*> finite;
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    if (std::isfinite(norm_of(rows.row(i), D))) {
      finite.push_back(rows.row(i));
    } else {
      ++n_not_finite_;
    }
  }
  if (finite.empty()) return;
  if (shift_.empty()) {
    shift_.assign(static_cast<std::size_t>(D), 0.0);
    for (const float* row : finite) {
      for (std::int64_t j = 0; j < D; ++j) shift_[j] += row[j];
    }
    for (double& value : shift_) value /= static_cast<double>(finite.size());
  }
  Matrix<double> centred(std::min(tile, static_cast<std::int64_t>(finite.size())), D);
  for (std::size_t begin = 0; begin < finite.size(); begin += static_cast<std::size_t>(tile)) {
    const auto n =
        static_cast<std::int64_t>(std::min<std::size_t>(static_cast<std::size_t>(tile), finite.size() - begin));
    for (std::int64_t i = 0; i < n; ++i) {
      const float* row = finite[begin + static_cast<std::size_t>(i)];
      for (std::int64_t j = 0; j < D; ++j) {
        centred(i, j) = row[j] - shift_[j];
        sum_[j] += centred(i, j);
      }
    }
    const auto d = static_cast<int>(D);
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, d, static_cast<int>(n), 1.0, centred.data(), d, 1.0,
                products_.data(), d);
  }
  n_ += static_cast<std::int64_t>(finite.size());
}

std::vector<double> GaussianMoments::mean() const {
  std::vector<double> result(static_cast<std::size_t>(dimension_), std::numeric_limits<double>::quiet_NaN());
  if (n_ > 0) {
    for (std::size_t j = 0; j < result.size(); ++j) result[j] = shift_[j] + sum_[j] / static_cast<double>(n_);
  }
  return result;
}

Matrix<double> GaussianMoments::covariance() const {
  require(n_ >= 2, "a covariance needs two rows or more, found {} finite ones", n_);
  Matrix<double> C(dimension_, dimension_);
  const auto n = static_cast<double>(n_);
  for (std::int64_t i = 0; i < dimension_; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) C(i, j) = C(j, i) = (products_(i, j) - sum_[i] * sum_[j] / n) / (n - 1.0);
  }
  return C;
}

double frechet_distance(const GaussianMoments& a, const GaussianMoments& b) {
  require(a.dimension() == b.dimension(), "a Frechet distance needs one space; found {} and {} dimensions",
          a.dimension(), b.dimension());
  const std::int64_t D = a.dimension();
  const auto d = static_cast<int>(D);
  const std::vector<double> mean_a = a.mean(), mean_b = b.mean();
  Matrix<double> C_a = a.covariance(), C_b = b.covariance();
  double result = 0.0;
  for (std::int64_t j = 0; j < D; ++j) {
    result += (mean_a[j] - mean_b[j]) * (mean_a[j] - mean_b[j]) + C_a(j, j) + C_b(j, j);
  }
  // With C_a = Q L Q^T, the trace is that of the square root of R C_b R^T, R = L^{1/2} Q^T.
  const std::vector<double> values = eigen(C_a, true);
  Matrix<double> R(D, D), RC(D, D), S(D, D);
  for (std::int64_t i = 0; i < D; ++i) {
    const double root = std::sqrt(std::max(values[i], 0.0));
    for (std::int64_t j = 0; j < D; ++j) R(i, j) = root * C_a(j, i);
  }
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, d, d, d, 1.0, R.data(), d, C_b.data(), d, 0.0, RC.data(), d);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, d, d, d, 1.0, RC.data(), d, R.data(), d, 0.0, S.data(), d);
  for (const double value : eigen(S, false)) result -= 2.0 * std::sqrt(std::max(value, 0.0));
  return std::max(result, 0.0);
}

FrechetReference::FrechetReference(const GaussianMoments& reference)
    : mean_(reference.mean()), root_(reference.dimension(), reference.dimension()) {
  Matrix<double> C = reference.covariance();
  for (std::int64_t j = 0; j < C.rows(); ++j) trace_ += C(j, j);
  const std::vector<double> values = eigen(C, true);
  for (std::int64_t i = 0; i < C.rows(); ++i) {
    const double root = std::sqrt(std::max(values[i], 0.0));
    for (std::int64_t j = 0; j < C.rows(); ++j) root_(i, j) = root * C(j, i);
  }
}

double FrechetReference::operator()(MatrixView<const float> rows) const {
  const std::int64_t n = rows.rows, D = root_.rows();
  require(rows.cols == D, "a Frechet distance needs one space; found {} and {} dimensions", rows.cols, D);
  if (n < 2) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> mean(static_cast<std::size_t>(D), 0.0);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < D; ++j) mean[j] += rows(i, j);
  }
  for (double& value : mean) value /= static_cast<double>(n);
  const double scale = 1.0 / std::sqrt(static_cast<double>(n - 1));
  Matrix<double> X(n, D), Z(n, D);
  double result = trace_;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < D; ++j) {
      X(i, j) = scale * (rows(i, j) - mean[j]);
      result += X(i, j) * X(i, j);
    }
  }
  for (std::int64_t j = 0; j < D; ++j) result += (mean[j] - mean_[j]) * (mean[j] - mean_[j]);
  // The trace is that of the square root of Z^T Z, Z = X R^T, whose eigenvalues other than 0 are those of Z Z^T.
  const auto d = static_cast<int>(D), m = static_cast<int>(n), side = std::min(d, m);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, d, d, 1.0, X.data(), d, root_.data(), d, 0.0, Z.data(), d);
  Matrix<double> S(side, side);
  cblas_dsyrk(CblasRowMajor, CblasLower, d <= m ? CblasTrans : CblasNoTrans, side, d <= m ? m : d, 1.0, Z.data(), d,
              0.0, S.data(), side);
  for (const double value : eigen(S, false)) result -= 2.0 * std::sqrt(std::max(value, 0.0));
  return std::max(result, 0.0);
}

FrechetFloor frechet_floor(MatrixView<const float> real, std::int64_t n, std::uint64_t seed,
                           std::int64_t n_replicates) {
  require(real.rows >= 4 && n >= 2 && n_replicates >= 1,
          "a floor needs four rows or more, two or more on either side and one or more replicates; found {}, {} and {}",
          real.rows, n, n_replicates);
  FrechetFloor floor;
  floor.n = std::min(n, real.rows / 2);
  floor.n_replicates = n_replicates;
  std::vector<double> distances;
  for (std::int64_t r = 0; r < n_replicates; ++r) {
    const auto [first, second] = disjoint_subsets(real, floor.n, seed, static_cast<std::uint64_t>(r));
    GaussianMoments sides[2] = {GaussianMoments(real.cols), GaussianMoments(real.cols)};
    sides[0].add(first);
    sides[1].add(second);
    distances.push_back(frechet_distance(sides[0], sides[1]));
    floor.mean += distances.back() / static_cast<double>(n_replicates);
  }
  for (const double value : distances) floor.deviation += (value - floor.mean) * (value - floor.mean);
  floor.deviation = n_replicates > 1 ? std::sqrt(floor.deviation / static_cast<double>(n_replicates - 1))
                                     : std::numeric_limits<double>::quiet_NaN();
  return floor;
}

}  // namespace tarn
