// One step of the local rule: from sums over a stretch of inference to new weights and biases.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hee_model.hpp"
#include "hee_sums.hpp"
#include "large_dsm_kernels.hpp"

namespace tarn::cpu {

class HeeLearning {
 public:
  HeeLearning(const HeeModel& model, const HeeOptimizer& settings, int n_threads);

  const HeeOptimizer& settings() const { return settings_; }
  /// As `HeeSession::learn`.
  void step(HeeModel& model, const HeeSums& sums, std::span<const double> learning_rates);
  TrainingState state(const HeeModel& model) const;
  void restore(HeeModel& model, const TrainingState& state);

 private:
  // Of one array of parameters, in its layout; empty for the plain rule.
  struct Moments {
    AlignedVector<float> first, second, largest;
  };

  void update_weights(HeeModel& model, const HeeSums& sums, int l, double rate);
  void update_biases(HeeModel& model, const HeeSums& sums, int l, double rate);
  void adam(double rate, const float* gradient, float* values, Moments& moments, std::int64_t begin, std::int64_t n);
  template <class Self, class F>
  static void each_array(Self& self, F&& f);

  HeeOptimizer settings_;
  int n_threads_;
  const LargeDsmKernels& kernels_;
  std::vector<Moments> W_, b_;
  std::vector<AlignedVector<float>> scratch_;  ///< of each thread: rows of a gradient
  std::int64_t n_updates_ = 0;
};

/// Scales the columns of `W(l)` to norm 1; those that are zero stay so.
void normalise_columns(HeeModel& model, int l);

}  // namespace tarn::cpu
