#include "tarn/evaluation/rank_bins.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "tarn/core/error.hpp"

namespace tarn {

Matrix<int> rank_bins(const Matrix<float>& draws, std::int64_t n_bins) {
  require(n_bins >= 1, "ranks need a bin or more, found {}", n_bins);
  const std::int64_t n = draws.size();
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return draws.data()[a] < draws.data()[b]; });
  Matrix<int> bins(draws.rows(), draws.cols());
  for (std::int64_t r = 0; r < n; ++r)
    bins.data()[order[static_cast<std::size_t>(r)]] = static_cast<int>(r * n_bins / n);
  return bins;
}

}  // namespace tarn
