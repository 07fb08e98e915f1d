// Columns sorted once, of which half-samples leave rows out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace tarn {

class SortedColumns {
 public:
  /// `column(k)` has the values of column k `[n_rows]`, without NaN; called from several threads.
  template <class Column>
  SortedColumns(std::int64_t n_rows, std::size_t n_columns, const Column& column) : n_rows_(n_rows) {
    values_.resize(n_columns);
    order_.resize(n_columns);
#pragma omp parallel for schedule(dynamic)
    for (std::size_t k = 0; k < n_columns; ++k) {
      const std::vector<float> x = column(k);
      std::vector<std::int32_t> order(x.size());
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return std::pair(x[static_cast<std::size_t>(a)], a) < std::pair(x[static_cast<std::size_t>(b)], b);
      });
      for (const std::int32_t i : order) values_[k].push_back(x[static_cast<std::size_t>(i)]);
      order_[k] = std::move(order);
    }
  }

  std::int64_t n_rows() const { return n_rows_; }
  /// `[n_columns][n_rows]`, each ascending.
  const std::vector<std::vector<float>>& all() const { return values_; }
  /// The same of these rows alone.
  std::vector<std::vector<float>> some(const std::vector<std::int64_t>& rows) const {
    std::vector<char> kept(static_cast<std::size_t>(n_rows_), 0);
    for (const std::int64_t i : rows) kept[static_cast<std::size_t>(i)] = 1;
    std::vector<std::vector<float>> result(values_.size());
    for (std::size_t k = 0; k < values_.size(); ++k) {
      result[k].reserve(rows.size());
      for (std::size_t i = 0; i < values_[k].size(); ++i) {
        if (kept[static_cast<std::size_t>(order_[k][i])] != 0) result[k].push_back(values_[k][i]);
      }
    }
    return result;
  }

 private:
  std::int64_t n_rows_;
  std::vector<std::vector<float>> values_;
  std::vector<std::vector<std::int32_t>> order_;
};

}  // namespace tarn
