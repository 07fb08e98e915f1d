// What the drift of a network says about chains before they run: the step size that its stiffest direction bears, and whether it
// points inward far from the data.
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/compute/network_view.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn {

/// The largest stable step of `x += dt f(x)` at each of `points` `[n, D+U]`, by the drift's Jacobian there: `I + dt df/dx` multiplies a
/// small deviation, and an eigenvalue `lambda` of the Jacobian with negative real part is stable where `|1 + dt lambda| <= 1`, so for
/// `dt <= -2 Re(lambda) / |lambda|^2`. The smallest over the stiff eigenvalues, those with at least half the largest modulus among the
/// decaying ones; slow ones are left out, since their growth at too large a step is slow as well, and so are growing ones,
/// which no step makes stable. Infinity where nothing decays, NaN where the Jacobian is not finite.
///
/// Eigenvalues, not norms: of a Jacobian that is far from normal, deviations may grow for a while at smaller steps too. They are those of
/// the Jacobian on the Krylov space of at most 32 dimensions from a fixed start (Arnoldi 1951), to which a power iteration is the first
/// step: exact for D <= 32, beyond that the stiffest eigenvalues to some per cent. In reservoir mode the neurons' Jacobian has the same
/// eigenvalues and -1 besides, so steps there must not exceed 2 either.
std::vector<double> stable_steps(const NetworkView& network, MatrixView<const float> points);

/// How fast |x| may grow far from the data.
struct OutwardGrowth {
  /// Largest `u^T f(R u) / R` over unit vectors u as R grows, per unit of time. Below 0 the drift confines: it points inward from
  /// everywhere far out. Above 0 it points outward along `direction`, however far out, and chains that get there may explode.
  double rate = 0.0;
  std::vector<double> direction;  ///< `[D]`, the unit vector u where that is so
};

/// At large |x| the rectifiers' drift is linear in |x|: `f(R u) / R -> (-u + phi(u W_in^T) W_out^T) M^T` without biases, for softplus
/// with relu in its place; the bounded nonlinearities add nothing, so with M = I their rate is -1. Found by ascent on the sphere, from
/// `n_starts` directions: half of them the incoming weights of the neurons that push outward most, half random with a fixed seed. The
/// rate is that of a direction, so never too large, but there may be a larger one; exact for D = 1. Throws `Error` for weights
/// that are not finite.
OutwardGrowth outward_growth(const NetworkView& network, std::int64_t n_starts = 16);

}  // namespace tarn
