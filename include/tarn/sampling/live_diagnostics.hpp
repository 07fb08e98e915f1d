// What chains that run have shown so far, from sums that a backend keeps beside them; no draw is stored (docs/diagnostics.md).
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tarn/compute/watch.hpp"

namespace tarn {

/// Of one quantity, over all looks at all chains that are well. Where chains sample several laws (`WatchPlan::chains_a_law`), all but mean, quantiles and
/// `below_zero` is within a law, pooled over laws; ESS and its error are of one law, in the mean.
struct LiveQuantity {
  double mean = 0.0;
  double deviation = 0.0;  ///< divisor n - 1
  double r_hat =
      0.0;  ///< split R-hat of the values as they are (Gelman et al. 2013, section 11.4), not rank-normalised
  double nested_r_hat = 0.0;  ///< Margossian et al. 2024, up to 16 groups of neighbouring chains; NaN of several laws
  double ess = 0.0;           ///< effective looks for the mean, by batch means
  double mcse = 0.0;          ///< Monte-Carlo standard error of the mean, `deviation / sqrt(ess)`
  double autocorrelation[WatchState::n_lags] = {};  ///< at 1, 2, 4 and 8 looks
  double quantiles[5] = {};                         ///< at `live_probabilities`, off by 1/256 of their value at most
  double below_zero = 0.0;                          ///< share of looks
};
inline constexpr double live_probabilities[] = {0.05, 0.25, 0.5, 0.75, 0.95};

/// What cannot be had is NaN: R-hat, ESS and autocorrelations below four looks, ESS of fewer than 32 chains below 64 looks, R-hat of values
/// without spread.
struct LiveDiagnostics {
  std::int64_t n_looks = 0, n_chains = 0;
  std::int64_t n_lost = 0;  ///< chains that were not finite at the last look: they take part in nothing
  std::int64_t n_stuck = 0,
               first_stuck =
                   -1;  ///< chains, of those that are well, at which nothing changed over the last looks; one of them
  std::int64_t n_duplicate = 0, first_duplicate = -1,
               twin_of_first = -1;  ///< chains that repeat another one, and a pair
  std::vector<LiveQuantity> quantities;
  std::vector<double> mode_shares;  ///< share of looks in each mode
  double mode_changes = 0.0;        ///< a look and chain

  /// The worst of the quantities; NaN where one of them is.
  double worst_r_hat() const;
  double worst_nested_r_hat() const;
  double worst_ess() const;
  double worst_relative_mcse() const;  ///< mcse / deviation
};

/// Sums over chains, added up chain after chain in the order of their numbers, so that nothing depends on how they are cut into tiles. Its size
/// does not depend on the number of looks.
class LiveSums {
 public:
  LiveSums() = default;
  /// For a run of `n_chains` chains of D outputs.
  LiveSums(const WatchPlan& plan, std::int64_t n_chains, std::int64_t D);

  /// Adds chains `next_chain() ...` after their last look. Tiles come in their order, all with as many looks.
  void add_tile(const WatchState& state);
  std::int64_t next_chain() const { return std::ssize(signatures_); }
  /// Of the chains that were added.
  LiveDiagnostics diagnostics() const;

  /// As numbers, for a checkpoint, and back. `unpack` throws `Error` where they are not of this run.
  std::vector<double> pack() const;
  void unpack(std::span<const double> numbers);

 private:
  /// Number, mean and sum of squares about it.
  struct Spread {
    double n = 0.0, mean = 0.0, square = 0.0;
    void add(double x);
    double variance() const { return square / (n - 1.0); }
  };
  /// Means of chains or of pieces of them, the spread of each law's about a mean of its own.
  struct Means {
    Spread all;                          ///< for their number and mean
    Spread law;                          ///< of the law whose chains are being added
    double square = 0.0, freedom = 0.0;  ///< of the laws before

    void add(double x);
    void next_law();
    double squares() const { return square + law.square; }
    double degrees() const { return freedom + std::max(law.n - 1.0, 0.0); }
    double variance() const { return squares() / degrees(); }
  };
  struct Quantity {
    Means chain_means, whole_means, half_means, batch_means;
    double inside_chains = 0.0, inside_halves = 0.0;  ///< sums of squares about the means
    double variogram[WatchState::n_lags] = {};
    std::vector<Spread> group_means;    ///< of chain means within groups
    std::vector<double> inside_groups;  ///< sums of squares about chain means
  };
  template <class Self, class Visit>
  static void for_each_number(Self& self, Visit&& visit);
  LiveQuantity judge(const Quantity& q, const std::vector<std::uint64_t>& sketch, double n_good) const;
  void count_duplicates(LiveDiagnostics& out) const;

  std::int64_t n_chains_ = 0, D_ = 0, chains_a_law_ = 0, n_groups_ = 0;
  WatchClock clock_;
  std::vector<Quantity> quantities_;
  std::vector<std::vector<std::uint64_t>> sketches_;
  std::vector<std::uint64_t> modes_;
  std::vector<std::uint64_t> signatures_;  ///< of each chain's last looks
  std::vector<std::uint8_t> flags_;        ///< of each chain: 1 lost, 2 stuck
};

}  // namespace tarn
