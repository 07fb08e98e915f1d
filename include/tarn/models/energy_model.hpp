// Energy-based models with one hidden layer: the Gaussian-Bernoulli RBM (Hinton 2002; Cho, Ilin, Raiko 2011; Liao et al. 2022) and an
// energy of the same form with other units (docs/rivals.md). Both are a `SamplingNetwork` of kind rbm or ebm.
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn {

/// Fresh weights: `W` uniform in `+-s / sqrt(D + N)` (Liao et al. 2022, section 4, a uniform law in place of the normal one), `b = 0`,
/// `a = 0`, `v = 1`. Words of `Stream::weight_init` as for `initial_network`. Throws `UsageError` for extents below 1, `s` that is not
/// positive and finite, and units that the kind does not have.
SamplingNetwork initial_energy_network(ModelKind kind, Nonlinearity phi, std::int64_t n_outputs, std::int64_t n_units,
                                       double s, std::uint64_t seed);

/// Free energies of rows `x` `[n, D]` in double,
///     F(x) = |x - a|^2 / (2 s^2) - sum_j v_j Phi(b_j + w_j . x / s^2),   p(x) = exp(-F(x)) / Z,
/// Phi = softplus for sigmoid units, log cosh for tanh units. Throws `Error` for a network of another kind and rows of another width.
std::vector<double> free_energies(const SamplingNetwork& network, MatrixView<const float> x);

/// F and its downhill gradient at rows in double, for what moves by it on the host.
class EnergyFunction {
 public:
  /// Throws `Error` for a network that is of another kind or not valid.
  explicit EnergyFunction(const SamplingNetwork& network);
  std::int64_t n_outputs() const { return a_.cols(); }
  std::int64_t n_units() const { return b_.cols(); }
  /// `energy` `[n]` and `force = -dF/dx` `[n, D]` at `x` `[n, D]`; sizes are the caller's.
  void read(const Matrix<double>& x, std::vector<double>& energy, Matrix<double>& force) const;

 private:
  Nonlinearity phi_;
  double precision_;              // 1 / s^2
  Matrix<double> W_, b_, a_, v_;  // W over s^2
};

}  // namespace tarn
