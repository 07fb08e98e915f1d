// The amplitude of a small image's Fourier transform on a fine grid of frequencies, as zero-padding gives it.
#pragma once

#include <cstdint>
#include <vector>

namespace tarn {

/// Frequencies in cycles a pixel; x runs right, y up.
struct SpectrumPeak {
  double fx = 0.0, fy = 0.0;
  double amplitude = 0.0;
};

class Spectrum {
 public:
  /// `image` `[rows * cols]`. The grid has `n()` frequencies a side, `k / n()` cycles a pixel.
  Spectrum(const float* image, std::int64_t rows, std::int64_t cols);
  std::int64_t n() const { return n_; }
  /// |F| at `(kx / n, ky / n)`, any whole numbers: the spectrum is periodic.
  double operator()(std::int64_t kx, std::int64_t ky) const;
  /// Where |F| is largest, in the half plane of fx >= 0.
  SpectrumPeak peak() const;
  /// The grid's numbers of the peak.
  std::int64_t peak_x() const { return peak_x_; }
  std::int64_t peak_y() const { return peak_y_; }
  /// Local maxima in falling order, at most `most` and at least one, without frequency zero unless it is the only one.
  std::vector<SpectrumPeak> highest_peaks(std::size_t most) const;

 private:
  std::int64_t n_, peak_x_ = 0, peak_y_ = 0;
  std::vector<double> amplitude_;  // [n / 2 + 1, n]: kx, then ky
};

/// Orientation of bars, in [0, pi), whose carrier varies along `direction` (radians).
double bar_orientation(double direction);

}  // namespace tarn
