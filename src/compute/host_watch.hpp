// Looks at chains in the host's memory.
#pragma once

#include "tarn/compute/watch.hpp"
#include "watch_step.hpp"

namespace tarn {

/// The look that follows on `clock`, as far as that decides it.
WatchLook next_look(const WatchClock& clock);

class HostWatch {
 public:
  HostWatch() = default;
  /// Goes on from `from`, or has seen nothing where it is null. Throws `Error` where that is of another shape.
  HostWatch(const WatchPlan& plan, std::int64_t n_chains, std::int64_t D, const WatchState* from);

  /// Looks at `x` `[n_chains, D]`. The same bits for any number of threads.
  void observe(MatrixView<const float> x, int n_threads);
  const WatchState& state() const { return state_; }

 private:
  WatchPlan plan_;
  WatchState state_;
};

}  // namespace tarn
