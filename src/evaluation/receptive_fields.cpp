#include "tarn/evaluation/receptive_fields.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "spectrum.hpp"
#include "tarn/core/error.hpp"

namespace tarn {
namespace {

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

std::array<double, 3> quantiles(const std::vector<double>& values) {
  return {quantile(values, 0.1), quantile(values, 0.5), quantile(values, 0.9)};
}

}  // namespace

FourierShape fourier_shape(const float* field, std::int64_t rows, std::int64_t cols) {
  FourierShape shape;
  double squares = 0.0, fourth = 0.0;
  for (std::int64_t k = 0; k < rows * cols; ++k) {
    const double square = static_cast<double>(field[k]) * field[k];
    squares += square;
    fourth += square * square;
  }
  if (!(squares > 0.0) || !std::isfinite(fourth)) return {0.0, 0.0, 1.0, 1.0, 0.0};
  shape.participation = squares * squares / fourth;
  const Spectrum spectrum(field, rows, cols);
  const SpectrumPeak peak = spectrum.peak();
  shape.frequency = std::hypot(peak.fx, peak.fy);
  shape.orientation = bar_orientation(std::atan2(peak.fy, peak.fx));
  shape.crossed = spectrum(-spectrum.peak_y(), spectrum.peak_x()) / peak.amplitude;
  shape.dc = spectrum(0, 0) / peak.amplitude;
  return shape;
}

std::vector<ReceptiveField> judge_receptive_fields(MatrixView<const float> fields, std::int64_t rows, std::int64_t cols,
                                                   const FieldCriteria& criteria) {
  require(rows >= 4 && cols >= 4 && rows <= 256 && cols <= 256 && fields.cols == rows * cols,
          "receptive fields of {} x {} pixels in rows of {} values; allowed are sides of 4 to 256", rows, cols,
          fields.cols);
  std::vector<ReceptiveField> judged(static_cast<std::size_t>(fields.rows));
  const double most_pixels = criteria.largest_share * static_cast<double>(rows * cols);
#pragma omp parallel for schedule(dynamic, 4)
  for (std::int64_t i = 0; i < fields.rows; ++i) {
    ReceptiveField& field = judged[static_cast<std::size_t>(i)];
    field.fourier = fourier_shape(fields.row(i), rows, cols);
    field.gabor = fit_gabor(fields.row(i), rows, cols);
    const FourierShape& f = field.fourier;
    field.gabor_passes = field.gabor.r_squared > criteria.r_squared;
    field.fourier_passes = f.crossed < criteria.crossed && f.dc < criteria.dc &&
                           f.participation >= criteria.fewest_pixels && f.participation <= most_pixels;
  }
  return judged;
}

std::int64_t FieldPopulation::n_orientations_filled() const {
  return std::count_if(orientations.begin(), orientations.end(), [](std::int64_t count) { return count > 0; });
}

FieldPopulation summarise(const std::vector<ReceptiveField>& fields) {
  FieldPopulation p;
  p.n = static_cast<std::int64_t>(fields.size());
  std::vector<double> r_squared, frequency, n_x, n_y;
  for (const ReceptiveField& field : fields) {
    r_squared.push_back(field.gabor.r_squared);
    p.n_gabor += field.gabor_passes ? 1 : 0;
    p.n_fourier += field.fourier_passes ? 1 : 0;
    if (!field.passes()) continue;
    ++p.n_passed;
    const double bin =
        field.gabor.orientation / std::numbers::pi * static_cast<double>(FieldPopulation::n_orientations);
    ++p.orientations[static_cast<std::size_t>(std::floor(bin + 0.5)) % FieldPopulation::n_orientations];
    frequency.push_back(field.fourier.frequency);
    n_x.push_back(field.gabor.n_x());
    n_y.push_back(field.gabor.n_y());
  }
  p.median_r_squared = quantile(r_squared, 0.5);
  p.frequency = quantiles(frequency);
  p.n_x = quantiles(n_x);
  p.n_y = quantiles(n_y);
  return p;
}

}  // namespace tarn
