// Matrix products in blocks that each thread computes alone: the same bits for any number of threads.
#pragma once

#include <cblas.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "tarn/core/matrix.hpp"

namespace tarn {

enum class Transposed : bool { no, yes };

/// `out = factor op(a) op(b) + keep out`. Throws `Error` where shapes disagree.
template <class T>
void blocked_product(Transposed a_transposed, std::type_identity_t<MatrixView<const T>> a, Transposed b_transposed,
                     std::type_identity_t<MatrixView<const T>> b, MatrixView<T> out, T factor = T(1), T keep = T(0)) {
  constexpr std::int64_t block_rows = 64, block_cols = 128;
  const bool ta = a_transposed == Transposed::yes, tb = b_transposed == Transposed::yes;
  const auto inner = ta ? a.rows : a.cols;
  require((ta ? a.cols : a.rows) == out.rows && (tb ? b.rows : b.cols) == out.cols && (tb ? b.cols : b.rows) == inner,
          "product of [{}, {}]{} and [{}, {}]{} does not fit [{}, {}]", a.rows, a.cols, ta ? "^T" : "", b.rows, b.cols,
          tb ? "^T" : "", out.rows, out.cols);
  const auto n_cols = (out.cols + block_cols - 1) / block_cols,
             n_blocks = (out.rows + block_rows - 1) / block_rows * n_cols;
  const auto gemm = [](auto... arguments) {
    if constexpr (std::is_same_v<T, float>) {
      cblas_sgemm(arguments...);
    } else {
      cblas_dgemm(arguments...);
    }
  };
  // Below this the BLAS uses one thread by itself, and waking others takes longer than the product.
  const bool large = out.size() * inner > 65536;
#pragma omp parallel for schedule(dynamic) if (large)
  for (std::int64_t k = 0; k < n_blocks; ++k) {
    const auto row = k / n_cols * block_rows, col = k % n_cols * block_cols;
    gemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
         static_cast<int>(std::min(block_rows, out.rows - row)), static_cast<int>(std::min(block_cols, out.cols - col)),
         static_cast<int>(inner), factor, a.data + (ta ? row : row * a.cols), static_cast<int>(a.cols),
         b.data + (tb ? col * b.cols : col), static_cast<int>(b.cols), keep, out.row(row) + col,
         static_cast<int>(out.cols));
  }
}

}  // namespace tarn
