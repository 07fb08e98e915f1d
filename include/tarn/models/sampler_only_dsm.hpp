// Loss and gradients of the sampler-only networks (arXiv 2308.11809), written out by hand.
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/compute/dsm.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn {

/// Rows of one training step: `n_data` noisy data, then confinement points. The loss that is minimised is
/// `sum_rows weight/2 |scale s(y) + target|^2`. A datum has `scale = 1`, `target = xi/sigma`, `weight =
/// loss_scale/n_data`; a confinement point `y = R d` has `scale = sigma^2/R`, `target = confinement_pull d`, `weight =
/// 1/n_data`.
struct ScoreMatchingRows {
  MatrixView<const float> points;   ///< `[rows, D]`
  MatrixView<const float> targets;  ///< `[rows, D]`
  const float* scale = nullptr;     ///< `[rows]`
  std::int64_t n_data = 0;
  double loss_scale = 1.0;
};

/// Gradients, shapes as in `SamplingNetwork`.
struct SamplerOnlyGradient {
  Matrix<float> W, b, gamma, S;
};

/// Of a sampler-only network with drift `s = h diag(gamma) S S^T`, `h = phi(y) W^T + b - y` (sc) or `phi(y W^T + b) -
/// y` (fr): with `e` the weighted residual times `scale`, `q = h diag(gamma)`, `k = e S S^T`: `dS = (e^T q + q^T e) S`,
/// `dgamma = sum k * h`, `dh = k diag(gamma)`; sc: `dW = dh^T phi(y)`, `db = sum dh`; fr: `g = dh * phi'(u)`, `dW = g^T
/// y`, `db = sum g`. Sums in double, in one fixed order. Keeps its workspace, so that it allocates for a new shape
/// only.
class SamplerOnlyGradients {
 public:
  /// Returns the mean loss of the data rows, without `loss_scale`, and fills `gradient`. Throws `Error` for a network
  /// of another kind or shapes that disagree. The network is not validated: a weight that is not finite shows in the
  /// loss.
  DsmLoss operator()(const SamplingNetwork& network, const ScoreMatchingRows& rows, SamplerOnlyGradient& gradient);

 private:
  std::vector<double> mixing_, d_mixing_, dW_, db_, dgamma_, row_;
  std::vector<float> row_values_;
};

/// The same for one given batch at a noise level, as `Backend::dsm_gradient` is for reservoir-sampler networks
/// (confinement points are not added). Throws `Error` where `level.output_scale` is not 1.
DsmLoss sampler_only_gradient(const SamplingNetwork& network, const DsmLevel& level, const DsmBatch& batch,
                              SamplerOnlyGradient& gradient);

}  // namespace tarn
