#include "tarn/models/score.hpp"

#include <algorithm>

#include "tarn/core/error.hpp"

namespace tarn {

Matrix<float> score_in_data_units(Backend& backend, const SamplingNetwork& network, MatrixView<const float> points) {
  const RunnableNetwork runnable(network);
  const std::int64_t D = network.n_outputs, columns = D + network.n_inputs;
  require(points.cols == columns, "points have {} columns, expected {}: {} outputs and {} inputs", points.cols, columns,
          D, network.n_inputs);
  const auto prepared = backend.prepare(runnable.view());
  const AffineScaling& scaling = network.scaling;

  Matrix<float> score(points.rows, D);
  if (points.rows == 0) return score;
  const std::int64_t block = std::min(points.rows, std::max<std::int64_t>(1, backend.preferred_tile(runnable.view())));
  Matrix<float> scaled(block, columns);
  for (std::int64_t begin = 0; begin < points.rows; begin += block) {
    const std::int64_t n = std::min(block, points.rows - begin);
    for (std::int64_t i = 0; i < n; ++i) {
      const float* from = points.row(begin + i);
      float* to = scaled.row(i);
      for (std::int64_t d = 0; d < D; ++d) {
        const double shift = scaling.shift.empty() ? 0.0 : scaling.shift[static_cast<std::size_t>(d)];
        to[d] = static_cast<float>((from[d] - shift) / scaling.scale);
      }
      std::copy(from + D, from + columns, to + D);
    }
    backend.drift(*prepared, scaled.view().slice(0, n), score.view().slice(begin, begin + n));
  }
  for (std::int64_t i = 0; i < score.size(); ++i) {
    score.data()[i] = static_cast<float>(score.data()[i] / scaling.scale);
  }
  return score;
}

}  // namespace tarn
