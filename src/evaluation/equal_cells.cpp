#include "tarn/evaluation/equal_cells.hpp"

#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr std::size_t most_for_an_axis =
    20000;  // rows from which a cell's axis is taken: spread evenly, since a cut leaves them in order

bool finite_row(const float* x, std::int64_t n) {
  return std::all_of(x, x + n, [](float v) { return std::isfinite(v); });
}

double along(const float* x, const double* axis, std::int64_t n) {
  double sum = 0.0;
  for (std::int64_t d = 0; d < n; ++d) sum += axis[d] * x[d];
  return sum;
}

// The direction of largest variance of some rows, its largest component positive, so that it does not hang on a solver's choice of sign.
std::vector<double> principal_axis(MatrixView<const float> rows, std::span<const std::int64_t> which) {
  const std::int64_t D = rows.cols;
  const std::size_t n = std::min(which.size(), most_for_an_axis);
  const auto row = [&](std::size_t i) { return rows.row(which[i * which.size() / n]); };
  std::vector<double> mean(static_cast<std::size_t>(D), 0.0), centred(static_cast<std::size_t>(D));
  for (std::size_t i = 0; i < n; ++i) {
    for (std::int64_t d = 0; d < D; ++d) mean[static_cast<std::size_t>(d)] += row(i)[d] / static_cast<double>(n);
  }
  Matrix<double> covariance(D, D);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::int64_t d = 0; d < D; ++d)
      centred[static_cast<std::size_t>(d)] = row(i)[d] - mean[static_cast<std::size_t>(d)];
    for (std::int64_t d = 0; d < D; ++d) {
      for (std::int64_t e = 0; e <= d; ++e)
        covariance(d, e) += centred[static_cast<std::size_t>(d)] * centred[static_cast<std::size_t>(e)];
    }
  }
  std::vector<double> eigenvalues(static_cast<std::size_t>(D)), axis(static_cast<std::size_t>(D));
  const auto size = static_cast<lapack_int>(D);
  const auto status = LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'L', size, covariance.data(), size, eigenvalues.data());
  require(status == 0, "an axis of a cell was not found (dsyev returned {})", status);
  std::int64_t largest = 0;
  for (std::int64_t d = 0; d < D; ++d) {
    axis[static_cast<std::size_t>(d)] = covariance(d, D - 1);
    if (std::abs(covariance(d, D - 1)) > std::abs(covariance(largest, D - 1))) largest = d;
  }
  if (axis[static_cast<std::size_t>(largest)] < 0.0) {
    for (double& value : axis) value = -value;
  }
  return axis;
}

}  // namespace

EqualCells::EqualCells(MatrixView<const float> reference, int depth) : depth_(depth), dimension_(reference.cols) {
  require(depth >= 1 && depth <= 16, "cells are cut 1 to 16 times, found {}", depth);
  require(reference.cols >= 1 && reference.rows >= 2 * n_cells(), "{} reference draws are too few for {} cells",
          reference.rows, n_cells());
  for (std::int64_t i = 0; i < reference.rows; ++i)
    require(finite_row(reference.row(i), dimension_), "reference draw {} is not finite", i);
  const auto n_nodes = static_cast<std::size_t>(n_cells() - 1);
  axes_ = Matrix<double>(n_cells() - 1, dimension_);
  thresholds_.resize(n_nodes);
  std::vector<std::int64_t> rows(static_cast<std::size_t>(reference.rows));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  cut(reference, rows, 0);
}

void EqualCells::cut(MatrixView<const float> reference, std::span<std::int64_t> rows, std::size_t node) {
  if (node >= thresholds_.size()) return;
  const std::vector<double> axis = principal_axis(reference, rows);
  std::copy(axis.begin(), axis.end(), axes_.row(static_cast<std::int64_t>(node)));
  std::vector<std::pair<double, std::int64_t>> places;
  places.reserve(rows.size());
  for (const std::int64_t i : rows) places.emplace_back(along(reference.row(i), axis.data(), dimension_), i);
  // sorted through: what lies in a cell, and in which order, must not hang on how a library partitions
  std::sort(places.begin(), places.end());
  const std::size_t half = places.size() / 2;
  thresholds_[node] = 0.5 * (places[half - 1].first + places[half].first);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = places[i].second;
  cut(reference, rows.subspan(0, half), 2 * node + 1);
  cut(reference, rows.subspan(half), 2 * node + 2);
}

std::int64_t EqualCells::cell_of(const float* x) const {
  std::size_t node = 0;
  while (node < thresholds_.size()) {
    const bool upper = along(x, axes_.row(static_cast<std::int64_t>(node)), dimension_) >= thresholds_[node];
    node = 2 * node + (upper ? 2 : 1);
  }
  return static_cast<std::int64_t>(node - thresholds_.size());
}

CellKl EqualCells::kl(MatrixView<const float> draws) const {
  require(draws.cols == dimension_, "draws of {} components for cells in {} dimensions", draws.cols, dimension_);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(n_cells()), 0);
  CellKl result;
  result.n_cells = n_cells();
  for (std::int64_t i = 0; i < draws.rows; ++i) {
    if (!finite_row(draws.row(i), dimension_)) {
      ++result.n_lost;
    } else {
      ++counts[static_cast<std::size_t>(cell_of(draws.row(i)))];
      ++result.n;
    }
  }
  result.n_empty = std::count(counts.begin(), counts.end(), 0);
  if (result.n == 0) {
    result.raw = result.corrected = std::numeric_limits<double>::quiet_NaN();
    return result;
  }
  const auto n = static_cast<double>(result.n), K = static_cast<double>(n_cells());
  for (const std::int64_t count : counts) {
    const double q = static_cast<double>(count) / n;
    if (count > 0) result.raw += q * std::log(q * K);
  }
  result.corrected = result.raw - (K - 1.0) / (2.0 * n);
  return result;
}

}  // namespace tarn
