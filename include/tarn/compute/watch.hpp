// What a backend sums up of chains while they run, so that their draws need not be stored (docs/diagnostics.md).
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/compute/watch_sizes.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn {

/// What is watched: the first K outputs, each a quantity, and where D > 1 `|x|^2` as one more.
struct WatchPlan {
  std::int64_t n_outputs = 0;  ///< K; 0: nothing is watched
  Matrix<float>
      centers;  ///< `[n_modes, D]`: a chain is in the mode whose center is nearest; empty: modes are not counted
  std::int64_t chains_a_law = 0;  ///< so many neighbours sample one law, the next ones another; 0: all chains the same

  std::int64_t n_quantities(std::int64_t D) const { return n_outputs == 0 ? 0 : n_outputs + (D > 1 ? 1 : 0); }
};

/// How the looks of a chain lie in batches. Batches of `batch_length` looks are filled one after another; once `capacity` of them are full,
/// neighbours become one and the length doubles. So there are 8 to 15 full batches whatever the number of looks, once there are 8.
struct WatchClock {
  static constexpr std::int64_t capacity = WatchSizes::capacity;
  std::int64_t n_looks = 0;
  std::int64_t batch_length = 1;
  std::int64_t n_batches = 0;  ///< full ones
  std::int64_t in_batch = 0;   ///< looks in the open one

  /// Counts a look.
  void advance();
  /// Whether the looks so far are an even number of full batches, eight or more: halves are halves then, to the look.
  bool is_even() const { return in_batch == 0 && n_batches >= 8 && n_batches % 2 == 0; }
  bool operator==(const WatchClock&) const = default;
};

/// Sums over the looks at `n_chains` chains; Q quantities. What belongs to a chain is indexed `[..., Q, n_chains]`, so that neighbouring
/// chains are neighbours. A chain that was lost has NaN in all its sums.
struct WatchState : WatchSizes {
  static constexpr std::int64_t lags[n_lags] = {1, 2, 4, 8};  ///< in looks

  WatchClock clock;
  std::int64_t n_chains = 0, n_quantities = 0;
  std::vector<double> batch_mean, batch_square;  ///< `[capacity, Q, n_chains]`: mean, sum of squares about it
  std::vector<double> open_mean, open_square;    ///< `[Q, n_chains]`: the same of the open batch
  std::vector<double> variogram;                 ///< `[n_lags, Q, n_chains]`: sum of `(x_t - x_{t - lag})^2`
  std::vector<float> recent;                     ///< `[n_recent, Q, n_chains]`: value of look t at `t % n_recent`
  std::vector<std::uint64_t> hashes;  ///< `[3, n_chains]`: of all D outputs at the last looks, the last one first
  std::vector<std::int32_t> still;    ///< `[n_chains]`: looks in a row at which nothing had changed
  std::vector<std::int32_t> mode;     ///< `[n_chains]` at the last look, -1: none; empty without centers
  std::vector<std::uint64_t>
      sketch;  ///< `[Q, n_bins]`: finite values by the upper 16 bits of their float, in the order of the values
  std::vector<std::uint64_t> modes;  ///< `[n_modes + 1]`: looks in each mode, and changes of mode

  WatchState() = default;
  /// No looks yet, at chains of D outputs.
  WatchState(const WatchPlan& plan, std::int64_t n_chains, std::int64_t D);
  /// Calls `visit(name, array)` for each array above.
  template <class Self, class Visit>
  static void for_each_array(Self& self, Visit&& visit) {
    visit("batch_mean", self.batch_mean);
    visit("batch_square", self.batch_square);
    visit("open_mean", self.open_mean);
    visit("open_square", self.open_square);
    visit("variogram", self.variogram);
    visit("recent", self.recent);
    visit("hashes", self.hashes);
    visit("still", self.still);
    visit("mode", self.mode);
    visit("sketch", self.sketch);
    visit("modes", self.modes);
  }
  /// Whether the arrays have the sizes that they need for this plan.
  bool fits(const WatchPlan& plan, std::int64_t n_chains, std::int64_t D) const;
};

/// Bytes that a chain's sums take.
std::int64_t watch_bytes_a_chain(const WatchPlan& plan, std::int64_t D);

}  // namespace tarn
