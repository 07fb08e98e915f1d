#include "tarn/evaluation/kernel_distances.hpp"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t tile = 64;

Matrix<double> centred(MatrixView<const float> x, const std::vector<double>& centre) {
  Matrix<double> out(x.rows, x.cols);
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t j = 0; j < x.cols; ++j) out(i, j) = x(i, j) - centre[static_cast<std::size_t>(j)];
  }
  return out;
}

std::vector<double> squared_norms(const Matrix<double>& x) {
  std::vector<double> norms(static_cast<std::size_t>(x.rows()), 0.0);
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    for (std::int64_t j = 0; j < x.cols(); ++j) norms[static_cast<std::size_t>(i)] += x(i, j) * x(i, j);
  }
  return norms;
}

Matrix<float> distances_between(const Matrix<double>& a, const Matrix<double>& b, bool same) {
  const std::vector<double> norms_a = squared_norms(a), norms_b = squared_norms(b);
  Matrix<float> out(a.rows(), b.rows());
  const auto m = static_cast<int>(b.rows()), D = static_cast<int>(a.cols());
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t begin = 0; begin < a.rows(); begin += tile) {
    const std::int64_t n = std::min(tile, a.rows() - begin);
    Matrix<double> products(n, b.rows());
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(n), m, D, 1.0, a.row(begin), D, b.data(), D,
                0.0, products.data(), m);
    for (std::int64_t i = 0; i < n; ++i) {
      const double norm = norms_a[static_cast<std::size_t>(begin + i)];
      float* row = out.row(begin + i);
      for (std::int64_t j = 0; j < b.rows(); ++j) {
        const double d = norm + norms_b[static_cast<std::size_t>(j)] - 2.0 * products(i, j);
        row[j] = static_cast<float>(d < 0.0 ? 0.0 : d);  // lets NaN through
      }
      if (same) row[begin + i] *= 0.0f;
    }
  }
  return out;
}

// Mean of f(d^2) over all pairs, or over those of different rows where both sides are one set. Sums in rows first, so that they are
// the same for any number of threads.
template <class F>
double pair_mean(const Matrix<float>& squared, bool same, F&& f) {
  double total = 0.0;
  for (std::int64_t i = 0; i < squared.rows(); ++i) {
    const float* row = squared.row(i);
    double sum = 0.0;
    for (std::int64_t j = 0; j < squared.cols(); ++j) sum += f(row[j]);
    if (same) sum -= f(row[i]);
    total += sum;
  }
  const auto n = static_cast<double>(squared.rows()), m = static_cast<double>(squared.cols());
  return total / (n * (same ? n - 1.0 : m));
}

bool too_few(const PairDistances& d) { return d.xx.rows() < 2 || d.yy.rows() < 2; }

Matrix<float> part(const Matrix<float>& of, std::span<const std::int64_t> rows, std::span<const std::int64_t> cols) {
  Matrix<float> out(static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(cols.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const float* from = of.row(rows[i]);
    float* to = out.row(static_cast<std::int64_t>(i));
    for (std::size_t j = 0; j < cols.size(); ++j) to[j] = from[cols[j]];
  }
  return out;
}

}  // namespace

PairDistances PairDistances::subset(std::span<const std::int64_t> x, std::span<const std::int64_t> y) const {
  return {part(xx, x, x), part(yy, y, y), part(xy, x, y)};
}

PairDistances squared_distances(MatrixView<const float> x, MatrixView<const float> y) {
  constexpr std::int64_t most = 20000;
  require(x.cols == y.cols && x.cols >= 1, "distances need rows of one space, found {} and {} columns", x.cols, y.cols);
  require(x.rows <= most && y.rows <= most, "distances between all pairs of {} and {} rows; at most {} are allowed",
          x.rows, y.rows, most);
  std::vector<double> centre(static_cast<std::size_t>(y.cols), 0.0);
  for (std::int64_t i = 0; i < y.rows; ++i) {
    for (std::int64_t j = 0; j < y.cols; ++j)
      centre[static_cast<std::size_t>(j)] += y(i, j) / static_cast<double>(y.rows);
  }
  // a centre that is not finite would spoil every distance
  for (double& c : centre) c = std::isfinite(c) ? c : 0.0;
  const Matrix<double> a = centred(x, centre), b = centred(y, centre);
  return {distances_between(a, a, true), distances_between(b, b, true), distances_between(a, b, false)};
}

double energy_distance(const PairDistances& d) {
  if (too_few(d)) return nan;
  const auto distance = [](float squared) { return std::sqrt(static_cast<double>(squared)); };
  return 2.0 * pair_mean(d.xy, false, distance) - pair_mean(d.xx, true, distance) - pair_mean(d.yy, true, distance);
}

double median_distance(const PairDistances& d) {
  const std::int64_t n = d.yy.rows();
  if (n < 2) return nan;
  std::vector<float> all;
  all.reserve(static_cast<std::size_t>(n * (n - 1) / 2));
  for (std::int64_t i = 0; i < n; ++i) all.insert(all.end(), d.yy.row(i), d.yy.row(i) + i);
  if (std::any_of(all.begin(), all.end(), [](float x) { return std::isnan(x); })) return nan;
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  std::nth_element(all.begin(), middle, all.end());
  double median = std::sqrt(static_cast<double>(*middle));
  if (all.size() % 2 == 0)
    median = 0.5 * (median + std::sqrt(static_cast<double>(*std::max_element(all.begin(), middle))));
  return median;
}

double squared_mmd(const PairDistances& d, double h) {
  require(std::isfinite(h) && h > 0.0, "a kernel's bandwidth must be above 0, found {}", h);
  if (too_few(d)) return nan;
  const double factor = -1.0 / (8.0 * h * h);
  const auto kernel = [factor](float squared) {
    const double wide = std::exp(factor * static_cast<double>(squared));  // c = 2; the others are powers of it
    const double two = wide * wide, middle = two * two, four = middle * middle, narrow = four * four;
    return (wide + middle + narrow) / 3.0;
  };
  return pair_mean(d.xx, true, kernel) + pair_mean(d.yy, true, kernel) - 2.0 * pair_mean(d.xy, false, kernel);
}

}  // namespace tarn
