// What filters share: matrix products of one tile of rows, and the check of shapes.
#pragma once

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn::data {

// Rows that one call of the matrix product takes. Fixed, so that no result depends on the number of threads.
inline constexpr std::int64_t tile_rows = 256;

inline void check_shapes(MatrixView<const float> in, MatrixView<float> out, std::int64_t in_cols,
                         std::int64_t out_cols) {
  require(in.cols == in_cols && out.cols == out_cols && in.rows == out.rows,
          "filter maps rows of {} to rows of {}, found [{}, {}] and [{}, {}]", in_cols, out_cols, in.rows, in.cols,
          out.rows, out.cols);
}

inline bool all_finite(const float* values, std::int64_t n) {
  return std::all_of(values, values + n, [](float value) { return std::isfinite(value); });
}
inline bool all_finite(const Matrix<float>& m) { return all_finite(m.data(), m.size()); }
inline bool all_finite(const std::vector<float>& v) {
  return all_finite(v.data(), static_cast<std::int64_t>(v.size()));
}

// out += factor a b, or factor a b^T; inside a parallel region, where the BLAS uses one thread.
inline void multiply_add(MatrixView<const float> a, MatrixView<const float> b, bool b_transposed, MatrixView<float> out,
                         float factor = 1.0f) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, b_transposed ? CblasTrans : CblasNoTrans, static_cast<int>(out.rows),
              static_cast<int>(out.cols), static_cast<int>(a.cols), factor, a.data, static_cast<int>(a.cols), b.data,
              static_cast<int>(b.cols), 1.0f, out.data, static_cast<int>(out.cols));
}

// `y B + b` in tiles.
inline void affine_rows(MatrixView<const float> in, MatrixView<const float> B, const std::vector<float>& b,
                        MatrixView<float> out) {
#pragma omp parallel for schedule(static)
  for (std::int64_t begin = 0; begin < in.rows; begin += tile_rows) {
    const auto end = std::min(begin + tile_rows, in.rows);
    for (std::int64_t i = begin; i < end; ++i) std::copy(b.begin(), b.end(), out.row(i));
    multiply_add(in.slice(begin, end), B, false, out.slice(begin, end));
  }
}

}  // namespace tarn::data
