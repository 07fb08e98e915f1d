// What the length of the step does to the law that chains sample: the same chains with steps dt and dt/2, driven by one Brownian path, so that
// noise cancels in their difference (docs/diagnostics.md).
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "tarn/compute/backend.hpp"

namespace tarn {

/// `network` must be prepared by the backend that runs it.
struct HalfStepPlan {
  const PreparedNetwork* network = nullptr;
  Integrator integrator = Integrator::euler_maruyama;
  double dt = 0.0;                                         ///< > 0: the longer step
  double friction = 0.0;                                   ///< gamma > 0, `baoab` only
  double bound = std::numeric_limits<double>::infinity();  ///< chains with |x| beyond it are lost
  std::int64_t n_steps = 0;                                ///< of length dt; the second half of them is looked at
  std::uint64_t seed = 0;
  std::uint64_t first_chain = 0;     ///< number of row 0 in the noise
  MatrixView<const float> start;     ///< `[n_chains, D]`, for both
  MatrixView<const float> inputs{};  ///< `[n_chains, U]`, or empty
  MatrixView<const float> clamp{};   ///< `[1 or n_chains, D]`: finite entries hold an output; or empty
};

/// A difference "dt less dt/2", from averages over time within each chain, and its standard error from their spread between chains.
struct PairedChange {
  double value = 0.0, error = 0.0;
};

struct HalfStepCheck {
  std::int64_t n_chains = 0;              ///< that stayed well with both steps
  std::int64_t n_lost = 0;                ///< by either; they take no part
  double time = 0.0;                      ///< that each was run
  std::vector<PairedChange> mean;         ///< `[D]`
  std::vector<PairedChange> mean_square;  ///< `[D]`, of x about the mean of `start`
  std::vector<double> spread;             ///< `[D]`, that mean square with step dt/2
  PairedChange total;                     ///< of |x - mean|^2, as a share of what it is with step dt/2
  double path =
      0.0;  ///< root mean square of |x_dt - x_{dt/2}| as a share of the root mean square of |x - mean|; above 1 the paths are
            ///< strangers to each other
};

/// A step's normal is `first xi_1 + second xi_2`, xi those of the two halves of it; first^2 + second^2 = 1.
struct HalfNormals {
  double first = 0.0, second = 0.0;
};
/// Plain dynamics add the halves up, as Brownian increments do; with momentum it is what two Ornstein-Uhlenbeck steps of `dt/2` come to. `friction` is of
/// no meaning but for `baoab`.
HalfNormals half_normals(Integrator integrator, double dt, double friction);

/// With step dt the noise of a step is made of that of the two steps of dt/2 in its place: their sum over sqrt(2) for the plain
/// dynamics, and with momentum what two Ornstein-Uhlenbeck steps of half the length add up to. Figures are NaN where fewer than two chains stay well.
/// Throws `Error` where shapes do not fit or a number is out of range.
HalfStepCheck check_half_step(Backend& backend, const HalfStepPlan& plan);

/// By how much the law with step dt is off, where the error is of that order in dt: `change` times `2^order / (2^order - 1)`.
double extrapolated(double change, int order);

}  // namespace tarn
