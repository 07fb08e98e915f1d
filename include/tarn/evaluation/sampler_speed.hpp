// How fast a sampler is, judged by the slowest of what one may ask of it: the worst integrated autocorrelation time over the
// coordinates, their squares and the energy, in evaluations of the gradient.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/evaluation/autocorrelation.hpp"

namespace tarn {

/// Chains of a sampler, each step of which takes one evaluation of the gradient. Rows `law * chains_a_law + c` sample law `law`: one posterior
/// for each datum.
class RunningChains {
 public:
  virtual ~RunningChains() = default;
  virtual std::int64_t n_chains() const = 0;
  virtual std::int64_t chains_a_law() const = 0;
  virtual std::int64_t n_coordinates() const = 0;
  virtual void advance(std::int64_t n_steps) = 0;
  /// The present state: `x` `[n_chains, n_coordinates]`, NaN rows for lost chains; `energy` `[n_chains]`, up to a constant of the law.
  virtual void read(MatrixView<float> x, std::span<float> energy) = 0;
};

struct SpeedSettings {
  std::int64_t n_draws = 800;  ///< that are looked at, >= 20
  /// Draws are this many or more to an autocorrelation time, unless each step is a draw already; and the run is this many times longer than it.
  double draws_a_time = 12.0, times_a_run = 25.0;
  std::int64_t longest_spacing = 1024;  ///< steps between draws
};

/// What was found of one coordinate or of the energy.
struct SpeedOf {
  std::int64_t coordinate = -1;  ///< the slowest one; -1 for the energy
  double time = 0.0;             ///< steps; NaN where it cannot be had
  double standard_error = 0.0;   ///< steps
};

/// A run's speed, and the moments that go with it.
struct SamplerSpeed {
  SpeedOf x, square, energy;     ///< squares of the deviation from the law's mean
  bool settled = false;          ///< false: the run was too short, and the times may be too small
  std::int64_t n_lost = 0;       ///< chains with a state that was not finite, left out
  std::int64_t spacing = 1;      ///< steps between the draws
  Matrix<double> mean;           ///< `[n_laws, n_coordinates]`
  std::vector<double> variance;  ///< `[n_coordinates]`, within laws
  /// The slowest of the three; NaN where one of them is.
  SpeedOf worst() const;
};

/// Runs the chains on and measures. The spacing of the draws is found by runs that are too short, after which the chains have forgotten
/// where they began; chains should start near rest all the same. Times are of the pooled chains of all laws, each about its law's mean, with
/// Sokal's window. A coordinate's time that is the largest of n estimates is too large by its standard error times some sqrt(2 log n).
/// Throws `Error` where the shapes make no sense.
SamplerSpeed measure_speed(RunningChains& chains, const SpeedSettings& settings = {});

/// Relative error of the variances, the worst one over groups of coordinates: they are sorted by their variance in `reference` and pooled in
/// `n_groups` groups of nearly equal number, so that the noise of the estimate is small where there are many. Of 10 coordinates or
/// fewer each is its own group.
double variance_bias(std::span<const double> variance, std::span<const double> reference, int n_groups = 10);

/// Root mean square, over laws and coordinates, of how far the mean of a law's chains is from `mean`, in standard deviations `sqrt(variance)`;
/// what the chains' own spread makes of it is taken off. `x` `[n_chains, n_coordinates]`. At least two chains a law.
double distance_of_means(MatrixView<const float> x, std::int64_t chains_a_law, MatrixView<const double> mean,
                         std::span<const double> variance);

}  // namespace tarn
