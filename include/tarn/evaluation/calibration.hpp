// Is a posterior as wide as it should be? Probability integral transforms of its draws under the exact one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tarn {

/// Coverage of central intervals of the exact law by independent draws, each of its own law.
struct Calibration {
  std::vector<double> expected;  ///< levels 0 ... 1 of central intervals
  std::vector<double> observed;  ///< share of draws within them
  double band =
      0.0;  ///< draws of the exact laws stay within expected +- band at all levels at once, but for `false_alarm`
  double false_alarm = 0.05;
  double largest_gap = 0.0;  ///< of |observed - expected|, over all levels and not the listed ones alone
  bool calibrated = false;   ///< `largest_gap <= band`
  std::vector<double>
      histogram;  ///< transforms in even bins, as densities: 1 where calibrated, a U where draws are too wide, a hill where too narrow
  double histogram_deviation = 0.0;  ///< binomial standard deviation of one bin where calibrated
  std::int64_t n = 0;                ///< draws
  std::int64_t n_not_finite = 0;     ///< transforms that are not: left out
};

/// `transforms` F(x | u) in [0, 1], F the exact distribution function and x a draw of what is judged (Gneiting, Balabdaoui and Raftery 2007:
/// there the roles are turned, and with them the shapes). |2 F - 1| of an exact draw is uniform, so the largest gap between its empirical
/// distribution and the diagonal is Kolmogorov's, and the band `sqrt(log(2 / false_alarm) / 2 n)` that of Massart (1990), which holds for every n.
/// Throws `Error` for a transform outside [0, 1], no bins or levels, or a false alarm outside (0, 1).
Calibration calibration(std::span<const double> transforms, std::int64_t n_levels = 40, std::int64_t n_bins = 20,
                        double false_alarm = 0.05);

}  // namespace tarn
