// Closed forms of the linear-Gaussian model x_0 = W x_1 + b + s xi, x_1 ~ N(m, s_1^2 I): what an HEE model of one Gaussian layer must agree
// with. Its best likelihood is that of probabilistic PCA (Tipping and Bishop 1999, J. R. Statist. Soc. B 61:611).
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn {

class LinearGaussian {
 public:
  /// `W` `[D, n]`, `b` `[D]`, `m` `[n]`; `s`, `s_1` > 0. Throws `Error` where shapes do not fit.
  LinearGaussian(Matrix<double> W, std::vector<double> b, std::vector<double> m, double s, double s_1);

  std::int64_t n_outputs() const { return W_.rows(); }
  std::int64_t n_latents() const { return W_.cols(); }
  /// Posterior means `[n_rows, n]` of the latents given rows `x` `[n_rows, D]`.
  Matrix<double> posterior_means(MatrixView<const float> x) const;
  /// Posterior covariance `[n, n]`, the same for every row.
  Matrix<double> posterior_covariance() const;
  /// Mean log density of rows `[n_rows, D]`, in nats.
  double log_likelihood(MatrixView<const float> x) const;
  /// Sine of the largest angle between `directions` `[D, q]` (orthonormal columns) and the space that W spans; 0: they lie in it.
  double distance_to(MatrixView<const float> directions) const;

 private:
  std::vector<double> message(const float* row, std::vector<double>& residual) const;

  Matrix<double> W_;
  std::vector<double> b_, m_;
  double s_, s_1_;
  Matrix<double> factor_;  ///< Cholesky factor of the posterior precision W^T W / s^2 + I / s_1^2
};

/// The largest mean log density that any such model with `n_latents` latents and this `s` reaches on data whose covariance has these
/// eigenvalues (in falling order, the first ones of `n_outputs`) and this trace.
double best_log_likelihood(const std::vector<double>& eigenvalues, double trace, std::int64_t n_outputs,
                           std::int64_t n_latents, double s);

}  // namespace tarn
