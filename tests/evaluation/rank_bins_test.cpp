#include "tarn/evaluation/rank_bins.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

Matrix<float> matrix(std::int64_t rows, std::int64_t cols, const std::vector<float>& values) {
  Matrix<float> m(rows, cols);
  std::copy(values.begin(), values.end(), m.data());
  return m;
}

std::vector<int> values(const Matrix<int>& m) { return {m.data(), m.data() + m.size()}; }

// scipy.stats.rankdata(x, method="ordinal") - 1 is [5 2 7 0 1 6 3 4]; times bins, over 8, rounded down.
TEST(RankBins, AreThoseOfOrdinalRanks) {
  const Matrix<float> x = matrix(2, 4, {0.5f, -1.0f, 3.0f, -7.5f, -2.0f, 2.0f, -1.0f, 0.0f});
  EXPECT_EQ(values(rank_bins(x, 8)), (std::vector<int>{5, 2, 7, 0, 1, 6, 3, 4}));
  EXPECT_EQ(values(rank_bins(x, 4)), (std::vector<int>{2, 1, 3, 0, 0, 3, 1, 2}));
  EXPECT_EQ(values(rank_bins(x, 3)), (std::vector<int>{1, 0, 2, 0, 0, 2, 1, 1}));
  EXPECT_EQ(values(rank_bins(x, 1)), std::vector<int>(8, 0));
  EXPECT_THROW(rank_bins(x, 0), Error);
}

// Each bin gets its share of all draws, whatever the law; a chain that lies above the others gets the last bins alone.
TEST(RankBins, AreEvenlyFilledAndShowAChainApart) {
  Matrix<float> x(4, 250);
  fill_normals(3, Stream::evaluation, 0, 0, 4, x.view());
  for (std::int64_t t = 0; t < 250; ++t) x(2, t) += 100.0f;
  const Matrix<int> bins = rank_bins(x, 20);
  std::vector<int> all(20), third(20);
  for (std::int64_t i = 0; i < 4; ++i) {
    for (std::int64_t t = 0; t < 250; ++t) {
      ++all[static_cast<std::size_t>(bins(i, t))];
      if (i == 2) ++third[static_cast<std::size_t>(bins(i, t))];
    }
  }
  for (std::size_t b = 0; b < 20; ++b) {
    EXPECT_EQ(all[b], 50);
    EXPECT_EQ(third[b], b < 15 ? 0 : 50);
  }
}

}  // namespace
}  // namespace tarn
