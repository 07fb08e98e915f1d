#include "tarn/evaluation/power_spectrum.hpp"

#include <kiss_fft.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

struct FreePlan {
  void operator()(kiss_fft_state* plan) const { kiss_fft_free(plan); }
};

}  // namespace

PowerSpectrum power_spectrum(MatrixView<const float> series, double interval, std::int64_t segment) {
  require(std::isfinite(interval) && interval > 0.0 && segment >= 2,
          "a spectrum needs an interval above 0 and segments of 2 samples or more, found {} and {}", interval, segment);
  const std::int64_t n = std::min(segment, series.cols), step = std::max<std::int64_t>(n - n / 2, 1);
  require(n < std::int64_t{1} << 30, "a segment of {} samples is too long for the transform", n);
  PowerSpectrum result;
  if (n < 2) return result;
  std::vector<double> window(static_cast<std::size_t>(n));
  double window_square = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double w = 0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n));
    window[static_cast<std::size_t>(i)] = w;
    window_square += w * w;
  }
  const std::unique_ptr<kiss_fft_state, FreePlan> plan(kiss_fft_alloc(static_cast<int>(n), 0, nullptr, nullptr));
  require(plan != nullptr, "no memory for a transform of {} samples", n);
  std::vector<kiss_fft_cpx> in(static_cast<std::size_t>(n)), out(in.size());
  const auto half = static_cast<std::size_t>(n / 2) + 1;
  std::vector<double> sum(half, 0.0);
  for (std::int64_t k = 0; k < series.rows; ++k) {
    const float* x = series.row(k);
    if (!std::all_of(x, x + series.cols, [](float v) { return std::isfinite(v); })) {
      ++result.n_spoiled;
      continue;
    }
    ++result.n_series;
    for (std::int64_t begin = 0; begin + n <= series.cols; begin += step) {
      double mean = 0.0;
      for (std::int64_t i = 0; i < n; ++i) mean += x[begin + i];
      mean /= static_cast<double>(n);
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        in[at] = {static_cast<float>(window[at] * (x[begin + i] - mean)), 0.0f};
      }
      kiss_fft(plan.get(), in.data(), out.data());
      for (std::size_t f = 0; f < half; ++f)
        sum[f] += static_cast<double>(out[f].r) * out[f].r + static_cast<double>(out[f].i) * out[f].i;
      ++result.n_segments;
    }
  }
  if (result.n_segments == 0) return result;
  for (std::size_t f = 0; f < half; ++f) {
    const bool alone = f == 0 || (n % 2 == 0 && f == half - 1);  // has no partner at the negative frequency
    result.frequency.push_back(static_cast<double>(f) / (static_cast<double>(n) * interval));
    result.density.push_back((alone ? 1.0 : 2.0) * sum[f] * interval /
                             (window_square * static_cast<double>(result.n_segments)));
  }
  return result;
}

double integral(const PowerSpectrum& s) {
  double sum = 0.0;
  for (std::size_t i = 1; i < s.frequency.size(); ++i)
    sum += 0.5 * (s.density[i] + s.density[i - 1]) * (s.frequency[i] - s.frequency[i - 1]);
  return sum;
}

}  // namespace tarn
