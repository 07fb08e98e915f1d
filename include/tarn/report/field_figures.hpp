// Figures of learned receptive fields: a population beside what is known of V1, and what a second layer pools.
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/report/figures.hpp"

namespace tarn {

/// What a figure shows of one unit's field.
struct FieldShape {
  double x = 0.0, y = 0.0;   ///< centre in pixels from the middle of the field; y runs up
  double orientation = 0.0;  ///< of the bars, radians, counter-clockwise from horizontal
  double frequency = 0.0;    ///< at the spectrum's peak, cycles a pixel
  double sigma_y = 0.0;      ///< width of the envelope along the bars, pixels
  double n_x = 0.0, n_y = 0.0;
  double r_squared = 0.0;
  bool passes = false;
};

/// Four panels: widths in periods n_x and n_y beside the range of macaque V1, preferred frequency and orientation in the plane,
/// histograms of orientation and of R^2 with its `least` value. Throws `Error` without fields.
Figure figure_receptive_fields(const std::vector<FieldShape>& fields, double least_r_squared);

/// The units of a second layer, one a panel: the first-layer fields with the largest weights in it, each as a line at its place, as long as
/// its envelope is along the bars (within limits) and in its orientation; blue for positive weights, orange for negative ones, pale for weak.
struct PoolingUnit {
  std::int64_t unit = 0;        ///< its number, for the title
  std::vector<double> weights;  ///< `[n_fields]`
};
/// Throws `Error` where weights and fields differ in number, or there are none. `side` is that of the fields in pixels, `most` how many
/// fields a panel shows.
Figure figure_pooling(const std::vector<FieldShape>& fields, const std::vector<PoolingUnit>& units, double side,
                      std::size_t most = 24);

}  // namespace tarn
