// Sets of points that Python made too: sin(a (i + 1)(j + 1.3) + j / 2), in float32.
#pragma once

#include <cmath>

#include "tarn/core/matrix.hpp"

namespace tarn::test {

inline Matrix<float> wave(std::int64_t n, std::int64_t D, double a, float factor = 1.0f, float shift = 0.0f) {
  Matrix<float> x(n, D);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < D; ++j) {
      const double phase =
          a * (static_cast<double>(i) + 1.0) * (static_cast<double>(j) + 1.3) + 0.5 * static_cast<double>(j);
      x(i, j) = factor * static_cast<float>(std::sin(phase)) + shift;
    }
  }
  return x;
}

}  // namespace tarn::test
