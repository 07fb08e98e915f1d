// Batches: permutations of a data set, fresh draws, and their independence of how they are asked for.
#include "tarn/data/batches.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <cmath>
#include <numeric>
#include <set>

#include "tarn/core/noise.hpp"
#include "tarn/data/scaling.hpp"
#include "tarn/data/synthetic.hpp"

namespace tarn {
namespace {

Matrix<float> numbered(std::int64_t n, std::int64_t cols) {
  Matrix<float> x(n, cols);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) x(i, j) = static_cast<float>(i) + 0.125f * static_cast<float>(j);
  }
  return x;
}

TEST(DatasetBatches, EveryRowOnceAnEpoch) {
  const std::int64_t n = 103, batch = 10;
  DatasetBatches source(numbered(n, 3), 5);
  EXPECT_EQ(source.n_columns(), 3);
  EXPECT_EQ(source.steps_per_epoch(batch), 10);
  std::set<std::vector<std::int64_t>> orders;
  for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
    auto order = source.order(epoch);
    orders.insert(order);
    Matrix<float> rows(batch * 10, 3);
    source.fill(epoch * 10, 10, rows);
    for (std::int64_t i = 0; i < 100; ++i) {
      for (std::int64_t j = 0; j < 3; ++j) EXPECT_EQ(rows(i, j), source.rows()(order[static_cast<std::size_t>(i)], j));
    }
    std::ranges::sort(order);
    std::vector<std::int64_t> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(order, all);
  }
  EXPECT_EQ(orders.size(), 4u);
  EXPECT_NE(DatasetBatches(numbered(n, 3), 6).order(0), source.order(0));
}

TEST(DatasetBatches, OrderIsThatOfTheKeys) {
  const std::int64_t n = 300000, epoch = 3;  // so many that first words alone would tie about ten times
  DatasetBatches source(numbered(n, 1), 11);
  Matrix<std::uint32_t> words(n, 2);
  fill_words(11, Stream::batch_order, 0, epoch, 1, words);
  const auto order = source.order(epoch);
  int ties = 0;
  for (std::size_t i = 1; i < order.size(); ++i) {
    const auto key = [&](std::int64_t row) { return std::pair(words(row, 0), words(row, 1)); };
    ASSERT_LT(key(order[i - 1]), key(order[i]));
    ties += words(order[i - 1], 0) == words(order[i], 0) ? 1 : 0;
  }
  EXPECT_GT(ties, 0);
}

// What a device does that keeps the table: rows by index, or by the rule alone.
TEST(DatasetBatches, TableIndicesAndRuleGiveTheRows) {
  const std::int64_t batch = 7, n_steps = 40, first = 13;
  DatasetBatches source(numbered(50, 2), 9);
  Matrix<float> rows(n_steps * batch, 2);
  source.fill(first, n_steps, rows);
  const auto table = source.table();
  const auto rule = source.shuffled();
  ASSERT_TRUE(table && rule);
  std::vector<std::int64_t> indices(static_cast<std::size_t>(n_steps * batch));
  source.indices(first, n_steps, batch, indices.data());
  for (std::int64_t i = 0; i < n_steps * batch; ++i) {
    const std::int64_t step = first + i / batch, steps = source.steps_per_epoch(batch);
    const auto order = epoch_order(rule->seed, rule->stream, table->rows(), step / steps);
    const std::int64_t row = indices[static_cast<std::size_t>(i)];
    EXPECT_EQ(row, order[static_cast<std::size_t>(step % steps * batch + i % batch)]);
    for (std::int64_t j = 0; j < 2; ++j) EXPECT_EQ((*table)(row, j), rows(i, j));
  }
  EXPECT_THROW(source.indices(0, 1, 51, indices.data()), Error);
}

TEST(DatasetBatches, AnyChunkingGivesTheSameRows) {
  const std::int64_t batch = 7, n_steps = 40;
  DatasetBatches source(numbered(50, 2), 1);
  Matrix<float> whole(n_steps * batch, 2);
  source.fill(13, n_steps, whole);
  for (const std::int64_t chunk : {1, 3, 40}) {
    DatasetBatches fresh(numbered(50, 2), 1);
    Matrix<float> rows(n_steps * batch, 2);
    // Backwards: what was asked before makes no difference.
    for (std::int64_t end = n_steps; end > 0; end -= std::min(chunk, end)) {
      const auto begin = std::max<std::int64_t>(end - chunk, 0);
      fresh.fill(13 + begin, end - begin, rows.view().slice(begin * batch, end * batch));
    }
    EXPECT_EQ(rows, whole) << chunk;
  }
}

