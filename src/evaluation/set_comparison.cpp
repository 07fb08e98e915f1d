#include "tarn/evaluation/set_comparison.hpp"

#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "evaluation_noise.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/evaluation/planar.hpp"

namespace tarn {
namespace {

constexpr std::int64_t n_directions = 64;

FrechetFloor floor_of(MatrixView<const float> real, std::int64_t n, std::uint64_t seed, std::int64_t n_replicates,
                      const std::function<double(MatrixView<const float>, MatrixView<const float>)>& distance) {
  FrechetFloor floor;
  floor.n = std::min(n, real.rows / 2);
  floor.n_replicates = n_replicates;
  std::vector<double> values;
  for (std::int64_t r = 0; r < n_replicates; ++r) {
    const auto [a, b] = disjoint_subsets(real, floor.n, seed, static_cast<std::uint64_t>(r));
    values.push_back(distance(a, b));
    floor.mean += values.back() / static_cast<double>(n_replicates);
  }
  for (const double value : values) floor.deviation += (value - floor.mean) * (value - floor.mean);
  floor.deviation = n_replicates > 1 ? std::sqrt(floor.deviation / static_cast<double>(n_replicates - 1))
                                     : std::numeric_limits<double>::quiet_NaN();
  return floor;
}

double frechet_between(MatrixView<const float> a, MatrixView<const float> b) {
  GaussianMoments left(a.cols), right(b.cols);
  left.add(a);
  right.add(b);
  return left.n() < 2 ? std::numeric_limits<double>::quiet_NaN() : frechet_distance(left, right);
}

}  // namespace

std::pair<Matrix<float>, Matrix<float>> disjoint_subsets(MatrixView<const float> rows, std::int64_t n,
                                                         std::uint64_t seed, std::uint64_t replicate) {
  require(n >= 1 && 2 * n <= rows.rows, "two subsets of {} rows cannot be drawn from {}", n, rows.rows);
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows.rows));
  Matrix<std::uint32_t> keys(rows.rows, 2);
  fill_words(seed, Stream::evaluation, evaluation_chain(EvaluationNoise::subsets, 0), replicate, 1, keys.view());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return std::pair(keys(a, 0), keys(a, 1)) < std::pair(keys(b, 0), keys(b, 1));
  });
  std::pair<Matrix<float>, Matrix<float>> sets{Matrix<float>(n, rows.cols), Matrix<float>(n, rows.cols)};
  for (std::int64_t i = 0; i < n; ++i) {
    std::copy_n(rows.row(order[static_cast<std::size_t>(i)]), rows.cols, sets.first.row(i));
    std::copy_n(rows.row(order[static_cast<std::size_t>(n + i)]), rows.cols, sets.second.row(i));
  }
  return sets;
}

Matrix<float> gaussian_draws(const GaussianMoments& moments, std::int64_t n, std::uint64_t seed) {
  const std::int64_t D = moments.dimension();
  const std::vector<double> mean = moments.mean();
  Matrix<double> Q = moments.covariance();
  std::vector<double> values(static_cast<std::size_t>(D));
  const auto d = static_cast<lapack_int>(D);
  const auto status = LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'L', d, Q.data(), d, values.data());
  require(status == 0, "eigenvalues of a {} x {} covariance did not converge (dsyevd returned {})", D, D, status);
  Matrix<float> xi(n, D), draws(n, D);
  fill_normals(seed, Stream::evaluation, evaluation_chain(EvaluationNoise::gaussian, 0), 0, 1, xi.view());
  for (std::int64_t j = 0; j < D; ++j) {  // by eigenvectors: a covariance may be singular
    const double root = std::sqrt(std::max(values[static_cast<std::size_t>(j)], 0.0));
    for (std::int64_t i = 0; i < D; ++i) Q(i, j) *= root;
  }
  for (std::int64_t r = 0; r < n; ++r) {
    for (std::int64_t i = 0; i < D; ++i) {
      double sum = mean[static_cast<std::size_t>(i)];
      for (std::int64_t j = 0; j < D; ++j) sum += Q(i, j) * xi(r, j);
      draws(r, i) = static_cast<float>(sum);
    }
  }
  return draws;
}

SetComparison compare_sets(MatrixView<const float> draws, MatrixView<const float> real, std::uint64_t seed,
                           std::int64_t n_replicates) {
  require(draws.cols == real.cols, "sets of points in {} and {} dimensions cannot be compared", draws.cols, real.cols);
  require(real.rows >= 4 && draws.rows >= 2, "a comparison needs four real rows and two draws or more, found {} and {}",
          real.rows, draws.rows);
  GaussianMoments moments(real.cols);
  moments.add(real);
  const Matrix<float> gaussian = gaussian_draws(moments, draws.rows, seed);
  SetComparison result;
  result.frechet.value = frechet_between(draws, real);
  result.frechet.gaussian = frechet_between(gaussian, real);
  result.frechet.floor = floor_of(real, draws.rows, seed, n_replicates, frechet_between);
  const SlicedDistance sliced(real, n_directions, seed);
  result.sliced_w2.value = sliced(draws);
  result.sliced_w2.gaussian = sliced(gaussian);
  result.sliced_w2.floor = floor_of(
      real, draws.rows, seed, n_replicates,
      [&](MatrixView<const float> a, MatrixView<const float> b) { return SlicedDistance(b, n_directions, seed)(a); });
  return result;
}

}  // namespace tarn
