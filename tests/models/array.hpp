// Small dense arrays of double for references, with just the operations that the formulas need.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/core/noise.hpp"

namespace tarn::test {

/// A type of this namespace, so that its operators are found.
struct Array : Matrix<double> {
  using Matrix::Matrix;
};

inline Array to_double(MatrixView<const float> a) {
  Array out(a.rows, a.cols);
  for (std::int64_t i = 0; i < a.size(); ++i) out.data()[i] = a.data[i];
  return out;
}

inline Matrix<float> to_float(const Array& a) {
  Matrix<float> out(a.rows(), a.cols());
  for (std::int64_t i = 0; i < a.size(); ++i) out.data()[i] = static_cast<float>(a.data()[i]);
  return out;
}

inline Array map(const Array& a, const std::function<double(double)>& f) {
  Array out(a.rows(), a.cols());
  for (std::int64_t i = 0; i < a.size(); ++i) out.data()[i] = f(a.data()[i]);
  return out;
}

inline Array zip(const Array& a, const Array& b, const std::function<double(double, double)>& f) {
  EXPECT_EQ(a.rows(), b.rows());
  EXPECT_EQ(a.cols(), b.cols());
  Array out(a.rows(), a.cols());
  for (std::int64_t i = 0; i < a.size(); ++i) out.data()[i] = f(a.data()[i], b.data()[i]);
  return out;
}

inline Array operator+(const Array& a, const Array& b) { return zip(a, b, std::plus<>()); }
inline Array operator-(const Array& a, const Array& b) { return zip(a, b, std::minus<>()); }
/// Element by element.
inline Array times(const Array& a, const Array& b) { return zip(a, b, std::multiplies<>()); }
inline Array operator*(double factor, const Array& a) {
  return map(a, [=](double v) { return factor * v; });
}
inline Array absolute(const Array& a) {
  return map(a, [](double v) { return std::abs(v); });
}

inline Array transpose(const Array& a) {
  Array out(a.cols(), a.rows());
  for (std::int64_t i = 0; i < a.rows(); ++i) {
    for (std::int64_t j = 0; j < a.cols(); ++j) out(j, i) = a(i, j);
  }
  return out;
}

/// Matrix product `a b`.
inline Array dot(const Array& a, const Array& b) {
  EXPECT_EQ(a.cols(), b.rows());
  Array out(a.rows(), b.cols());
  for (std::int64_t i = 0; i < a.rows(); ++i) {
    for (std::int64_t k = 0; k < a.cols(); ++k) {
      for (std::int64_t j = 0; j < b.cols(); ++j) out(i, j) += a(i, k) * b(k, j);
    }
  }
  return out;
}

/// `row` `[1, n]` added to every row of `a`.
inline Array plus_row(Array a, const Array& row) {
  for (std::int64_t i = 0; i < a.rows(); ++i) {
    for (std::int64_t j = 0; j < a.cols(); ++j) a(i, j) += row(0, j);
  }
  return a;
}

/// Every row of `a` multiplied by `row` `[1, n]`.
inline Array times_row(Array a, const Array& row) {
  for (std::int64_t i = 0; i < a.rows(); ++i) {
    for (std::int64_t j = 0; j < a.cols(); ++j) a(i, j) *= row(0, j);
  }
  return a;
}

inline Array sum_rows(const Array& a) {
  Array out(1, a.cols());
  for (std::int64_t i = 0; i < a.rows(); ++i) {
    for (std::int64_t j = 0; j < a.cols(); ++j) out(0, j) += a(i, j);
  }
  return out;
}

inline double sum(const Array& a) {
  double total = 0.0;
  for (std::int64_t i = 0; i < a.size(); ++i) total += a.data()[i];
  return total;
}

/// Reproducible normals for inputs of tests; `which` tells arrays apart.
inline Matrix<float> normals(std::int64_t rows, std::int64_t cols, std::uint64_t which, float scale = 1.0f) {
  Matrix<float> out(rows, cols);
  fill_normals(20230811 + which, Stream::evaluation, 0, 0, 1, out);
  for (std::int64_t i = 0; i < out.size(); ++i) out.data()[i] *= scale;
  return out;
}

/// Every element within `tolerance` (of the same shape), NaN failing.
inline void expect_within(const Array& found, const Array& expected, const Array& tolerance, const std::string& what) {
  ASSERT_EQ(found.rows(), expected.rows()) << what;
  ASSERT_EQ(found.cols(), expected.cols()) << what;
  for (std::int64_t i = 0; i < found.rows(); ++i) {
    for (std::int64_t j = 0; j < found.cols(); ++j) {
      const double error = std::abs(found(i, j) - expected(i, j));
      ASSERT_TRUE(error <= tolerance(i, j)) << what << "[" << i << ", " << j << "]: found " << found(i, j)
                                            << ", expected " << expected(i, j) << ", tolerance " << tolerance(i, j);
    }
  }
}

}  // namespace tarn::test
