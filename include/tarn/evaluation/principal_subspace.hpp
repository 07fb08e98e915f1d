// What the best linear-Gaussian model of given size reaches on data: probabilistic PCA (Tipping and Bishop 1999, J. R. Statist. Soc. B
// 61:611), and how near given weights come to its subspace.
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// The largest mean log density, in nats, that any model `x = W z + b + s xi` with `n_latents` standard normal latents and this `s` reaches
/// on data whose covariance has these eigenvalues (in falling order, the first ones of `n_outputs`) and this trace.
double best_log_likelihood(const std::vector<double>& eigenvalues, double trace, std::int64_t n_outputs,
                           std::int64_t n_latents, double s);

/// Sine of the largest angle between `directions` `[D, q]` (orthonormal columns) and the space that the columns of `W` `[D, n]` span; 0:
/// they lie in it. Throws `Error` where rows differ.
double subspace_distance(MatrixView<const float> W, MatrixView<const float> directions);

}  // namespace tarn
