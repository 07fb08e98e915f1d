// Are learned receptive fields like those of simple cells in V1: localised, oriented, band-pass? Gabor fits, criteria in the frequency
// domain, and how a population covers orientation and frequency.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// A Gabor function, `a exp(-u^2 / 2 sigma_x^2 - v^2 / 2 sigma_y^2) cos(2 pi frequency u + phase)`, u from its centre along the
/// direction in which the carrier varies, v across it. Lengths in pixels; x runs right, y up, from the middle of the field.
struct GaborFit {
  double x = 0.0, y = 0.0;  ///< centre
  double frequency = 0.0;   ///< cycles a pixel
  double orientation =
      0.0;               ///< of the bars: radians in [0, pi), counter-clockwise from horizontal as one sees the picture
  double phase = 0.0;    ///< (-pi, pi]; 0: a bright bar in the middle, +-pi/2: an edge
  double sigma_x = 0.0;  ///< width of the envelope along the carrier, across the bars
  double sigma_y = 0.0;  ///< ... along the bars
  double amplitude = 0.0;  ///< a > 0
  double r_squared = 0.0;  ///< 1 - |field - fit|^2 / |field - its mean|^2; 0 for a field that is constant or not finite
  /// Widths in periods of the carrier, as in Ringach 2002 (J. Neurophysiol. 88:455).
  double n_x() const { return sigma_x * frequency; }
  double n_y() const { return sigma_y * frequency; }
};

/// The best Gabor function in the sense of least squares, by Levenberg-Marquardt (MINPACK) from several starts at the peaks of the
/// field's spectrum. `field` `[rows * cols]`, row by row from the top. Envelope widths are kept between 0.3 pixels and twice the longer side, and
/// the frequency within an octave of the peak that a fit started from, since an edge or a single bar alone does not tell it.
GaborFit fit_gabor(const float* field, std::int64_t rows, std::int64_t cols);

/// What the amplitude |F| of a field's Fourier transform says, zero-padded to 64 x 64 or the next power of two of at least four times the longer
/// side.
struct FourierShape {
  double frequency = 0.0;      ///< of the largest |F|, cycles a pixel
  double orientation = 0.0;    ///< of the bars at that frequency, as in `GaborFit`
  double crossed = 0.0;        ///< |F| at the peak's frequency turned by 90 degrees, over the peak: 1 is not oriented
  double dc = 0.0;             ///< |F(0)| over the peak: 1 is low-pass
  double participation = 0.0;  ///< `(sum w^2)^2 / sum w^4`: the number of pixels that share the energy
};
FourierShape fourier_shape(const float* field, std::int64_t rows, std::int64_t cols);

/// What a unit must meet. A Gabor fit alone proves little: single pixels and round blobs are fitted perfectly.
struct FieldCriteria {
  double r_squared = 0.7;               ///< more than
  double crossed = 0.5;                 ///< less than
  double dc = 0.5;                      ///< less than
  double fewest_pixels = 3.0;           ///< participation, from ...
  double largest_share = 60.0 / 144.0;  ///< ... to this share of the field's pixels: 60 of 12 x 12
};

struct ReceptiveField {
  GaborFit gabor;
  FourierShape fourier;
  bool gabor_passes = false;    ///< R^2
  bool fourier_passes = false;  ///< crossed, dc, participation
  bool passes() const { return gabor_passes && fourier_passes; }
};

/// One for each row of `fields` `[n_units, rows * cols]`. Independent of the number of threads. Throws `Error` where the columns do not
/// fit or a side is below 4 or above 256 pixels.
std::vector<ReceptiveField> judge_receptive_fields(MatrixView<const float> fields, std::int64_t rows, std::int64_t cols,
                                                   const FieldCriteria& criteria = {});

/// A population of fields. Coverage and quantiles are of those that pass.
struct FieldPopulation {
  static constexpr std::size_t n_orientations = 8;
  std::int64_t n = 0;
  std::int64_t n_gabor = 0, n_fourier = 0, n_passed = 0;  ///< by one criterion, by the other, by both
  double median_r_squared = 0.0;                          ///< of all
  /// Fields that pass, by orientation of the bars: bin k is centred at k 22.5 degrees.
  std::array<std::int64_t, n_orientations> orientations{};
  /// 10, 50 and 90 % quantiles; NaN where none passes. Frequency: that of the spectrum's peak, since of an edge the carrier's is hardly
  /// known.
  std::array<double, 3> frequency{}, n_x{}, n_y{};

  double share_passed() const { return n > 0 ? static_cast<double>(n_passed) / static_cast<double>(n) : 0.0; }
  std::int64_t n_orientations_filled() const;
};
FieldPopulation summarise(const std::vector<ReceptiveField>& fields);

}  // namespace tarn
