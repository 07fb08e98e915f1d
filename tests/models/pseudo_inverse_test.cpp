#include "tarn/models/pseudo_inverse.hpp"

#include <gtest/gtest.h>

#include "models/networks.hpp"

namespace tarn {
namespace {

using test::Array;
using test::normals;

double largest(const Array& a) {
  double result = 0.0;
  for (std::int64_t i = 0; i < a.size(); ++i) result = std::max(result, std::abs(a.data()[i]));
  return result;
}

/// `W P = I`, and `P W` symmetric: the two conditions of Penrose that a right inverse can still miss.
void expect_pseudo_inverse(const Matrix<float>& W, double tolerance) {
  const Array P = test::to_double(pseudo_inverse(W)), w = test::to_double(W);
  Array one = test::dot(w, P);
  for (std::int64_t i = 0; i < one.rows(); ++i) one(i, i) -= 1.0;
  EXPECT_LT(largest(one), tolerance);
  const Array projector = test::dot(P, w);
  EXPECT_LT(largest(projector - test::transpose(projector)), tolerance * largest(P) * largest(w));
}

TEST(PseudoInverse, OfWellConditionedWeights) {
  // W P = I up to the rounding of P to float: N terms of size |W||P| ~ 1/sqrt(N D)
  for (const auto& [D, N] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {1, 1000}, {2, 2}, {5, 33}, {60, 257}}) {
    expect_pseudo_inverse(normals(D, N, static_cast<std::uint64_t>(D)), D == N ? 1e-4 : 2e-6);
  }
}

TEST(PseudoInverse, RowsOfVeryDifferentSizeAreNoTrouble) {
  Matrix<float> W = normals(3, 40, 8);
  for (std::int64_t j = 0; j < 40; ++j) {
    W(0, j) *= 1e8f;
    W(2, j) *= 1e-8f;
  }
  const Array P = test::to_double(pseudo_inverse(W)), one = test::dot(test::to_double(W), P);
  for (std::int64_t i = 0; i < 3; ++i) EXPECT_NEAR(one(i, i), 1.0, 1e-6);
}

TEST(PseudoInverse, DependentRowsAreRefusedInOneLine) {
  using test::message_of;
  const auto refused = [](const Matrix<float>& W) { return message_of([&] { pseudo_inverse(W); }); };
  Matrix<float> twice = normals(3, 20, 4);
  for (std::int64_t j = 0; j < 20; ++j) twice(2, j) = -2.0f * twice(0, j);
  EXPECT_NE(refused(twice).find("W_out [3, 20] has linearly dependent rows"), std::string::npos);
  Matrix<float> zero = normals(2, 20, 4);
  for (std::int64_t j = 0; j < 20; ++j) zero(1, j) = 0.0f;
  EXPECT_NE(refused(zero).find("dependent"), std::string::npos);
  EXPECT_NE(refused(normals(4, 3, 4)).find("dependent"), std::string::npos);
  Matrix<float> sum = normals(3, 20, 4);
  for (std::int64_t j = 0; j < 20; ++j) sum(2, j) = sum(0, j) + sum(1, j);
  EXPECT_NE(refused(sum).find("dependent"), std::string::npos);
  Matrix<float> nan = normals(2, 20, 4);
  nan(1, 3) = NAN;
  EXPECT_NE(refused(nan).find("W_out holds nan at [1, 3]"), std::string::npos);
  EXPECT_THROW(pseudo_inverse(Matrix<float>()), Error);
}

}  // namespace
}  // namespace tarn
