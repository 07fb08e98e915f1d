// A sampling network in training: one interface for all three kinds.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "tarn/compute/backend.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn {

/// Parameters, optimiser moments and running mean of a network while it learns. Noise and confinement points of a step
/// are pure functions of (seed, step), the same for every kind of network.
class TrainableModel {
 public:
  virtual ~TrainableModel() = default;
  /// As `DsmSession::run`. What is trained are the weights `V` with `W_out = output_scale V`: they stay when the level
  /// changes, so `W_out` is rescaled. Sampler-only networks have no such weights: `output_scale` must be 1 there
  /// (`UsageError`).
  virtual void run(BatchSource& source, const DsmLevel& level, std::int64_t batch_size, std::uint64_t seed,
                   std::int64_t first_step, std::span<const float> learning_rates, std::span<DsmLoss> losses) = 0;
  /// The network as it is now, plain stored weights, at the level that `run` had last: `W_out = output_scale V`, its
  /// `sigma`. Not validated: weights that ran off to NaN are there to be seen.
  virtual SamplingNetwork network() const = 0;
  /// The same of the running mean of the weights; equal to `network` where `OptimizerSettings::ema` is 0.
  virtual SamplingNetwork averaged_network() const = 0;
  /// Optimiser moments to zero, its step counter to 0.
  virtual void reset_optimizer() = 0;
  /// The running mean starts anew at the present parameters.
  virtual void reset_average() = 0;
  /// As `DsmSession::state` and `DsmSession::restore`; the level is not part of it, `run` brings it.
  virtual TrainingState state() const = 0;
  virtual void restore(const TrainingState& state) = 0;
  /// As `DsmSession::way`.
  virtual std::string way([[maybe_unused]] std::int64_t rows) const { return {}; }
};

/// Starts training at `initial`, whose output weights are `W_out = output_scale V`: 1 for fresh weights
/// (`initial_network` gives `V`), the first level's `output_scale` for weights that go on from a file. Scaling and kind
/// stay as in `initial`. Throws `Error` where `initial` does not pass `validate`, has a `drift_map` that cannot be
/// trained on (it is not `(I + J)^-1` of a skew-symmetric J, or the network is sampler-only), or `output_scale` is not
/// positive and finite. A `drift_map` is trained with the weights: J turns, its Frobenius norm stays.
std::unique_ptr<TrainableModel> make_trainable(Backend& backend, const SamplingNetwork& initial,
                                               const OptimizerSettings& optimizer, double output_scale = 1.0);

}  // namespace tarn
