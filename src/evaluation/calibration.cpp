#include "tarn/evaluation/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/error.hpp"

namespace tarn {

Calibration calibration(std::span<const double> transforms, std::int64_t n_levels, std::int64_t n_bins,
                        double false_alarm) {
  require(n_levels >= 1 && n_bins >= 1, "a calibration needs levels and bins, found {} and {}", n_levels, n_bins);
  require(false_alarm > 0.0 && false_alarm < 1.0, "a false-alarm level lies between 0 and 1, found {}", false_alarm);
  Calibration c;
  c.false_alarm = false_alarm;
  std::vector<double> folded;
  std::vector<std::int64_t> counts(static_cast<std::size_t>(n_bins), 0);
  for (const double F : transforms) {
    if (!std::isfinite(F)) {
      ++c.n_not_finite;
      continue;
    }
    require(F >= 0.0 && F <= 1.0, "a probability integral transform lies in [0, 1], found {}", F);
    folded.push_back(std::abs(2.0 * F - 1.0));
    const auto bin = std::min(static_cast<std::int64_t>(F * static_cast<double>(n_bins)), n_bins - 1);
    ++counts[static_cast<std::size_t>(bin)];
  }
  std::sort(folded.begin(), folded.end());
  c.n = static_cast<std::int64_t>(folded.size());
  const auto n = static_cast<double>(c.n), bins = static_cast<double>(n_bins);
  for (std::int64_t k = 0; k <= n_levels; ++k) {
    const double level = static_cast<double>(k) / static_cast<double>(n_levels);
    const auto within = std::upper_bound(folded.begin(), folded.end(), level) - folded.begin();
    c.expected.push_back(level);
    c.observed.push_back(c.n > 0 ? static_cast<double>(within) / n : std::numeric_limits<double>::quiet_NaN());
  }
  if (c.n == 0) {
    c.band = c.largest_gap = c.histogram_deviation = std::numeric_limits<double>::quiet_NaN();
    return c;
  }
  c.band = std::sqrt(std::log(2.0 / false_alarm) / (2.0 * n));
  for (std::size_t i = 0; i < folded.size(); ++i) {  // the empirical distribution jumps at each of them
    const auto before = static_cast<double>(i) / n, after = static_cast<double>(i + 1) / n;
    c.largest_gap = std::max({c.largest_gap, after - folded[i], folded[i] - before});
  }
  c.calibrated = c.largest_gap <= c.band;
  for (const std::int64_t count : counts) c.histogram.push_back(static_cast<double>(count) * bins / n);
  c.histogram_deviation = std::sqrt((bins - 1.0) / n);
  return c;
}

}  // namespace tarn
