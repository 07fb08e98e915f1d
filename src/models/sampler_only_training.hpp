// Training of the sampler-only networks on the host: D of order 1, so plain serial code, the same bits on any number of
// threads.
#pragma once

#include <cstdint>
#include <span>

#include "dsm_batch.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/models/sampler_only_dsm.hpp"
#include "tarn/models/trainable.hpp"
#include "trained_arrays.hpp"

namespace tarn {

class SamplerOnlyTraining final : public TrainableModel {
 public:
  SamplerOnlyTraining(const SamplingNetwork& initial, const OptimizerSettings& optimizer);

  void run(BatchSource& source, const DsmLevel& level, std::int64_t batch_size, std::uint64_t seed,
           std::int64_t first_step, std::span<const float> learning_rates, std::span<DsmLoss> losses) override;
  SamplingNetwork network() const override { return network_; }
  SamplingNetwork averaged_network() const override;
  void reset_optimizer() override;
  void reset_average() override;
  TrainingState state() const override;
  void restore(const TrainingState& state) override;

 private:
  void update(double learning_rate, double gradient_scale);

  OptimizerSettings optimizer_;
  SamplingNetwork network_, average_;
  SamplerOnlyGradient gradient_;
  SamplerOnlyGradients gradients_;
  NoisyBatches batches_;
  TrainedArrays arrays_;
  std::int64_t n_updates_ = 0;
};

}  // namespace tarn
