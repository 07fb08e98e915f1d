// Matrices, their views and alignment; errors and their messages.
#include "tarn/core/matrix.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

template <class T>
bool aligned(const T* p) {
  return reinterpret_cast<std::uintptr_t>(p) % 64 == 0;
}

TEST(AlignedVector, StartsOnACacheLineAtAnySize) {
  for (std::size_t n : {1u, 2u, 3u, 15u, 17u, 100u, 1000u, 65537u}) {
    EXPECT_TRUE(aligned(AlignedVector<float>(n).data())) << n;
    EXPECT_TRUE(aligned(AlignedVector<char>(n).data())) << n;
    EXPECT_TRUE(aligned(AlignedVector<double>(n).data())) << n;
  }
  AlignedVector<float> grown;
  for (int i = 0; i < 1000; ++i) {
    grown.push_back(static_cast<float>(i));
    ASSERT_TRUE(aligned(grown.data()));
  }
  EXPECT_EQ(grown[999], 999.0f);
}

TEST(Matrix, IsRowMajorAndZeroAtFirst) {
  Matrix<float> m(3, 5);
  EXPECT_EQ(m.rows(), 3);
  EXPECT_EQ(m.cols(), 5);
  EXPECT_EQ(m.size(), 15);
  EXPECT_TRUE(aligned(m.data()));
  for (std::int64_t i = 0; i < m.size(); ++i) EXPECT_EQ(m.data()[i], 0.0f);
  m(2, 4) = 7.0f;
  EXPECT_EQ(m.data()[14], 7.0f);
  EXPECT_EQ(m.row(2)[4], 7.0f);
  EXPECT_EQ(std::as_const(m)(2, 4), 7.0f);
  EXPECT_EQ(std::as_const(m).row(1), m.data() + 5);
}

TEST(Matrix, EmptyExtentsAreFine) {
  for (auto [rows, cols] : {std::pair<int, int>{0, 0}, {0, 4}, {4, 0}}) {
    const Matrix<double> m(rows, cols);
    EXPECT_EQ(m.rows(), rows);
    EXPECT_EQ(m.cols(), cols);
    EXPECT_TRUE(m.empty());
  }
  EXPECT_TRUE(Matrix<float>().empty());
}

TEST(Matrix, NegativeExtentsAreErrors) {
  EXPECT_THROW(Matrix<float>(-1, 3), Error);
  EXPECT_THROW(Matrix<float>(3, -1), Error);
  EXPECT_THROW(Matrix<float>(-2, -2), Error);
  try {
    Matrix<float>(-1, 3);
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("-1 x 3"), std::string::npos);
  }
}

TEST(Matrix, ExtentsWhoseProductOverflowsAreErrors) {
  EXPECT_THROW(Matrix<float>(std::int64_t{1} << 32, std::int64_t{1} << 32), Error);
  EXPECT_THROW(Matrix<double>(std::int64_t{1} << 40, std::int64_t{1} << 21), Error);
  EXPECT_THROW(Matrix<char>(3, std::int64_t{1} << 62), Error);
  EXPECT_NO_THROW(Matrix<float>(std::int64_t{1} << 62, 0));
}

TEST(Matrix, EqualityIsOfShapeAndValues) {
  Matrix<float> a(2, 3), b(3, 2), c(2, 3);
  EXPECT_NE(a, b);
  EXPECT_EQ(a, c);
  c(1, 2) = 1.0f;
  EXPECT_NE(a, c);
}

TEST(Matrix, CopiesAreDeepAndMovesKeepTheMemory) {
  Matrix<float> a(2, 2);
  a(0, 1) = 3.0f;
  Matrix<float> copy = a;
  copy(0, 1) = 4.0f;
  EXPECT_EQ(a(0, 1), 3.0f);
  const float* memory = copy.data();
  const Matrix<float> moved = std::move(copy);
  EXPECT_EQ(moved.data(), memory);
}

TEST(MatrixView, SeesTheSameMemory) {
  Matrix<float> m(4, 3);
  MatrixView<float> view = m;
  view(3, 1) = 5.0f;
  EXPECT_EQ(m(3, 1), 5.0f);
  const MatrixView<const float> read_only = view;
  EXPECT_EQ(read_only(3, 1), 5.0f);
  EXPECT_EQ(read_only.size(), 12);

  const auto part = view.slice(2, 4);
  EXPECT_EQ(part.rows, 2);
  EXPECT_EQ(part.cols, 3);
  EXPECT_EQ(part.data, m.row(2));
  EXPECT_EQ(part(1, 1), 5.0f);
  EXPECT_EQ(view.slice(4, 4).size(), 0);
}

TEST(Errors, CarryTheirFormattedMessage) {
  try {
    fail("{}: {} rows, {} expected", "x.npy", 3, 4);
  } catch (const UsageError&) {
    FAIL() << "not a usage error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "x.npy: 3 rows, 4 expected");
  }
  try {
    fail_usage("run.seed = {}", -1);
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "run.seed = -1");
  }
  EXPECT_THROW(fail_usage("a usage error is an error too"), Error);
  EXPECT_NO_THROW(require(true, "never"));
  EXPECT_THROW(require(false, "always {}", 1), Error);
  EXPECT_THROW(fail("braces {{}} pass"), std::runtime_error);
}

}  // namespace
}  // namespace tarn
