// The three sampling networks of Chen et al. 2023 (arXiv 2308.11809) and the two energy-based models that they are compared with
// (docs/rivals.md): parameters on the host, score, and how they are run.
#pragma once

#include <cstdint>
#include <string_view>

#include "tarn/compute/network_view.hpp"
#include "tarn/core/affine_scaling.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn {

enum class ModelKind : std::uint8_t { reservoir_sampler, sampler_only_sc, sampler_only_fr, rbm, ebm };

std::string_view name_of(ModelKind kind);
/// Throws `UsageError` naming the allowed values.
ModelKind parse_model_kind(std::string_view name);
/// Whether the score is that of an energy (energy_model.hpp): rbm, ebm.
constexpr bool is_energy_based(ModelKind kind) { return kind == ModelKind::rbm || kind == ModelKind::ebm; }

/// A trained (or initial) sampling network. `D` outputs, `U` inputs, `N` neurons.
///
/// reservoir_sampler: score `s(x) = -x + phi([x u] W_in^T + b) W_out^T`.
/// sampler_only_sc:   drift `(phi(x) W^T + b - x) diag(gamma) S S^T`, N = D, U = 0.
/// sampler_only_fr:   drift `(phi(x W^T + b) - x) diag(gamma) S S^T`, N = D, U = 0.
/// rbm, ebm:          score `(-x + phi(x W^T / s^2 + b) diag(v) W + a) / s^2`, U = 0; rbm: phi = sigmoid, v = 1.
struct SamplingNetwork {
  ModelKind kind = ModelKind::reservoir_sampler;
  Nonlinearity phi = Nonlinearity::relu;
  std::int64_t n_outputs = 0;  ///< D
  std::int64_t n_inputs = 0;   ///< U

  Matrix<float> W_in;       ///< `[N, D+U]`; sampler-only: the recurrent `W` `[D, D]`; rbm, ebm: `W` `[N, D]`
  Matrix<float> b;          ///< `[1, N]`
  Matrix<float> W_out;      ///< `[D, N]`; of a reservoir-sampler only
  Matrix<float> gamma;      ///< `[1, D]`, sampler-only
  Matrix<float> S;          ///< `[D, D]`, sampler-only
  Matrix<float> drift_map;  ///< `[D, D]` `M` with `score = f M^T`, `f` the drift above; or empty (identity): a trained
                            ///< irreversible drift has `M = (I + J)^-1`
  Matrix<float> a;          ///< `[1, D]` rbm, ebm: centre of the outputs
  Matrix<float> v;          ///< `[1, N]` ebm: how much a hidden unit counts
  double s = 0.0;  ///< rbm, ebm: standard deviation of an output given the hidden units, in scaled filter space

  AffineScaling scaling;  ///< of the space the network lives in
  double sigma = 0.0;     ///< noise level it was trained at, in scaled filter space; 0 = unknown

  std::int64_t n_neurons() const { return W_in.rows(); }
  /// Throws `Error` where shapes disagree or a weight is not finite, naming the array.
  void validate() const;

 private:
  void validate_energy() const;
};

/// Which drift of a network is run. The two differ only where it has a `drift_map`.
enum class DriftForm : std::uint8_t {
  score,    ///< `f M^T`
  circuit,  ///< `f`, the circuit's own drift: same stationary law, irreversible
};

/// What noise private to the neurons is to the outputs: `W_out diag(S)^2 W_out^T` `[D, D]`, `S` `[1, N]` its standard deviations.
/// Throws `Error` where shapes disagree.
Matrix<double> output_diffusion(MatrixView<const float> W_out, MatrixView<const float> S);

/// A sampling network in the form that backends run: owns what the view points to, and the view stays valid when it is
/// moved. All kinds become `f(x) = (-x + phi([x u] W_in^T + b) W_out^T + c) M^T`; see network_view.hpp.
class RunnableNetwork {
 public:
  /// Throws `Error` as `SamplingNetwork::validate`.
  explicit RunnableNetwork(const SamplingNetwork& network, DriftForm form = DriftForm::score);
  /// The irreversible drift `score (I + J)^T`, which has the stationary law of the score for any skew-symmetric `J`
  /// `[D, D]`. Throws `Error` where `J` has another shape, is not finite, or `J + J^T` exceeds 1e-6 of the largest
  /// entry.
  RunnableNetwork(const SamplingNetwork& network, MatrixView<const float> J);
  /// The drift `score (diffusion + J)^T`: with output noise of covariance `2 dt diffusion` in place of `2 dt I` its stationary law
  /// is again that of the score. `diffusion` `[D, D]` symmetric; `J` as above, or empty for none.
  RunnableNetwork(const SamplingNetwork& network, MatrixView<const float> J, MatrixView<const double> diffusion);
  const NetworkView& view() const { return view_; }
  RunnableNetwork(RunnableNetwork&&) = default;
  RunnableNetwork& operator=(RunnableNetwork&&) = default;

 private:
  void take_energy(const SamplingNetwork& network);

  Matrix<float> W_in_, b_, W_out_, c_, M_;
  NetworkView view_;
};

}  // namespace tarn
