// Denoising score matching (arXiv 2308.11809, section 4): what a training step is, whatever device runs it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "tarn/compute/training_state.hpp"
#include "tarn/core/batch_source.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn {

/// Trained parameters of a reservoir-sampler network, `f = -x + phi([x u] W_in^T + b) W_out^T`; its score is `f`, or see `A`. The network's output weights are `W_out = output_scale * V`
/// (`output_scale` is 1, 1/sigma or 1/sigma^2 of the present level).
struct DsmParameters {
  Nonlinearity phi = Nonlinearity::relu;
  std::int64_t n_outputs = 0;  ///< D
  std::int64_t n_inputs = 0;   ///< U
  Matrix<float> W_in;          ///< `[N, D+U]`
  Matrix<float> b;             ///< `[1, N]`
  Matrix<float> V;             ///< `[D, N]`
  Matrix<float> A{};           ///< `[D, D]`, or empty: the score is `f (I + J)^-T` with `J = skew_of(A, skew_strength)`
  double skew_strength = 0.0;  ///< `|J|_F`, > 0 where there is an `A`
};

/// One noise level: everything in the loss that does not change from step to step.
/// Loss of a datum: `loss_scale * 1/2 |s(x~) + xi/sigma|^2`, `x~ = x + sigma xi`. To each batch are added, where asked,
/// confinement points `y = R d`, `d` uniform on the sphere, `R` log-uniform in `confinement_radius`, with loss
/// `1/2 |sigma^2 s(y)/R + confinement_pull d|^2`; all are divided by the batch size.
struct DsmLevel {
  double sigma = 1.0;         ///< > 0
  double output_scale = 1.0;  ///< W_out = output_scale * V
  double loss_scale = 1.0;    ///< multiplies loss and gradients; sigma^2 with inverse_sigma2, else 1
  bool antithetic = false;    ///< rows 2i and 2i+1 share a datum, with noise +xi and -xi; batch size must be even
  std::int64_t confinement_points = 0;
  double confinement_pull = 0.0;
  double confinement_radius[2] = {0.0, 0.0};  ///< smallest and largest R; both > 0 where points are asked for
};

/// A batch given outright (tests, diagnostics): data `[B, D+U]` and normals `xi` `[B, D]`; confinement points are not added.
struct DsmBatch {
  MatrixView<const float> x;
  MatrixView<const float> xi;
};

/// Per-step figures, means over the batch, without `loss_scale` and without confinement points.
struct DsmLoss {
  double loss = 0.0;           ///< 1/2 |s + xi/sigma|^2
  double excess = 0.0;         ///< 1/2 |s|^2 + s . xi/sigma: the loss less a constant of no interest
  double gradient_norm = 0.0;  ///< of all parameters, before clipping; only where clipping is on, else 0
};

enum class OptimizerKind : std::uint8_t { adam, adamw };

/// Adam (Kingma and Ba 2015) with L2 decay added to the gradient, or AdamW (Loshchilov and Hutter 2019) with decoupled decay;
/// AMSGrad (Reddi et al. 2018) as an option of both.
struct OptimizerSettings {
  OptimizerKind kind = OptimizerKind::adam;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0.0;
  bool amsgrad = false;
  double ema = 0.0;        ///< decay of the running mean of the weights; 0 = none
  double clip_norm = 0.0;  ///< gradients are scaled down to this norm; 0 = off
};

/// Training on a device. Steps are numbered from 0 over the whole run; noise and confinement points of a step are pure
/// functions of (seed, step): streams `training_noise` and `confinement`.
class DsmSession {
 public:
  virtual ~DsmSession() = default;
  /// Takes `learning_rates.size()` optimiser steps, numbered from `first_step`; step `i` uses `learning_rates[i]` and writes
  /// `losses[i]`. Does not allocate after the first call of a shape (matrices
  /// `[D, D]` of a trained J apart).
  virtual void run(BatchSource& source, const DsmLevel& level, std::int64_t batch_size, std::uint64_t seed,
                   std::int64_t first_step, std::span<const float> learning_rates, std::span<DsmLoss> losses) = 0;
  /// Present parameters, or their running mean (equal to the parameters where `ema` is 0).
  virtual DsmParameters parameters() const = 0;
  virtual DsmParameters averaged() const = 0;
  /// Optimiser moments to zero, its step counter to 0.
  virtual void reset_optimizer() = 0;
  /// The running mean starts anew at the present parameters.
  virtual void reset_average() = 0;
  /// Copies of all that the next step depends on. `restore` throws `Error` where the state is of other sizes or of another
  /// optimiser.
  virtual TrainingState state() const = 0;
  virtual void restore(const TrainingState& state) = 0;
  /// How the device takes steps of so many rows (data and confinement points), for the log; empty where there is nothing to say.
  virtual std::string way([[maybe_unused]] std::int64_t rows) const { return {}; }
};

}  // namespace tarn
