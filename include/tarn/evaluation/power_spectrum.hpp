// Power spectra of stationary series, by Welch's method.
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// One-sided: its integral over the frequencies is the variance.
struct PowerSpectrum {
  std::vector<double> frequency;  ///< cycles a unit of time, from 0 to half the sampling rate
  std::vector<double> density;    ///< variance a unit of frequency
  std::int64_t n_series = 0;      ///< that went in
  std::int64_t n_spoiled = 0;     ///< with a value that is not finite: left out
  std::int64_t n_segments = 0;    ///< averaged over, of all series
};

/// Mean over series `[n_series, n]` that were sampled every `interval`: segments of so many samples that overlap by half, each less its mean
/// and under a periodic Hann window (Welch 1967); the same figures as scipy.signal.welch with its defaults. A segment longer than the series
/// is cut to it; empty where fewer than two samples or no finite series are there. Throws `Error` unless interval > 0 and segment >= 2.
PowerSpectrum power_spectrum(MatrixView<const float> series, double interval, std::int64_t segment);

/// Trapezoidal rule over the frequencies.
double integral(const PowerSpectrum& spectrum);

}  // namespace tarn
