#include "hee_learning.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "large_network.hpp"

namespace tarn::cpu {
namespace {

constexpr std::int64_t rows_a_block = 16;
constexpr std::int64_t worth_threads = 1 << 18;  // weights; below that, waiting for a team takes longer
constexpr double least_variance = 1e-6;

std::size_t at(int l) { return static_cast<std::size_t>(l); }

double variance(const HeeStatistics& s, int l) {
  return s.activity_2[at(l - 1)] - s.activity[at(l - 1)] * s.activity[at(l - 1)];
}

}  // namespace

HeeLearning::HeeLearning(const HeeModel& model, const HeeOptimizer& settings, int n_threads)
    : settings_(settings),
      n_threads_(n_threads),
      kernels_(large_dsm_kernels(current_isa())),
      W_(at(model.L())),
      b_(at(model.L() + 1)),
      scratch_(static_cast<std::size_t>(n_threads)) {
  require(settings.normalise_columns.empty() || settings.normalise_columns.size() == at(model.L()),
          "learning: columns of {} weight matrices to normalise, the model has {}", settings.normalise_columns.size(),
          model.L());
  settings_.adam.ema = settings_.adam.clip_norm = 0.0;
  std::int64_t widest = 0;
  for (int l = 1; l <= model.L(); ++l) widest = std::max(widest, model.stride(l));
  for (auto& scratch : scratch_) scratch.assign(static_cast<std::size_t>(rows_a_block * widest), 0.0f);
  if (settings.rule == HeeRule::plain) return;
  const auto make = [&](Moments& m, std::size_t n) {
    m.first.assign(n, 0.0f);
    m.second.assign(n, 0.0f);
    if (settings.adam.amsgrad) m.largest.assign(n, 0.0f);
  };
  for (int l = 0; l <= model.L(); ++l) {
    if (l > 0) make(W_[at(l - 1)], model.W(l).size());
    make(b_[at(l)], model.b(l).size());
  }
}

void HeeLearning::adam(double rate, const float* gradient, float* values, Moments& m, std::int64_t begin,
                       std::int64_t n) {
  const auto from = [&](AlignedVector<float>& v) { return v.empty() ? nullptr : v.data() + begin; };
  AdamStep step = adam_step(settings_.adam, rate, n_updates_);
  step.gradient_scale = -1.0f;  // the rule climbs
  kernels_.adam(step, {gradient, values + begin, from(m.first), from(m.second), from(m.largest), nullptr}, n);
}

void HeeLearning::update_weights(HeeModel& model, const HeeSums& sums, int l, double rate) {
  const std::int64_t stride = model.stride(l), n_rows = model.size(l - 1);
  const auto plain =
      static_cast<float>(rate * sums.error_scale(l - 1) / (variance(sums.statistics(), l) + least_variance));
  const int n_threads = n_rows * stride < worth_threads ? 1 : n_threads_;
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (std::int64_t first = 0; first < n_rows; first += rows_a_block) {
    float* gradient = scratch_[static_cast<std::size_t>(omp_get_thread_num())].data();
    const std::int64_t last = std::min(first + rows_a_block, n_rows), n = (last - first) * stride;
    sums.mean_of_W(l, first, last, gradient);
    float* W = model.W(l).data();
    if (settings_.rule == HeeRule::adam) {
      adam(rate, gradient, W, W_[at(l - 1)], first * stride, n);
    } else {
      for (std::int64_t i = 0; i < n; ++i) W[first * stride + i] += plain * gradient[i];
    }
  }
  if (!settings_.normalise_columns.empty() && settings_.normalise_columns[at(l - 1)]) normalise_columns(model, l);
  model.weights_changed(l);
}

void HeeLearning::update_biases(HeeModel& model, const HeeSums& sums, int l, double rate) {
  AlignedVector<float>& b = model.b(l);
  const std::vector<double> mean = sums.mean_of_b(l);
  AlignedVector<float> gradient(b.size(), 0.0f);
  for (std::size_t i = 0; i < mean.size(); ++i) gradient[i] = static_cast<float>(mean[i]);
  if (settings_.rule == HeeRule::adam) {
    adam(rate, gradient.data(), b.data(), b_[at(l)], 0, static_cast<std::int64_t>(b.size()));
  } else {
    const auto scale = static_cast<float>(rate * sums.error_scale(l));
    for (std::size_t i = 0; i < b.size(); ++i) b[i] += scale * gradient[i];
  }
  model.biases_changed(l);
}

void HeeLearning::step(HeeModel& model, const HeeSums& sums, std::span<const double> rates) {
  require(rates.size() == at(model.L()), "learning: {} rates for {} weight matrices", rates.size(), model.L());
  require(sums.n_samples() > 0, "learning: no statistics were collected, or no chain is well");
  ++n_updates_;
  for (int l = 1; l <= model.L(); ++l) {
    const double rate = rates[at(l - 1)];
    if (rate == 0.0) continue;
    update_weights(model, sums, l, rate);
    if (!settings_.learn_biases) continue;
    update_biases(model, sums, l - 1, rate);
    if (l == model.L()) update_biases(model, sums, l, rate);
  }
}

// Calls `f(name, array, rows, cols, stride)` for each array of the optimiser.
template <class Self, class F>
void HeeLearning::each_array(Self& self, F&& f) {
  for (std::size_t l = 0; l < self.b_.size(); ++l) {
    const auto each = [&](auto& m, const std::string& name, bool is_weight) {
      f("first_moment." + name, m.first, l, is_weight);
      f("second_moment." + name, m.second, l, is_weight);
      f("largest_second_moment." + name, m.largest, l, is_weight);
    };
    if (l > 0) each(self.W_[l - 1], fmt::format("W.{}", l), true);
    each(self.b_[l], fmt::format("b.{}", l), false);
  }
}

TrainingState HeeLearning::state(const HeeModel& model) const {
  TrainingState state;
  state.n_updates = n_updates_;
  for (int l = 0; l <= model.L(); ++l) {
    if (l > 0) state.arrays[fmt::format("weights.W.{}", l)] = model.parameters().W[at(l - 1)];
    state.arrays[fmt::format("weights.b.{}", l)] = model.parameters().b[at(l)];
  }
  each_array(*this, [&](const std::string& name, const AlignedVector<float>& values, std::size_t l, bool is_weight) {
    if (values.empty()) return;
    const auto& p = model.parameters();
    const Matrix<float>& like = is_weight ? p.W[l - 1] : p.b[l];
    const std::int64_t stride =
        is_weight ? model.stride(static_cast<int>(l)) : static_cast<std::int64_t>(values.size());
    Matrix<float> array(like.rows(), like.cols());
    for (std::int64_t i = 0; i < array.rows(); ++i) std::copy_n(values.data() + i * stride, array.cols(), array.row(i));
    state.arrays[name] = std::move(array);
  });
  return state;
}

void HeeLearning::restore(HeeModel& model, const TrainingState& state) {
  const auto take = [&](const std::string& name, const Matrix<float>& like, AlignedVector<float>& values,
                        std::int64_t stride) {
    const Matrix<float>& from = state.at(name, like.rows(), like.cols());
    for (std::int64_t i = 0; i < from.rows(); ++i) std::copy_n(from.row(i), from.cols(), values.data() + i * stride);
  };
  for (int l = 0; l <= model.L(); ++l) {
    const auto& p = model.parameters();
    take(fmt::format("weights.b.{}", l), p.b[at(l)], model.b(l), round_up(model.size(l), 16));
    model.biases_changed(l);
    if (l == 0) continue;
    take(fmt::format("weights.W.{}", l), p.W[at(l - 1)], model.W(l), model.stride(l));
    model.weights_changed(l);
  }
  each_array(*this, [&](const std::string& name, AlignedVector<float>& values, std::size_t l, bool is_weight) {
    if (values.empty()) return;
    const auto& p = model.parameters();
    take(name, is_weight ? p.W[l - 1] : p.b[l], values,
         is_weight ? model.stride(static_cast<int>(l)) : static_cast<std::int64_t>(values.size()));
  });
  n_updates_ = state.n_updates;
}

void normalise_columns(HeeModel& model, int l) {
  const std::int64_t stride = model.stride(l), n_rows = model.size(l - 1);
  AlignedVector<float>& W = model.W(l);
  std::vector<double> squares(static_cast<std::size_t>(stride), 0.0);
  for (std::int64_t i = 0; i < n_rows; ++i) {
    const float* row = W.data() + i * stride;
    for (std::int64_t j = 0; j < stride; ++j) {
      const auto value = static_cast<double>(row[j]);
      squares[static_cast<std::size_t>(j)] += value * value;
    }
  }
  std::vector<float> scale(squares.size());
  for (std::size_t j = 0; j < scale.size(); ++j)
    scale[j] = squares[j] > 0.0 ? static_cast<float>(1.0 / std::sqrt(squares[j])) : 1.0f;
  for (std::int64_t i = 0; i < n_rows; ++i) {
    float* row = W.data() + i * stride;
    for (std::int64_t j = 0; j < stride; ++j) row[j] *= scale[static_cast<std::size_t>(j)];
  }
}

}  // namespace tarn::cpu
