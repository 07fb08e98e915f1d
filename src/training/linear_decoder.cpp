#include "tarn/training/linear_decoder.hpp"

#include <lapacke.h>

#include "blocked_product.hpp"
#include "fit_tools.hpp"

namespace tarn {
namespace {

constexpr double relative_ridge = 1e-6;
constexpr std::int64_t tile_items = 2048;  // rows taken at a time

Matrix<double> centred(MatrixView<const float> x, const std::vector<double>& mean) {
  Matrix<double> out(x.rows, x.cols);
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t j = 0; j < x.cols; ++j) out(i, j) = x(i, j) - mean[static_cast<std::size_t>(j)];
  }
  return out;
}

}  // namespace

FeatureFilter fit_linear_decoder(MatrixView<const float> y, MatrixView<const float> x) {
  require(y.rows == x.rows && y.rows >= 2 && y.cols >= 1 && x.cols >= 1,
          "linear decoder: features are [{}, {}] and data [{}, {}]; both need the same rows, at least two", y.rows,
          y.cols, x.rows, x.cols);
  const auto D = y.cols;
  const auto y_mean = finite_means(y, "linear decoder, features"), x_mean = finite_means(x, "linear decoder");
  Matrix<double> gram(D, D), B(D, x.cols);
  for (std::int64_t begin = 0; begin < y.rows; begin += tile_items) {
    const auto end = std::min(begin + tile_items, y.rows);
    const auto f = centred(y.slice(begin, end), y_mean), d = centred(x.slice(begin, end), x_mean);
    blocked_product<double>(Transposed::yes, f, Transposed::no, f, gram.view(), 1.0, 1.0);
    blocked_product<double>(Transposed::yes, f, Transposed::no, d, B.view(), 1.0, 1.0);
  }
  double trace = 0.0;
  for (std::int64_t d = 0; d < D; ++d) trace += gram(d, d);
  require(trace > 0.0, "linear decoder: all {} rows of features are the same", y.rows);
  for (std::int64_t d = 0; d < D; ++d) gram(d, d) += relative_ridge * trace / static_cast<double>(D);
  lapack_int status = 0;
  // One thread, since the threaded LAPACK rounds differently for each number of threads.
#pragma omp parallel num_threads(2)
#pragma omp single
  status = LAPACKE_dposv(LAPACK_ROW_MAJOR, 'L', static_cast<lapack_int>(D), static_cast<lapack_int>(x.cols),
                         gram.data(), static_cast<lapack_int>(D), B.data(), static_cast<lapack_int>(x.cols));
  require(status == 0, "linear decoder: LAPACK's dposv returned {}", status);

  Matrix<float> decoder(D, x.cols);
  std::vector<double> offset = x_mean;
  for (std::int64_t d = 0; d < D; ++d) {
    for (std::int64_t j = 0; j < x.cols; ++j) {
      decoder(d, j) = static_cast<float>(B(d, j));
      offset[static_cast<std::size_t>(j)] -= y_mean[static_cast<std::size_t>(d)] * B(d, j);
    }
  }
  return {std::move(decoder), {offset.begin(), offset.end()}};
}

}  // namespace tarn
