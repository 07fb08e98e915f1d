// What chains do, stage by stage: which weights, which step, what is kept.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tarn/compute/backend.hpp"

namespace tarn {

/// A stretch of a run with one network and one step size.
struct Stage {
  const PreparedNetwork* network = nullptr;
  const PreparedNetwork* score =
      nullptr;         ///< for the final denoising step, where the drift is not the score; else null
  double sigma = 0.0;  ///< noise level of its weights, scaled filter space; used by the final denoising step
  double dt = 0.0;     ///< > 0, in units of tau
  std::int64_t n_steps = 0;
  std::int64_t thin = 0;   ///< a draw is kept after every `thin` steps of the stage; 0 = none
  bool keep_end = false;   ///< a draw is kept after its last step in any case
  double bound = 0.0;      ///< chains with |x| beyond it are quarantined; 0 = not finite only
  std::int64_t watch = 0;  ///< live diagnostics look at the chains after every so many steps of the stage; 0 = never
  double friction = 0.0;   ///< gamma > 0 of chains with momentum, a unit of time; else of no meaning
};

/// Draws that a stage keeps.
std::int64_t n_draws(const Stage& stage);
std::int64_t n_draws(const std::vector<Stage>& stages);
std::int64_t n_steps(const std::vector<Stage>& stages);

/// Largest |x| that is believed at noise level `sigma`: `factor * sqrt(R^2 + D sigma^2)`, R the largest norm in the training data.
double chain_bound(double factor, double largest_norm, std::int64_t n_outputs, double sigma);

/// `burn_in` steps of which nothing is kept, then `n_steps` with a draw every `thin` (0 = the final state only).
std::vector<Stage> plain_schedule(Stage last_level, std::int64_t burn_in, std::int64_t n_steps, std::int64_t thin);

/// Annealed Langevin dynamics (Song and Ermon 2019): each level in turn, largest sigma first, with `dt = dt0 sigma^2`; a draw is kept
/// at the end. `levels` give network, sigma and bound. Then `then_steps` further steps at the last level, with a draw every `thin`.
///
/// Chains with momentum live in another time: what takes them a time `sigma` takes the others `sigma^2`. For them `dt = dt0 sigma` and the
/// friction is `gamma / sigma`, so that a step turns over the same share of v at each level; v itself has one law at all of them.
std::vector<Stage> annealed_schedule(std::vector<Stage> levels, std::int64_t steps_per_level, double dt0,
                                     std::int64_t then_steps, std::int64_t thin,
                                     Integrator integrator = Integrator::euler_maruyama);

}  // namespace tarn
