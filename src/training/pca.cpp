#include "tarn/training/pca.hpp"

#include <cblas.h>
#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace tarn {
namespace {

constexpr std::int64_t block = 128;        // rows and columns of a block of the product matrix
constexpr std::int64_t tile_items = 2048;  // rows of data taken at a time

int as_int32(std::int64_t n) { return static_cast<int>(n); }

std::vector<double> column_means(MatrixView<const float> x) {
  std::vector<double> mean(static_cast<std::size_t>(x.cols));
#pragma omp parallel for schedule(static)
  for (std::int64_t begin = 0; begin < x.cols; begin += block) {
    const auto end = std::min(begin + block, x.cols);
    for (std::int64_t i = 0; i < x.rows; ++i) {
      for (std::int64_t j = begin; j < end; ++j) mean[static_cast<std::size_t>(j)] += x(i, j);
    }
  }
  for (std::size_t j = 0; j < mean.size(); ++j) {
    mean[j] /= static_cast<double>(x.rows);
    require(std::isfinite(mean[j]), "PCA: feature {} of the data holds a value that is not finite", j);
  }
  return mean;
}

// Lower triangle of `sum A^T A` or of `sum A A^T`, in blocks that each thread sums alone, in the order of the data.
struct ProductMatrix {
  Matrix<double> values;

  explicit ProductMatrix(std::int64_t n) : values(n, n) {}

  // `a` [m, k]: adds a a^T (`transposed` false) or, for a [k, m], a^T a.
  void add(MatrixView<const double> a, bool transposed) {
    const auto n = values.rows(), n_blocks = (n + block - 1) / block, k = transposed ? a.rows : a.cols;
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t pair = 0; pair < n_blocks * n_blocks; ++pair) {
      const auto row = pair / n_blocks * block, col = pair % n_blocks * block;
      if (col > row) continue;
      const auto* left = a.data + (transposed ? row : row * a.cols);
      const auto* right = a.data + (transposed ? col : col * a.cols);
      cblas_dgemm(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, transposed ? CblasNoTrans : CblasTrans,
                  as_int32(std::min(block, n - row)), as_int32(std::min(block, n - col)), as_int32(k), 1.0, left,
                  as_int32(a.cols), right, as_int32(a.cols), 1.0, values.row(row) + col, as_int32(n));
    }
  }
};

// Rows begin .. end - 1, columns from .. to - 1 of `x`, less the mean.
Matrix<double> centred(MatrixView<const float> x, const std::vector<double>& mean, std::int64_t begin, std::int64_t end,
                       std::int64_t from, std::int64_t to) {
  Matrix<double> out(end - begin, to - from);
#pragma omp parallel for schedule(static)
  for (std::int64_t i = begin; i < end; ++i) {
    for (std::int64_t j = from; j < to; ++j) out(i - begin, j - from) = x(i, j) - mean[static_cast<std::size_t>(j)];
  }
  return out;
}

struct Leading {
  std::vector<double> eigenvalues;  // falling
  Matrix<double> vectors;           // [D, n], one a row
  double trace = 0.0;               // of the matrix: sum of all its eigenvalues
};

// The largest `count` eigenvalues of a symmetric matrix given by its lower triangle (destroyed). One thread does it,
// since the threaded LAPACK rounds differently for each number of threads.
Leading leading_eigenvectors(ProductMatrix& product, std::int64_t count) {
  const auto n = product.values.rows();
  double trace = 0.0;
  for (std::int64_t i = 0; i < n; ++i) trace += product.values(i, i);
  Matrix<double> vectors(count, n);
  std::vector<double> eigenvalues(static_cast<std::size_t>(n));
  std::vector<lapack_int> support(static_cast<std::size_t>(2 * count));
  lapack_int found = 0, status = 0;
  // Row-major lower is column-major upper, and eigenvectors then come one a row of ours.
#pragma omp parallel num_threads(2)
#pragma omp single
  status = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', count == n ? 'A' : 'I', 'U', as_int32(n), product.values.data(),
                          as_int32(n), 0.0, 0.0, as_int32(n - count + 1), as_int32(n), 0.0, &found, eigenvalues.data(),
                          vectors.data(), as_int32(n), support.data());
  require(status == 0 && found == count, "PCA: LAPACK's dsyevr returned {} with {} of {} eigenvectors", status, found,
          count);
  Leading leading{std::vector<double>(static_cast<std::size_t>(count)), Matrix<double>(count, n), trace};
  for (std::int64_t d = 0; d < count; ++d) {
    leading.eigenvalues[static_cast<std::size_t>(d)] = eigenvalues[static_cast<std::size_t>(count - 1 - d)];
    std::copy_n(vectors.row(count - 1 - d), n, leading.vectors.row(d));
  }
  return leading;
}

