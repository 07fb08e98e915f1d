// Standard normals for tests of data and of fits.
#pragma once

#include "tarn/core/matrix.hpp"
#include "tarn/core/noise.hpp"

namespace tarn::test {

/// `[rows, cols]`, a function of the seed.
inline Matrix<float> normals(std::int64_t rows, std::int64_t cols, std::uint64_t seed = 7) {
  Matrix<float> x(rows, cols);
  fill_normals(seed, Stream::evaluation, 0, 0, 1, x);
  return x;
}

}  // namespace tarn::test
