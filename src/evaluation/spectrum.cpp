#include "spectrum.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

namespace tarn {

Spectrum::Spectrum(const float* image, std::int64_t rows, std::int64_t cols) : n_(64) {
  while (n_ < 4 * std::max(rows, cols)) n_ *= 2;
  const auto n = static_cast<std::size_t>(n_), half = n / 2 + 1;
  using Complex = std::complex<double>;
  std::vector<Complex> roots(n);
  for (std::size_t k = 0; k < n; ++k)
    roots[k] = std::polar(1.0, -2.0 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n));
  amplitude_.resize(half * n);
  std::vector<Complex> by_row(static_cast<std::size_t>(rows));
  for (std::size_t kx = 0; kx < half; ++kx) {
    for (std::size_t i = 0; i < by_row.size(); ++i) {
      Complex sum = 0.0;
      for (std::size_t j = 0; j < static_cast<std::size_t>(cols); ++j)
        sum += static_cast<double>(image[i * static_cast<std::size_t>(cols) + j]) * roots[kx * j % n];
      by_row[i] = sum;
    }
    for (std::size_t ky = 0; ky < n; ++ky) {
      Complex sum = 0.0;
      // y runs up and rows run down
      for (std::size_t i = 0; i < by_row.size(); ++i) sum += by_row[i] * std::conj(roots[ky * i % n]);
      amplitude_[kx * n + ky] = std::abs(sum);
    }
  }
  const auto at = static_cast<std::size_t>(std::max_element(amplitude_.begin(), amplitude_.end()) - amplitude_.begin());
  peak_x_ = static_cast<std::int64_t>(at / n);
  peak_y_ = static_cast<std::int64_t>(at % n);
}

double Spectrum::operator()(std::int64_t kx, std::int64_t ky) const {
  const auto folded = [&](std::int64_t k) { return (k % n_ + n_) % n_; };
  kx = folded(kx), ky = folded(ky);
  if (kx > n_ / 2) kx = n_ - kx, ky = folded(-ky);  // the image is real
  return amplitude_[static_cast<std::size_t>(kx * n_ + ky)];
}

SpectrumPeak Spectrum::peak() const {
  const auto n = static_cast<double>(n_);
  const std::int64_t ky = peak_y_ > n_ / 2 ? peak_y_ - n_ : peak_y_;
  return {static_cast<double>(peak_x_) / n, static_cast<double>(ky) / n, (*this)(peak_x_, peak_y_)};
}

std::vector<SpectrumPeak> Spectrum::highest_peaks(std::size_t most) const {
  std::vector<SpectrumPeak> peaks;
  const auto n = static_cast<double>(n_);
  for (std::int64_t kx = 0; kx <= n_ / 2; ++kx) {
    for (std::int64_t ky = -n_ / 2; ky < n_ / 2; ++ky) {
      if (kx == 0 && ky <= 0) continue;
      const double here = (*this)(kx, ky);
      bool highest = here > 0.0;
      for (std::int64_t dx = -1; dx <= 1; ++dx) {
        for (std::int64_t dy = -1; dy <= 1; ++dy) highest = highest && (*this)(kx + dx, ky + dy) <= here;
      }
      if (highest) peaks.push_back({static_cast<double>(kx) / n, static_cast<double>(ky) / n, here});
    }
  }
  if (peaks.empty()) peaks.push_back(peak());
  std::stable_sort(peaks.begin(), peaks.end(), [](const auto& a, const auto& b) { return a.amplitude > b.amplitude; });
  if (peaks.size() > most) peaks.resize(most);
  return peaks;
}

double bar_orientation(double direction) {
  constexpr double pi = std::numbers::pi;
  const double turned = std::fmod(direction + 0.5 * pi, pi);
  const double orientation = turned < 0.0 ? turned + pi : turned;
  return orientation < pi ? orientation : 0.0;
}

}  // namespace tarn
