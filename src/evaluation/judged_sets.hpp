// What all figures of docs/quality.md have in common: the sets that are judged, and how their noise is told apart.
#pragma once

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tarn/evaluation/quality.hpp"

namespace tarn {

// Numbers keep the noise of sets apart; they are the same for all figures, so that sets meet the same half-samples.
struct Judged {
  const Matrix<float>& rows;
  Interval QualityFigure::*figure;
  std::uint64_t number;
};
inline std::vector<Judged> judged(const ComparedSets& sets) {
  return {{sets.draws, &QualityFigure::draws, 0},
          {sets.real, &QualityFigure::real, 1},
          {sets.mixture, &QualityFigure::mixture, 2},
          {sets.gaussian, &QualityFigure::gaussian, 3}};
}

inline QualityFigure empty_figure(std::string name, std::string label, std::int64_t n, std::int64_t n_reference) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const Interval none{nan, nan, nan};
  return {std::move(name), std::move(label), none, none, none, none, n, n_reference};
}

// The first rows, at most n.
inline Matrix<float> head(MatrixView<const float> rows, std::int64_t n) {
  Matrix<float> out(std::min(n, rows.rows), rows.cols);
  std::copy_n(rows.data, out.size(), out.data());
  return out;
}

}  // namespace tarn
