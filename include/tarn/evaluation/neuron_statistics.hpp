// What recorded neurons do: tuning, rates, sparseness, noise correlations.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// Recorded activity of chains that stayed finite; the others are counted and left out.
class Activity {
 public:
  /// `rates` `[n_chains * n_draws, n_neurons]`, draws of a chain in a row. `group` `[n_chains]`: chains that are given the same input share
  /// a number; empty: no inputs, all chains are of one law. Throws `Error` where sizes do not fit.
  Activity(MatrixView<const float> rates, std::int64_t n_chains, std::span<const std::int64_t> group = {});

  std::int64_t n_chains() const { return static_cast<std::int64_t>(chains_.size()); }  ///< that are left
  std::int64_t n_draws() const { return n_draws_; }
  std::int64_t n_neurons() const { return n_neurons_; }
  std::int64_t n_spoiled() const { return n_spoiled_; }  ///< chains with a value that is not finite
  /// Number of the i-th chain that is left, among those given; and its group.
  std::int64_t chain(std::int64_t i) const { return chains_[static_cast<std::size_t>(i)]; }
  std::int64_t group(std::int64_t i) const { return groups_[static_cast<std::size_t>(i)]; }
  /// Rates of one neuron, `[n_chains, n_draws]`, row after row.
  std::span<const float> neuron(std::int64_t j) const {
    return {values_.data() + static_cast<std::size_t>(j * n_chains() * n_draws_),
            static_cast<std::size_t>(n_chains() * n_draws_)};
  }
  /// Rates of one neuron less the mean over the chains of the same input: what varies while the input does not. A group of one chain gives
  /// its own mean, which takes away what varies more slowly than the chain is long.
  Matrix<float> residuals(std::int64_t j) const;

 private:
  std::int64_t n_draws_ = 0, n_neurons_ = 0, n_spoiled_ = 0;
  std::vector<std::int64_t> chains_, groups_;
  std::vector<float> values_;  // [n_neurons][n_chains][n_draws]
};

/// Mean rate against a stimulus, in bins that hold as many draws each.
struct TuningCurves {
  std::vector<double> stimulus;      ///< `[n_bins]` mean in each bin
  std::vector<std::int64_t> counts;  ///< `[n_bins]` draws
  Matrix<double> mean;               ///< `[n_neurons, n_bins]`
  Matrix<double> error;              ///< `[n_neurons, n_bins]` standard error; NaN with one chain in the bin
};
/// `stimulus` `[n_chains given * n_draws]`: an input or an output at each draw. Draws of a chain are not independent, chains are: the standard
/// error is that of a ratio of sums over chains (Cochran 1977, "Sampling techniques", eq. 6.13). Bins run between quantiles of the stimulus;
/// equal values are never parted, so that a stimulus of few values gives fewer bins, and a constant one a single bin. Throws `Error` where
/// sizes do not fit or no bins are asked for.
TuningCurves tuning_curves(const Activity& activity, std::span<const float> stimulus, std::int64_t n_bins);

/// `max - min` of a neuron's tuning curve over its typical standard error: how sure it is that the neuron is tuned. NaN for a constant one.
std::vector<double> selectivity(const TuningCurves& curves);

struct RateStatistics {
  std::vector<double> mean, deviation;  ///< `[n_neurons]` over chains and draws
  std::vector<double>
      lifetime_sparseness;  ///< `[n_neurons]` (Vinje and Gallant 2000), 0 dense to 1 sparse; NaN for a neuron that is 0
  double population_sparseness = 0.0;  ///< the same over neurons, mean over draws; NaN with one neuron
  std::int64_t n_silent = 0;           ///< mean |rate| below a hundredth of the population's
  std::int64_t n_constant = 0;         ///< without spread
  double negative_share = 0.0;         ///< of all rates: noise carries them below 0
};
/// Sparseness `S = (1 - a) / (1 - 1/n)` with `a = (sum r / n)^2 / (sum r^2 / n)` (Treves and Rolls 1991). It is made for rates that are not
/// negative: those below 0 count as 0.
RateStatistics rate_statistics(const Activity& activity);

struct NoiseCorrelations {
  std::vector<double> pairs;     ///< Pearson's r of residuals, each pair once
  std::vector<double> shuffled;  ///< the same where the two neurons' chains do not belong together: what chance gives
  double mean = 0.0, deviation = 0.0;                    ///< of `pairs`; NaN where there are none
  double shuffled_mean = 0.0, shuffled_deviation = 0.0;  ///< of `shuffled`
  std::int64_t n_neurons = 0;                            ///< that were looked at
  std::int64_t n_constant = 0;                           ///< of them without spread: in no pair
};
/// Of up to `most_neurons` spread evenly over the population. For `shuffled` the chains of each neuron are turned by places of its own within
/// their group, which leaves a neuron's course in time as it is; where a group is a single chain, chains are turned in time instead. Pairs that
/// are turned alike (in time: to within a tenth of the chain) are left out there.
NoiseCorrelations noise_correlations(const Activity& activity, std::int64_t most_neurons = 64);

}  // namespace tarn
