#include "tarn/evaluation/nearest_neighbours.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

// Squared distance of each row to its k-th nearest other row.
std::vector<float> radii(const Matrix<float>& squared, std::int64_t k) {
  std::vector<float> result, row;
  for (std::int64_t i = 0; i < squared.rows(); ++i) {
    row.assign(squared.row(i), squared.row(i) + squared.cols());
    row.erase(row.begin() + i);
    const auto kth = row.begin() + (k - 1);
    std::nth_element(row.begin(), kth, row.end());
    result.push_back(*kth);
  }
  return result;
}

}  // namespace

NeighbourShares neighbour_shares(const PairDistances& d, std::int64_t k) {
  require(k >= 1, "neighbours are counted from 1, found k = {}", k);
  const std::int64_t n = d.xx.rows(), m = d.yy.rows();
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  if (n <= k || m <= k) return {nan, nan, nan, nan};
  const std::vector<float> of_draws = radii(d.xx, k), of_data = radii(d.yy, k);
  std::vector<char> found(static_cast<std::size_t>(m), 0), reached(static_cast<std::size_t>(m), 0);
  std::int64_t n_inside = 0, n_balls = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const float* row = d.xy.row(i);
    const float radius = of_draws[static_cast<std::size_t>(i)];
    std::int64_t balls = 0;
    for (std::int64_t j = 0; j < m; ++j) {
      const auto at = static_cast<std::size_t>(j);
      const bool inside = row[j] <= of_data[at];
      balls += inside ? 1 : 0;
      found[at] = static_cast<char>(found[at] | static_cast<char>(inside));
      reached[at] = static_cast<char>(reached[at] | static_cast<char>(row[j] <= radius));
    }
    n_balls += balls;
    n_inside += balls > 0 ? 1 : 0;
  }
  const auto draws = static_cast<double>(n), data = static_cast<double>(m);
  return {static_cast<double>(n_inside) / draws,
          static_cast<double>(std::count(reached.begin(), reached.end(), 1)) / data,
          static_cast<double>(n_balls) / (static_cast<double>(k) * draws),
          static_cast<double>(std::count(found.begin(), found.end(), 1)) / data};
}

}  // namespace tarn