TEST(DatasetBatches, PlacesAreUniform) {
  // Where row 0 lands over 8000 epochs of 8 rows: chi-square with 7 degrees, false alarm 1e-8; and the place of row 1
  // given that of row 0: 56 cells.
  DatasetBatches source(numbered(8, 1), 3);
  constexpr int epochs = 8000;
  std::vector<double> single(8), pairs(64);
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    const auto& order = source.order(epoch);
    const auto place = [&](std::int64_t row) {
      return static_cast<std::size_t>(std::ranges::find(order, row) - order.begin());
    };
    single[place(0)] += 1;
    pairs[place(0) * 8 + place(1)] += 1;
  }
  double statistic = 0.0, pair_statistic = 0.0;
  for (const double count : single) statistic += std::pow(count - epochs / 8.0, 2) / (epochs / 8.0);
  for (std::size_t k = 0; k < 64; ++k) {
    if (k / 8 == k % 8) {
      EXPECT_EQ(pairs[k], 0.0);
    } else {
      pair_statistic += std::pow(pairs[k] - epochs / 56.0, 2) / (epochs / 56.0);
    }
  }
  const auto chance = [](int degrees, double value) {
    return boost::math::cdf(boost::math::complement(boost::math::chi_squared(degrees), value));
  };
  EXPECT_GT(chance(7, statistic), 1e-8);
  EXPECT_GT(chance(55, pair_statistic), 1e-8);
}

TEST(DatasetBatches, BadRequests) {
  DatasetBatches source(numbered(8, 2), 3);
  Matrix<float> nine(9, 2), narrow(4, 1), four(4, 2);
  EXPECT_THROW(source.fill(0, 1, nine), Error);
  EXPECT_THROW(source.fill(0, 1, narrow), Error);
  EXPECT_THROW(source.fill(0, 3, four), Error);
  EXPECT_THROW(source.fill(-1, 1, four), Error);
  EXPECT_THROW(source.steps_per_epoch(0), Error);
  EXPECT_THROW(DatasetBatches(Matrix<float>(0, 2), 1), Error);
}

TEST(SyntheticBatches, AreScaledDrawsInOrder) {
  const auto target = std::make_shared<GaussianMixture>(std::vector{MixtureComponent::isotropic(1.0, {-1.0, 2.0}, 0.5),
                                                                    MixtureComponent::isotropic(2.0, {1.0, 0.0}, 0.5)});
  const auto scaling = exact_affine_scaling(*target);
  SyntheticBatches source(target, scaling, 9, 1000);
  EXPECT_EQ(source.n_columns(), 2);
  EXPECT_EQ(source.steps_per_epoch(32), 31);
  const std::int64_t batch = 32, n_steps = 9, first = 1000;
  Matrix<float> expected(batch * n_steps, 2), rows(batch * n_steps, 2);
  target->draw(9, first * batch, expected);
  apply_scaling(scaling, expected);
  source.fill(first, n_steps, rows);
  EXPECT_EQ(rows, expected);
  for (std::int64_t s = 0; s < n_steps; ++s) source.fill(first + s, 1, rows.view().slice(s * batch, (s + 1) * batch));
  EXPECT_EQ(rows, expected);
}

TEST(SyntheticBatches, BadRequests) {
  const auto target = std::make_shared<RingTarget>(1.0, 0.1);
  EXPECT_THROW(SyntheticBatches(target, {{1, 2, 3}, 1.0}, 1, 10), Error);
  EXPECT_THROW(SyntheticBatches(target, {{}, 0.0}, 1, 10), Error);
  EXPECT_THROW(SyntheticBatches(target, {}, 1, 0), Error);
  EXPECT_THROW(SyntheticBatches(nullptr, {}, 1, 10), Error);
  SyntheticBatches source(target, {}, 1, 10);
  Matrix<float> wide(4, 3);
  EXPECT_THROW(source.fill(0, 1, wide), Error);
}

}  // namespace
}  // namespace tarn
