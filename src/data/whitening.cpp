// Whitening of photographs in the frequency domain.
#include <kiss_fftnd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <vector>

#include "tarn/data/patches.hpp"

namespace tarn {
namespace {

struct FreePlan {
  void operator()(kiss_fftnd_state* plan) const { kiss_fft_free(plan); }
};
using Plan = std::unique_ptr<kiss_fftnd_state, FreePlan>;

Plan make_plan(const ImageStack& stack, bool inverse) {
  const std::array<int, 2> sides{static_cast<int>(stack.rows), static_cast<int>(stack.cols)};
  Plan plan(kiss_fftnd_alloc(sides.data(), 2, inverse ? 1 : 0, nullptr, nullptr));
  require(plan != nullptr, "{}: no memory for a Fourier transform of {} x {}", stack.source, stack.rows, stack.cols);
  return plan;
}

// Cycles a pixel of entry k of a transform over n, folded to [0, 1/2].
double frequency(std::int64_t k, std::int64_t n) {
  return static_cast<double>(std::min(k, n - k)) / static_cast<double>(n);
}

}  // namespace

void whiten(ImageStack& stack, const Whitening& whitening) {
  require(whitening.cutoff > 0.0, "whitening: a cutoff of {} cycles a pixel; it must be above 0", whitening.cutoff);
  const std::int64_t n_pixels = stack.rows * stack.cols;
  const Plan forward = make_plan(stack, false), inverse = make_plan(stack, true);
  std::vector<float> gain(static_cast<std::size_t>(n_pixels));
  for (std::int64_t i = 0; i < stack.rows; ++i) {
    for (std::int64_t j = 0; j < stack.cols; ++j) {
      const double f = std::hypot(frequency(i, stack.rows), frequency(j, stack.cols));
      gain[static_cast<std::size_t>(i * stack.cols + j)] =
          static_cast<float>(f * std::exp(-std::pow(f / whitening.cutoff, 4)) / static_cast<double>(n_pixels));
    }
  }
  std::vector<kiss_fft_cpx> image(gain.size()), spectrum(gain.size());
  for (std::int64_t n = 0; n < stack.n_images(); ++n) {
    float* pixels = stack.pixels.row(n);
    double sum = 0.0;
    for (std::int64_t k = 0; k < n_pixels; ++k) {
      if (whitening.logarithm) {
        require(pixels[k] >= 0.0f, "{}: pixel ({}, {}) of image {} is {}; a logarithm needs pixels of 0 or more",
                stack.source, k / stack.cols, k % stack.cols, n, pixels[k]);
        pixels[k] = std::log1p(pixels[k]);
      }
      sum += pixels[k];
    }
    // The gain at frequency 0 is 0 in any case; without the mean the transform in float32 is more exact.
    const auto mean = static_cast<float>(sum / static_cast<double>(n_pixels));
    for (std::int64_t k = 0; k < n_pixels; ++k) image[static_cast<std::size_t>(k)] = {pixels[k] - mean, 0.0f};
    kiss_fftnd(forward.get(), image.data(), spectrum.data());
    for (std::size_t k = 0; k < gain.size(); ++k) {
      spectrum[k].r *= gain[k];
      spectrum[k].i *= gain[k];
    }
    kiss_fftnd(inverse.get(), spectrum.data(), image.data());
    for (std::int64_t k = 0; k < n_pixels; ++k) pixels[k] = image[static_cast<std::size_t>(k)].r;
  }
}

}  // namespace tarn