Leading from_covariance(MatrixView<const float> x, const std::vector<double>& mean, std::int64_t n_components) {
  ProductMatrix covariance(x.cols);
  for (std::int64_t begin = 0; begin < x.rows; begin += tile_items) {
    covariance.add(centred(x, mean, begin, std::min(begin + tile_items, x.rows), 0, x.cols), true);
  }
  return leading_eigenvectors(covariance, n_components);
}

// Fewer rows than features: eigenvectors w of the products of rows with each other give vectors X^T w /
// sqrt(eigenvalue).
Leading from_products(MatrixView<const float> x, const std::vector<double>& mean, std::int64_t n_components) {
  ProductMatrix products(x.rows);
  for (std::int64_t from = 0; from < x.cols; from += tile_items) {
    products.add(centred(x, mean, 0, x.rows, from, std::min(from + tile_items, x.cols)), false);
  }
  auto small = leading_eigenvectors(products, n_components);
  // Eigenvalues below this are rounding.
  const double floor = 1e-10 * small.eigenvalues.front();
  const auto rank = std::ranges::count_if(small.eigenvalues, [&](double value) { return value > floor; });
  require(rank == n_components, "PCA: the {} rows of data span {} directions, but {} components are asked for", x.rows,
          rank, n_components);
  Leading leading{small.eigenvalues, Matrix<double>(n_components, x.cols), small.trace};
  for (std::int64_t from = 0; from < x.cols; from += tile_items) {
    const auto part = centred(x, mean, 0, x.rows, from, std::min(from + tile_items, x.cols));
#pragma omp parallel for schedule(static)
    for (std::int64_t d = 0; d < n_components; ++d) {
      const double factor = 1.0 / std::sqrt(small.eigenvalues[static_cast<std::size_t>(d)]);
      cblas_dgemv(CblasRowMajor, CblasTrans, as_int32(part.rows()), as_int32(part.cols()), factor, part.data(),
                  as_int32(part.cols()), small.vectors.row(d), 1, 0.0, leading.vectors.row(d) + from, 1);
    }
  }
  return leading;
}

}  // namespace

PcaFilter fit_pca(MatrixView<const float> x, std::int64_t n_components) {
  const auto limit = std::min(x.cols, x.rows - 1);
  if (n_components < 1 || n_components > limit) {
    fail_usage("PCA: {} components of {} rows with {} features; 1 to {} are allowed", n_components, x.rows, x.cols,
               std::max<std::int64_t>(limit, 0));
  }
  const auto side = std::min(x.rows, x.cols);
  require(side <= 32768, "PCA: {} rows of {} features need a matrix of {} x {}; at most 32768 x 32768 is allowed",
          x.rows, x.cols, side, side);
  const auto mean = column_means(x);
  const auto leading = x.rows < x.cols ? from_products(x, mean, n_components) : from_covariance(x, mean, n_components);

  const auto n = static_cast<double>(x.rows);
  std::vector<double> variances;
  Matrix<float> V(x.cols, n_components);
  for (std::int64_t d = 0; d < n_components; ++d) {
    const double* vector = leading.vectors.row(d);
    std::int64_t largest = 0;
    for (std::int64_t j = 1; j < x.cols; ++j) {
      if (std::abs(vector[j]) > std::abs(vector[largest])) largest = j;
    }
    const double sign = vector[largest] < 0.0 ? -1.0 : 1.0;
    for (std::int64_t j = 0; j < x.cols; ++j) V(j, d) = static_cast<float>(sign * vector[j]);
    variances.push_back(std::max(leading.eigenvalues[static_cast<std::size_t>(d)], 0.0) / n);
  }
  return PcaFilter({mean.begin(), mean.end()}, std::move(V), std::move(variances), leading.trace / n);
}

}  // namespace tarn
