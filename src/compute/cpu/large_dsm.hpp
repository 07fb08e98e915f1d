// One denoising-score-matching step of a large network. Weights are kept neuron after neuron, `[W_in row, b | V row]`,
// so that a block of neurons is contiguous: its gradient stays in the first cache and its optimiser step follows at
// once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "dsm_batch.hpp"
#include "dsm_skew.hpp"
#include "dsm_state.hpp"
#include "large_dsm_kernels.hpp"
#include "tarn/compute/dsm.hpp"

namespace tarn::cpu {

/// How parameters (and anything of their shape) lie in memory. Depends on sizes alone, so that sums have one order for
/// any number of threads.
struct DsmLayout {
  explicit DsmLayout(const DsmParameters& parameters);

  std::int64_t n_outputs, n_columns, n_neurons;  ///< D, K = D + U, N
  std::int64_t in_width;                         ///< W_in row and, at index K, b; padded with zeros
  std::int64_t out_width;                        ///< V row; padded with zeros
  std::int64_t record;                           ///< floats a neuron
  std::int64_t group_neurons, n_groups;          ///< pieces of work; each gives one partial sum of the outputs
  DsmSkew skew;                                  ///< where J is trained
  std::int64_t skew_begin() const { return n_neurons * record; }  ///< behind the neurons
  std::size_t size() const { return static_cast<std::size_t>(skew_begin()) + skew.size(); }
  std::int64_t group_begin(std::int64_t g) const { return g * group_neurons; }
  std::int64_t group_end(std::int64_t g) const { return std::min((g + 1) * group_neurons, n_neurons); }

  AlignedVector<float> pack(const DsmParameters& parameters) const;
  void unpack(const AlignedVector<float>& records, DsmParameters& parameters) const;
};

/// The arrays of an optimiser step from value `at` on, with this gradient.
inline AdamArrays arrays_at(DsmState& state, const float* gradient, std::int64_t at) {
  const auto from = [&](AlignedVector<float>& v) { return v.empty() ? nullptr : v.data() + at; };
  return {gradient,           from(state.weights), from(state.first),
          from(state.second), from(state.largest), from(state.average)};
}

/// Loss and gradient of a step's rows, and the optimiser step. Owns the working memory.
class LargeDsm {
 public:
  LargeDsm(const DsmLayout& layout, Nonlinearity phi, int n_threads);

  /// Makes room for steps of this many rows; the gradient is kept (not just used block by block) where
  /// `keeps_gradient`.
  void resize(std::int64_t rows, bool keeps_gradient);

  /// Takes `adam.size()` optimiser steps on the rows of `batches`; writes `losses`. `clip_norm` 0 = off.
  void train(DsmState& state, const NoisyBatches& batches, const DsmLevel& level, std::int64_t batch_size,
             std::span<const AdamStep> adam, double clip_norm, std::span<DsmLoss> losses);
  /// Loss and gradient of the first step of `batches`; the gradient is left in `gradient()`.
  DsmLoss differentiate(const AlignedVector<float>& weights, const NoisyBatches& batches, const DsmLevel& level,
                        std::int64_t batch_size);
  const AlignedVector<float>& gradient() const { return gradient_; }

 private:
  // The phases of a step: called by every thread of a team, each ends in a barrier.
  void set_rows(const NoisyStep& rows);
  void forward(const float* weights);
  ResidualCall residual_call();                          ///< where all components are at hand
  void residuals(ResidualCall call);                     ///< chunk by chunk
  void mapped_residuals(const float* weights);           ///< the same where the score is `f M^T`, and the gradient of A
  void backward(DsmState& state, const AdamStep& adam);  ///< takes the optimiser step
  void backward(const float* weights);                   ///< keeps the gradient
  void update(DsmState& state, const AdamStep& adam);    ///< takes the optimiser step from the kept gradient
  void update_skew(DsmState& state, const AdamStep& adam);

  void block_gradient(const float* weights, std::int64_t group, std::int64_t first, std::int64_t count, float* gradient,
                      float* back, const DsmState* state);
  void set_level(const DsmLevel& level, std::int64_t batch_size);
  DsmLoss loss() const;
  double gradient_norm() const;
  float* scratch();  ///< of this thread
  float* activations(std::int64_t group) {
    return activations_.data() + group * n_panels_ * layout_.group_neurons * panel_lanes;
  }
  std::int64_t group_stride() const { return n_panels_ * layout_.n_outputs * panel_lanes; }

  DsmLayout layout_;
  const Nonlinearity phi_;
  const int n_threads_;
  const GemmKernels& gemm_;
  const LargeDsmKernels& kernels_;
  std::int64_t block_neurons_;  ///< neurons whose gradient is formed at a time
  std::int64_t rows_ = 0, n_panels_ = 0, point_width_;
  std::int64_t batch_size_ = 0;
  float output_scale_ = 1.0f, confinement_weight_ = 0.0f;

  AlignedVector<float> points_;            ///< panels `[K + 1]`: x~, u, 1
  AlignedVector<float> point_rows_;        ///< the same as rows `[rows, in_width]`
  AlignedVector<float> targets_, deltas_;  ///< panels `[D]`
  AlignedVector<float> delta_rows_;        ///< `[rows, out_width]`
  AlignedVector<float> target_scale_, weight_, counts_;
  AlignedVector<float> outputs_, scores_, zeros_;  ///< where J is trained: f and s, panels `[D]`; zeros of that size
  AlignedVector<float> score_rows_, pulled_;       ///< s as rows `[rows, out_width]`; (g M)^T s `[D, out_width]`
  AlignedVector<float> skew_gradient_;             ///< d loss / d A
  AlignedVector<float> activations_;               ///< group after group, panels `[group_neurons]`
  AlignedVector<float> partials_;                  ///< group after group, panels `[D]`
  std::vector<double> losses_, excesses_;          ///< one a chunk of components
  std::vector<double> squares_;                    ///< of the gradient, one a group
  std::vector<AlignedVector<float>> scratch_;      ///< one a thread: gradient of a block, and its back-propagated part
  AlignedVector<float> gradient_;                  ///< records; where it is kept
};

}  // namespace tarn::cpu
