// Moves of Hamiltonian Monte Carlo with an acceptance test (Duane et al. 1987; Neal 2011), many chains at once, and the pilot run that sets
// their steps: what annealed importance sampling of every model shares.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "importance_weights.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/models/hee_likelihood.hpp"

namespace tarn {

/// Which noise a move takes: row i has that of chain `first_chain + i` at step `number` of `Stream::annealing`.
struct MoveNoise {
  std::uint64_t seed = 0, first_chain = 0, number = 0;
};

/// Moves chains by a law that `law` knows, and keeps it. Masses are 1: units of another scale are scaled by the law. `State` is copied for the way
/// there; of `law`
///     n_chains(), n_units()
///     log_density(state, i)             of chain i, up to a constant
///     kick(state, lengths, momentum)    half a step of the momenta `[n_chains, n_units]`, `lengths` one for each chain
///     drift(lengths, momentum, state)   a step of the state, forces read anew
///     accept(i, there, now)             copies chain i
/// Returns the mean chance of acceptance and adds those that were accepted to `accepted`.
template <class Law, class State>
double hamiltonian_move(const Law& law, State& now, const MoveNoise& noise, double step, int leapfrog_steps,
                        std::int64_t& accepted) {
  const std::int64_t n = law.n_chains(), n_units = law.n_units();
  Matrix<float> normals(n, n_units + 2);
  fill_normals(noise.seed, Stream::annealing, noise.first_chain, noise.number, 1, normals);
  Matrix<double> momentum(n, n_units);
  const auto log_joint = [&](const State& state, std::int64_t i) {
    const double* p = momentum.row(i);
    return law.log_density(state, i) - 0.5 * std::inner_product(p, p + n_units, p, 0.0);
  };
  std::vector<double> lengths, before;
  for (std::int64_t i = 0; i < n; ++i) {
    std::copy_n(normals.row(i), n_units, momentum.row(i));
    // lengths vary so that no orbit comes back to where it began
    lengths.push_back(step * (0.8 + 0.4 * uniform_of_normal(normals(i, n_units))));
    before.push_back(log_joint(now, i));
  }
  State there = now;
  for (int s = 0; s < leapfrog_steps; ++s) {
    law.kick(there, lengths, momentum);
    law.drift(lengths, momentum, there);
    law.kick(there, lengths, momentum);
  }
  double chances = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double gain = log_joint(there, i) - before[static_cast<std::size_t>(i)];
    const double chance = std::isnan(gain) ? 0.0 : std::min(1.0, std::exp(gain));
    chances += chance;
    if (!(uniform_of_normal(normals(i, n_units + 1)) < chance)) continue;
    ++accepted;
    law.accept(i, there, now);
  }
  return chances / static_cast<double>(n);
}

/// Steps `[n_temperatures]` that are accepted about as often as is wanted. `move(beta, step, number)` moves chains of a pilot run, whose noise begins
/// at `first_number`, and returns their mean chance: chains of an estimate must not set their own steps.
template <class Move>
std::vector<double> pilot_steps(const Annealing& settings, std::uint64_t first_number, Move move) {
  constexpr std::int64_t n_moves = 200;
  const std::int64_t each = std::max<std::int64_t>(1, n_moves / settings.n_temperatures);
  double step = 0.5;
  std::vector<double> steps{step};
  for (std::int64_t k = 1; k < settings.n_temperatures; ++k) {
    for (std::int64_t m = 0; m < each; ++m) {
      const double chance = move(inverse_temperature(k, settings.n_temperatures), step, first_number++);
      step *= std::exp(0.3 * (chance - settings.wanted_acceptance));
    }
    steps.push_back(step);
  }
  return steps;
}

/// Throws `Error` for settings out of range. `whose` chains: "chains a datum".
inline void check_annealing(const Annealing& a, const char* whose) {
  require(a.n_temperatures >= 2, "likelihood: needs 2 temperatures or more, found {}", a.n_temperatures);
  require(a.chains_per_datum >= 2, "likelihood: needs 2 {} or more, found {}", whose, a.chains_per_datum);
  require(a.leapfrog_steps >= 1, "likelihood: needs 1 leapfrog step or more, found {}", a.leapfrog_steps);
  require(a.wanted_acceptance > 0.0 && a.wanted_acceptance < 1.0,
          "likelihood: the wanted acceptance is {}; allowed: above 0, below 1", a.wanted_acceptance);
}

}  // namespace tarn
