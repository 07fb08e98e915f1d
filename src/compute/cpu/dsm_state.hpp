// What a training session keeps of its parameters, in whatever order its kernels want them, and how checkpoints hold it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tarn/compute/dsm.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn::cpu {

/// Weights and what belongs to them, each in the layout of the session. An array that the optimiser does not use may be
/// empty.
struct DsmState {
  AlignedVector<float> weights, first, second, largest, average;
  std::int64_t n_updates = 0;  ///< of the optimiser since its moments were zero

  void reset_optimizer() {
    for (auto* moments : {&first, &second, &largest}) std::fill(moments->begin(), moments->end(), 0.0f);
    n_updates = 0;
  }
};

/// Calls `f(name, array)` for each array that the optimiser uses; `state` may be const.
template <class State, class F>
void each_used(State& state, const OptimizerSettings& optimizer, F&& f) {
  f("weights", state.weights);
  f("first_moment", state.first);
  f("second_moment", state.second);
  if (optimizer.amsgrad) f("largest_second_moment", state.largest);
  if (optimizer.ema > 0.0) f("average", state.average);
}

/// Parameters from an array of the layout; `shape` gives names and sizes.
template <class Layout>
DsmParameters unpacked(const Layout& layout, const AlignedVector<float>& values, const DsmParameters& shape) {
  DsmParameters parameters = shape;
  layout.unpack(values, parameters);
  return parameters;
}

template <class Layout>
TrainingState stored(const DsmState& state, const OptimizerSettings& optimizer, const Layout& layout,
                     const DsmParameters& shape) {
  TrainingState out;
  out.n_updates = state.n_updates;
  each_used(state, optimizer, [&](const char* name, const AlignedVector<float>& values) {
    out.put(name, unpacked(layout, values, shape));
  });
  return out;
}

/// Throws `Error` where an array is missing or of another size.
template <class Layout>
void restore_from(const TrainingState& from, DsmState& state, const OptimizerSettings& optimizer, const Layout& layout,
                  const DsmParameters& shape) {
  each_used(state, optimizer,
            [&](const char* name, AlignedVector<float>& values) { values = layout.pack(from.get(name, shape)); });
  state.n_updates = from.n_updates;
}

}  // namespace tarn::cpu
