#include "sampler_only_training.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "sampler_only_rows.hpp"
#include "tarn/core/error.hpp"

namespace tarn {

SamplerOnlyTraining::SamplerOnlyTraining(const SamplingNetwork& initial, const OptimizerSettings& optimizer)
    : optimizer_(optimizer), network_(initial), average_(initial) {
  arrays_ = TrainedArrays({{"W", &network_.W_in, &average_.W_in, &gradient_.W},
                           {"b", &network_.b, &average_.b, &gradient_.b},
                           {"gamma", &network_.gamma, &average_.gamma, &gradient_.gamma},
                           {"S", &network_.S, &average_.S, &gradient_.S}});
}

void SamplerOnlyTraining::reset_optimizer() {
  arrays_.reset();
  n_updates_ = 0;
}

void SamplerOnlyTraining::reset_average() { average_ = network_; }

TrainingState SamplerOnlyTraining::state() const {
  TrainingState state;
  state.n_updates = n_updates_;
  arrays_.put(optimizer_.amsgrad, state);
  return state;
}

void SamplerOnlyTraining::restore(const TrainingState& state) {
  arrays_.take(optimizer_.amsgrad, state);
  n_updates_ = state.n_updates;
}

SamplingNetwork SamplerOnlyTraining::averaged_network() const {
  if (optimizer_.ema == 0.0) return network_;
  SamplingNetwork result = average_;
  result.sigma = network_.sigma;
  return result;
}

// The rules of OptimizerSettings: as the backends take them, with moments kept in float32 and worked out in double.
void SamplerOnlyTraining::update(double learning_rate, double gradient_scale) {
  const OptimizerSettings& o = optimizer_;
  const auto t = static_cast<double>(++n_updates_);
  const double step_size = learning_rate / (1.0 - std::pow(o.beta1, t));
  const double inverse_correction = 1.0 / std::sqrt(1.0 - std::pow(o.beta2, t));
  const double l2 = o.kind == OptimizerKind::adam ? o.weight_decay : 0.0;
  const double shrink = o.kind == OptimizerKind::adamw ? 1.0 - learning_rate * o.weight_decay : 1.0;
  for (TrainedArray& array : arrays_) {
    for (std::int64_t i = 0; i < array.weights->size(); ++i) {
      float& weight = array.weights->data()[i];
      float &first = array.first.data()[i], &second = array.second.data()[i];
      const double g = gradient_scale * array.gradient->data()[i] + l2 * weight;
      first = static_cast<float>(o.beta1 * first + (1.0 - o.beta1) * g);
      second = static_cast<float>(o.beta2 * second + (1.0 - o.beta2) * g * g);
      float scale = second;
      if (o.amsgrad) scale = array.largest.data()[i] = std::max(second, array.largest.data()[i]);
      const double denominator = std::sqrt(static_cast<double>(scale)) * inverse_correction + o.epsilon;
      weight = static_cast<float>(shrink * weight - step_size * first / denominator);
      float& average = array.average->data()[i];
      average = static_cast<float>(o.ema * average + (1.0 - o.ema) * weight);
    }
  }
}

void SamplerOnlyTraining::run(BatchSource& source, const DsmLevel& level, std::int64_t batch_size, std::uint64_t seed,
                              std::int64_t first_step, std::span<const float> learning_rates,
                              std::span<DsmLoss> losses) {
  if (level.output_scale != 1.0) {
    fail_usage("output_scale is {}; {} networks are trained with output_scaling = \"none\"", level.output_scale,
               name_of(network_.kind));
  }
  require(losses.size() == learning_rates.size(), "{} losses for {} learning rates", losses.size(),
          learning_rates.size());
  const std::int64_t D = network_.n_outputs, n_steps = std::ssize(learning_rates);
  require(source.n_columns() == D, "training: batches have {} columns, the network takes {}", source.n_columns(), D);
  const std::int64_t chunk = steps_a_chunk(batch_size, D);
  for (std::int64_t begin = 0; begin < n_steps; begin += chunk) {
    const std::int64_t n = std::min(chunk, n_steps - begin);
    batches_.fill(source, level, D, batch_size, seed, first_step + begin, n);
    for (std::int64_t s = 0; s < n; ++s) {
      const auto at = static_cast<std::size_t>(begin + s);
      DsmLoss& loss = losses[at];
      loss = gradients_(network_, rows_of_step(batches_, s, D, batch_size, level.loss_scale), gradient_);
      update(learning_rates[at], arrays_.clip(optimizer_.clip_norm, loss.gradient_norm));
    }
  }
  network_.sigma = level.sigma;
}

}  // namespace tarn
