// Sums of live diagnostics in device memory.
#pragma once

#include "memory.hpp"
#include "tarn/compute/watch.hpp"

namespace tarn::cuda {

class DeviceWatch {
 public:
  /// Copies `from` in; waits.
  void load(const WatchPlan& plan, const WatchState& from, std::int64_t D, StreamHandle stream);
  /// Looks at `x` `[n_chains, D]` in device memory. Asynchronous.
  void observe(const float* x, StreamHandle stream);
  /// The sums so far; waits.
  WatchState read(StreamHandle stream);
  bool is_on() const { return state_.n_quantities > 0; }

 private:
  // Device memory for an array of the state.
  template <class T>
  using Twin = DeviceBuffer<T>;

  WatchState state_;  ///< shape and clock; the arrays are out of date
  std::int64_t D_ = 0, K_ = 0, n_modes_ = 0;
  Twin<double> batch_mean_, batch_square_, open_mean_, open_square_, variogram_;
  Twin<float> recent_, centers_;
  Twin<std::uint64_t> hashes_, sketch_, modes_;
  Twin<std::int32_t> still_, mode_;

  // Calls `visit(host array, device array)` for each pair.
  template <class Visit>
  void for_each_pair(WatchState& s, Visit&& visit) {
    visit(s.batch_mean, batch_mean_);
    visit(s.batch_square, batch_square_);
    visit(s.open_mean, open_mean_);
    visit(s.open_square, open_square_);
    visit(s.variogram, variogram_);
    visit(s.recent, recent_);
    visit(s.hashes, hashes_);
    visit(s.still, still_);
    visit(s.mode, mode_);
    visit(s.sketch, sketch_);
    visit(s.modes, modes_);
  }
};

}  // namespace tarn::cuda
