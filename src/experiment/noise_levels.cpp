#include <cmath>

#include "config_check.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/config.hpp"

namespace tarn {

std::vector<double> noise_levels(const NoiseConfig& noise) {
  if (!(noise.last > 0.0) || !std::isfinite(noise.last))
    fail_usage("training.noise.last = {}; allowed: > 0", noise.last);
  if (noise.schedule == "single") return {noise.last};
  if (noise.schedule != "geometric")
    fail_usage("training.noise.schedule = {}; allowed: geometric, single", noise.schedule);
  if (noise.levels < 1) fail_usage("training.noise.levels = {}; allowed: integer >= 1", noise.levels);
  if (!(noise.first > noise.last || (noise.levels == 1 && noise.first == noise.last)) || !std::isfinite(noise.first)) {
    fail_usage("training.noise.last = {} is not below training.noise.first = {}; levels go down from first to last",
               noise.last, noise.first);
  }
  const bool inclusive = noise.ending == "inclusive";
  if (inclusive && noise.levels == 1) return {noise.last};
  const double intervals = static_cast<double>(inclusive ? noise.levels - 1 : noise.levels);
  std::vector<double> levels(static_cast<std::size_t>(noise.levels));
  for (std::size_t i = 0; i < levels.size(); ++i) {
    levels[i] = noise.first * std::pow(noise.last / noise.first, static_cast<double>(i) / intervals);
  }
  if (inclusive) levels.back() = noise.last;
  return levels;
}

std::int64_t song_ermon_levels(std::int64_t n_outputs, double first, double last) {
  require(n_outputs >= 1 && first > last && last > 0.0 && std::isfinite(first),
          "levels from {} to {} in {} dimensions: no such schedule", first, last, n_outputs);
  const auto phi = [](double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); };
  const double d = std::sqrt(2.0 * static_cast<double>(n_outputs));
  const auto overlap = [&](double ratio) {
    const double shift = d * (ratio - 1.0);
    return phi(shift + 3.0 * ratio) - phi(shift - 3.0 * ratio);
  };
  std::int64_t levels = 2;
  while (overlap(std::pow(first / last, 1.0 / static_cast<double>(levels - 1))) < 0.5) ++levels;
  return levels;
}

}  // namespace tarn
