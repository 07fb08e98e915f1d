#include "sampler_only_training.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "sampler_only_rows.hpp"
#include "tarn/core/error.hpp"

namespace tarn {

SamplerOnlyTraining::SamplerOnlyTraining(const SamplingNetwork& initial, const OptimizerSettings& optimizer)
    : optimizer_(optimizer), network_(initial), average_(initial) {
  slots_ = {{"W", &network_.W_in, &average_.W_in, &gradient_.W, {}, {}, {}},
            {"b", &network_.b, &average_.b, &gradient_.b, {}, {}, {}},
            {"gamma", &network_.gamma, &average_.gamma, &gradient_.gamma, {}, {}, {}},
            {"S", &network_.S, &average_.S, &gradient_.S, {}, {}, {}}};
  reset_optimizer();
}

void SamplerOnlyTraining::reset_optimizer() {
  for (Slot& slot : slots_) {
    const auto n = static_cast<std::size_t>(slot.weights->size());
    slot.first.assign(n, 0.0f);
    slot.second.assign(n, 0.0f);
    slot.largest.assign(optimizer_.amsgrad ? n : 0, 0.0f);
  }
  n_updates_ = 0;
}

void SamplerOnlyTraining::reset_average() { average_ = network_; }

TrainingState SamplerOnlyTraining::state() const {
  TrainingState state;
  state.n_updates = n_updates_;
  const auto row = [](const std::vector<float>& values) {
    Matrix<float> matrix(1, std::ssize(values));
    std::copy(values.begin(), values.end(), matrix.data());
    return matrix;
  };
  for (const Slot& slot : slots_) {
    const std::string suffix = std::string(".") + slot.name;
    state.arrays["weights" + suffix] = *slot.weights;
    state.arrays["average" + suffix] = *slot.average;
    state.arrays["first_moment" + suffix] = row(slot.first);
    state.arrays["second_moment" + suffix] = row(slot.second);
    if (optimizer_.amsgrad) state.arrays["largest_second_moment" + suffix] = row(slot.largest);
  }
  return state;
}

void SamplerOnlyTraining::restore(const TrainingState& state) {
  for (Slot& slot : slots_) {
    const std::string suffix = std::string(".") + slot.name;
    const std::int64_t rows = slot.weights->rows(), cols = slot.weights->cols(), n = slot.weights->size();
    *slot.weights = state.at("weights" + suffix, rows, cols);
    *slot.average = state.at("average" + suffix, rows, cols);
    const auto moments = [&](const char* what, std::vector<float>& values) {
      const Matrix<float>& kept = state.at(what + suffix, 1, n);
      values.assign(kept.data(), kept.data() + n);
    };
    moments("first_moment", slot.first);
    moments("second_moment", slot.second);
    if (optimizer_.amsgrad) moments("largest_second_moment", slot.largest);
  }
  n_updates_ = state.n_updates;
}

SamplingNetwork SamplerOnlyTraining::averaged_network() const {
  if (optimizer_.ema == 0.0) return network_;
  SamplingNetwork result = average_;
  result.sigma = network_.sigma;
  return result;
}

double SamplerOnlyTraining::gradient_norm() const {
  double square = 0.0;
  for (const Slot& slot : slots_) {
    for (std::int64_t i = 0; i < slot.gradient->size(); ++i) {
      square += static_cast<double>(slot.gradient->data()[i]) * slot.gradient->data()[i];
    }
  }
  return std::sqrt(square);
}

// The rules of OptimizerSettings: as the backends take them, with moments kept in float32 and worked out in double.
void SamplerOnlyTraining::update(double learning_rate, double gradient_scale) {
  const OptimizerSettings& o = optimizer_;
  const auto t = static_cast<double>(++n_updates_);
  const double step_size = learning_rate / (1.0 - std::pow(o.beta1, t));
  const double inverse_correction = 1.0 / std::sqrt(1.0 - std::pow(o.beta2, t));
  const double l2 = o.kind == OptimizerKind::adam ? o.weight_decay : 0.0;
  const double shrink = o.kind == OptimizerKind::adamw ? 1.0 - learning_rate * o.weight_decay : 1.0;
  for (Slot& slot : slots_) {
    for (std::int64_t i = 0; i < slot.weights->size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      float& weight = slot.weights->data()[i];
      const double g = gradient_scale * slot.gradient->data()[i] + l2 * weight;
      slot.first[at] = static_cast<float>(o.beta1 * slot.first[at] + (1.0 - o.beta1) * g);
      slot.second[at] = static_cast<float>(o.beta2 * slot.second[at] + (1.0 - o.beta2) * g * g);
      float second = slot.second[at];
      if (o.amsgrad) second = slot.largest[at] = std::max(second, slot.largest[at]);
      const double denominator = std::sqrt(static_cast<double>(second)) * inverse_correction + o.epsilon;
      weight = static_cast<float>(shrink * weight - step_size * slot.first[at] / denominator);
      float& average = slot.average->data()[i];
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
      double gradient_scale = 1.0;
      if (optimizer_.clip_norm > 0.0) {
        loss.gradient_norm = gradient_norm();
        if (loss.gradient_norm > optimizer_.clip_norm) gradient_scale = optimizer_.clip_norm / loss.gradient_norm;
      }
      update(learning_rates[at], gradient_scale);
    }
  }
  network_.sigma = level.sigma;
}

}  // namespace tarn
