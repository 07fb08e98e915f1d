// The linear-Gaussian model of one latent layer, where everything is known in closed form: what inference and learning are tested against.
#pragma once

#include <span>

#include "tarn/compute/hee.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn {

/// `x_1 ~ N(b_1, s_1^2)`, `x_0 | x_1 ~ N(W x_1 + b_0, s_0^2)`. All functions throw `Error` unless the model has one latent layer, both
/// layers are `gaussian`, and there is no nonlinearity.
struct GaussianPosterior {
  Matrix<double> covariance;  ///< of x_1 given x_0 `[n_1, n_1]`: the inverse of `W^T W / s_0^2 + 1 / s_1^2`
  Matrix<double> gain;        ///< `[n_1, n_0]`
  Matrix<double> offset;      ///< `[1, n_1]`; the mean of x_1 given x_0 is `offset + gain x_0`
};
GaussianPosterior gaussian_posterior(const HeeParameters& parameters);

/// Mean over the rows of `x_0` `[n, n_0]` of `log p(x_0)`, in nats: `x_0 ~ N(W b_1 + b_0, s_0^2 + s_1^2 W W^T)`.
double gaussian_log_likelihood(const HeeParameters& parameters, MatrixView<const float> x_0);

/// The stationary covariance of `(x_1, e)` `[n_1 + n_0, n_1 + n_0]` given any x_0 (the mean is the posterior's), e the mean over a unit's
/// interneurons; of x_1 alone `[n_1, n_1]` with exact interneurons.
/// `scheme`: of the discrete-time process that Euler-Maruyama with these settings is, to rounding (discrete Lyapunov equation);
/// `continuous`: of the stochastic differential equation with this `tau_ratio` and `per_unit`, where `dt` and `substeps` do not matter.
/// Throws `Error` where the process has no stationary law, and for other integrators or adaptation.
enum class LyapunovKind { scheme, continuous };
Matrix<double> lyapunov_covariance(const HeeParameters& parameters, const HeeDynamics& dynamics, LyapunovKind kind);

/// By how much interneurons inflate the posterior variance along a direction in which `W^T W` is `squared_gain`, in continuous time:
/// `1 + squared_gain (rho + rho / M) / (1 + rho s_0^2 / s_1^2)` with `rho = tau_ratio`; the law of averaging says 1 as rho -> 0.
double interneuron_heating(double squared_gain, double s_0, double s_1, double tau_ratio, int per_unit);

}  // namespace tarn
