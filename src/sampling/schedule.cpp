#include "tarn/sampling/schedule.hpp"

#include <cmath>

#include "tarn/core/error.hpp"

namespace tarn {

std::int64_t n_draws(const Stage& s) {
  const std::int64_t kept = s.thin > 0 ? s.n_steps / s.thin : 0;
  const bool end_is_kept = s.thin > 0 && s.n_steps % s.thin == 0 && s.n_steps > 0;
  return kept + (s.keep_end && !end_is_kept ? 1 : 0);
}

std::int64_t n_draws(const std::vector<Stage>& stages) {
  std::int64_t n = 0;
  for (const Stage& s : stages) n += n_draws(s);
  return n;
}

std::int64_t n_steps(const std::vector<Stage>& stages) {
  std::int64_t n = 0;
  for (const Stage& s : stages) n += s.n_steps;
  return n;
}

double chain_bound(double factor, double largest_norm, std::int64_t n_outputs, double sigma) {
  return factor * std::sqrt(largest_norm * largest_norm + static_cast<double>(n_outputs) * sigma * sigma);
}

std::vector<Stage> plain_schedule(Stage last_level, std::int64_t burn_in, std::int64_t n_steps, std::int64_t thin) {
  std::vector<Stage> stages;
  if (burn_in > 0) {
    stages.push_back(last_level);
    stages.back().n_steps = burn_in;
    stages.back().thin = 0;
    stages.back().keep_end = false;
  }
  last_level.n_steps = n_steps;
  last_level.thin = thin;
  last_level.keep_end = true;
  stages.push_back(last_level);
  return stages;
}

std::vector<Stage> annealed_schedule(std::vector<Stage> levels, std::int64_t steps_per_level, double dt0,
                                     std::int64_t then_steps, std::int64_t thin, Integrator integrator) {
  require(!levels.empty(), "annealed sampling needs at least one noise level");
  for (Stage& level : levels) {
    if (integrator == Integrator::baoab) {
      level.dt = dt0 * level.sigma;
      level.friction /= level.sigma;
    } else {
      level.dt = dt0 * level.sigma * level.sigma;
    }
    level.n_steps = steps_per_level;
    level.thin = 0;
    level.keep_end = false;
  }
  levels.back().keep_end = true;
  if (then_steps > 0) {
    Stage last = levels.back();
    last.n_steps = then_steps;
    last.thin = thin;
    levels.push_back(last);
  }
  return levels;
}

}  // namespace tarn
