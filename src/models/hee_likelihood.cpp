#include "tarn/models/hee_likelihood.hpp"

#include <numeric>
#include <optional>

#include "importance_weights.hpp"
#include "latent_energy.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/models/hee_model.hpp"

namespace tarn {
namespace {

constexpr std::int64_t block_chains = 64;  // fixed, so that nothing depends on the number of threads
constexpr std::int64_t pilot_chains = 128, pilot_moves = 200;
constexpr std::uint64_t first_pilot_chain = std::uint64_t{1} << 47;
constexpr std::uint64_t start_draw = 1;  // of Stream::ancestral; draw 0 is for those who look at the model's own draws

// Length of a move, in units of each latent's deviation under the prior.
struct Moves {
  std::vector<std::vector<double>> scale;  // `[n_l]` at [l - 1]
  std::vector<double> step;                // `[n_temperatures]`; a move at temperature k has step[k]
};

// Chains of consecutive numbers on their way from the prior.
class AnnealedChains {
 public:
  AnnealedChains(const HeeParameters& p, const LatentEnergy& energy, const Annealing& settings, std::uint64_t seed,
                 std::uint64_t first_chain, Matrix<float> x_0)
      : energy_(energy), settings_(settings), seed_(seed), first_chain_(first_chain), x_0_(std::move(x_0)) {
    const std::vector<Matrix<float>> start = draw_ancestral(p, seed, first_chain, start_draw, n());
    for (std::size_t l = 1; l < start.size(); ++l) {
      x_.emplace_back(n(), start[l].cols());
      std::copy_n(start[l].data(), start[l].size(), x_.back().data());
    }
    energy_.read(x_0_, x_, now_);
  }

  std::int64_t n() const { return x_0_.rows(); }
  const LatentBlock& x() const { return x_; }
  double log_fit(std::int64_t i) const { return now_.log_fit[static_cast<std::size_t>(i)]; }

  // A move that keeps p(x_1..x_L) p(x_0 | x_1)^beta, with the noise of step `number`. Returns the mean chance of acceptance; `accepted` counts.
  double move(double beta, const Moves& moves, double step, std::uint64_t number, std::int64_t& accepted) {
    const std::int64_t n_units = std::accumulate(
        x_.begin(), x_.end(), std::int64_t{0}, [](std::int64_t sum, const auto& layer) { return sum + layer.cols(); });
    Matrix<float> noise(n(), n_units + 2);
    fill_normals(seed_, Stream::annealing, first_chain_, number, 1, noise);
    Matrix<double> momentum(n(), n_units);
    std::vector<double> lengths, energy_before;
    for (std::int64_t i = 0; i < n(); ++i) {
      std::copy_n(noise.row(i), n_units, momentum.row(i));
      // lengths vary so that no orbit comes back to where it began
      lengths.push_back(step * (0.8 + 0.4 * uniform_of_normal(noise(i, n_units))));
      energy_before.push_back(kinetic(momentum, i) - log_density(now_, i, beta));
    }
    LatentBlock x = x_;
    LatentReading there = now_;
    for (int s = 0; s < settings_.leapfrog_steps; ++s) {
      kick(there, beta, moves, lengths, 0.5, momentum);
      drift(moves, lengths, momentum, x);
      energy_.read(x_0_, x, there);
      kick(there, beta, moves, lengths, 0.5, momentum);
    }
    double chances = 0.0;
    for (std::int64_t i = 0; i < n(); ++i) {
      const double gain =
          energy_before[static_cast<std::size_t>(i)] - kinetic(momentum, i) + log_density(there, i, beta);
      const double chance = std::isnan(gain) ? 0.0 : std::min(1.0, std::exp(gain));
      chances += chance;
      if (!(uniform_of_normal(noise(i, n_units + 1)) < chance)) continue;
      ++accepted;
      accept(i, x, there);
    }
    return chances / static_cast<double>(n());
  }

 private:
  const LatentEnergy& energy_;
  const Annealing& settings_;
  std::uint64_t seed_, first_chain_;
  Matrix<float> x_0_;
  LatentBlock x_;
  LatentReading now_;

  static double log_density(const LatentReading& r, std::int64_t i, double beta) {
    return r.log_prior[static_cast<std::size_t>(i)] + beta * r.log_fit[static_cast<std::size_t>(i)];
  }
  static double kinetic(const Matrix<double>& momentum, std::int64_t i) {
    const double* p = momentum.row(i);
    return 0.5 * std::inner_product(p, p + momentum.cols(), p, 0.0);
  }
  static void kick(const LatentReading& r, double beta, const Moves& moves, const std::vector<double>& lengths,
                   double share, Matrix<double>& momentum) {
    for (std::int64_t i = 0; i < momentum.rows(); ++i) {
      double* p = momentum.row(i);
      for (std::size_t l = 0; l < r.force.size(); ++l) {
        for (std::int64_t j = 0; j < r.force[l].cols(); ++j, ++p) {
          const double force = r.force[l](i, j) + (l == 0 ? beta * r.fit_force(i, j) : 0.0);
          *p += share * lengths[static_cast<std::size_t>(i)] * moves.scale[l][static_cast<std::size_t>(j)] * force;
        }
      }
    }
  }
  void drift(const Moves& moves, const std::vector<double>& lengths, Matrix<double>& momentum, LatentBlock& x) const {
    for (std::int64_t i = 0; i < momentum.rows(); ++i) {
      double* p = momentum.row(i);
      for (std::size_t l = 0; l < x.size(); ++l) {
        const double least = energy_.family(static_cast<std::int64_t>(l) + 1).least();
        for (std::int64_t j = 0; j < x[l].cols(); ++j, ++p) {
          double& state = x[l](i, j);
          state += lengths[static_cast<std::size_t>(i)] * moves.scale[l][static_cast<std::size_t>(j)] * *p;
          if (state >= least || !std::isfinite(least)) continue;
          state = 2.0 * least - state;  // off the wall: the move stays reversible and keeps volumes
          *p = -*p;
        }
      }
    }
  }
  void accept(std::int64_t i, const LatentBlock& x, const LatentReading& there) {
    const auto row = static_cast<std::size_t>(i);
    now_.log_prior[row] = there.log_prior[row];
    now_.log_fit[row] = there.log_fit[row];
    std::copy_n(there.fit_force.row(i), there.fit_force.cols(), now_.fit_force.row(i));
    for (std::size_t l = 0; l < x.size(); ++l) {
      std::copy_n(x[l].row(i), x[l].cols(), x_[l].row(i));
      std::copy_n(there.force[l].row(i), there.force[l].cols(), now_.force[l].row(i));
    }
  }
};

Matrix<float> rows_of(MatrixView<const float> x_0, std::int64_t n, auto datum) {
  Matrix<float> rows(n, x_0.cols);
  for (std::int64_t i = 0; i < n; ++i) std::copy_n(x_0.row(datum(i)), x_0.cols, rows.row(i));
  return rows;
}

// Steps that are accepted about as often as is wanted, from chains of their own: those of the estimate must not set their own.
Moves pilot(const HeeParameters& p, const LatentEnergy& energy, MatrixView<const float> x_0, const Annealing& settings,
            std::uint64_t seed) {
  AnnealedChains chains(p, energy, settings, seed, first_pilot_chain,
                        rows_of(x_0, pilot_chains, [&](std::int64_t i) { return i * x_0.rows / pilot_chains; }));
  Moves moves;
  for (const Matrix<double>& layer : chains.x()) {
    moves.scale.emplace_back();
    for (std::int64_t j = 0; j < layer.cols(); ++j) {
      double mean = 0.0, square = 0.0;
      for (std::int64_t i = 0; i < layer.rows(); ++i) mean += layer(i, j) / static_cast<double>(layer.rows());
      for (std::int64_t i = 0; i < layer.rows(); ++i) square += (layer(i, j) - mean) * (layer(i, j) - mean);
      moves.scale.back().push_back(std::max(1e-6, std::sqrt(square / static_cast<double>(layer.rows() - 1))));
    }
  }
  const std::int64_t each = std::max<std::int64_t>(1, pilot_moves / settings.n_temperatures);
  double step = 0.5;
  std::uint64_t number = 0;
  std::int64_t accepted = 0;
  moves.step.push_back(step);
  for (std::int64_t k = 1; k < settings.n_temperatures; ++k) {
    for (std::int64_t m = 0; m < each; ++m) {
      const double chance =
          chains.move(inverse_temperature(k, settings.n_temperatures), moves, step, number++, accepted);
      step *= std::exp(0.3 * (chance - settings.wanted_acceptance));
    }
    moves.step.push_back(step);
  }
  return moves;
}

void check(const HeeParameters& p, MatrixView<const float> x_0, const Annealing& a) {
  check_hee_parameters(p);
  require(x_0.rows >= 1 && x_0.cols == p.layers.front().size,
          "likelihood: data of {} x {} for a model of {} observed units", x_0.rows, x_0.cols, p.layers.front().size);
  require(a.n_temperatures >= 2, "likelihood: needs 2 temperatures or more, found {}", a.n_temperatures);
  require(a.chains_per_datum >= 2, "likelihood: needs 2 chains a datum or more, found {}", a.chains_per_datum);
  require(a.leapfrog_steps >= 1, "likelihood: needs 1 leapfrog step or more, found {}", a.leapfrog_steps);
  require(a.wanted_acceptance > 0.0 && a.wanted_acceptance < 1.0,
          "likelihood: the wanted acceptance is {}; allowed: above 0, below 1", a.wanted_acceptance);
  require(static_cast<std::uint64_t>(x_0.rows) < first_pilot_chain / static_cast<std::uint64_t>(a.chains_per_datum),
          "likelihood: {} data of {} chains are too many", x_0.rows, a.chains_per_datum);
  for (std::int64_t i = 0; i < x_0.size(); ++i)
    require(std::isfinite(x_0.data[i]), "likelihood: datum {} holds {}; data must be finite", i / x_0.cols,
            x_0.data[i]);
}

}  // namespace

LikelihoodEstimate annealed_log_likelihood(const HeeParameters& parameters, MatrixView<const float> x_0,
                                           const Annealing& annealing, std::uint64_t seed) {
  check(parameters, x_0, annealing);
  const LatentEnergy energy(parameters);
  const std::int64_t M = annealing.chains_per_datum, n = x_0.rows * M, K = annealing.n_temperatures;
  const Moves moves = pilot(parameters, energy, x_0, annealing, seed);
  std::vector<double> log_weight(static_cast<std::size_t>(n), 0.0);
  std::int64_t accepted = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : accepted)
  for (std::int64_t begin = 0; begin < n; begin += block_chains) {
    const std::int64_t size = std::min(block_chains, n - begin);
    AnnealedChains chains(parameters, energy, annealing, seed, static_cast<std::uint64_t>(begin),
                          rows_of(x_0, size, [&](std::int64_t i) { return (begin + i) / M; }));
    for (std::int64_t k = 1; k <= K; ++k) {
      const double beta = inverse_temperature(k, K), rise = beta - inverse_temperature(k - 1, K);
      for (std::int64_t i = 0; i < size; ++i)
        log_weight[static_cast<std::size_t>(begin + i)] += rise * chains.log_fit(i);
      if (k < K)
        chains.move(beta, moves, moves.step[static_cast<std::size_t>(k)], static_cast<std::uint64_t>(k), accepted);
    }
  }

  LikelihoodEstimate estimate;
  estimate.acceptance = static_cast<double>(accepted) / static_cast<double>(n * (K - 1));
  double variance = 0.0;
  for (std::int64_t i = 0; i < x_0.rows; ++i) {
    const WeightSummary weights =
        summary_of_weights(std::span(log_weight).subspan(static_cast<std::size_t>(i * M), static_cast<std::size_t>(M)));
    estimate.log_likelihood.push_back(weights.log_mean);
    estimate.standard_error.push_back(std::sqrt(weights.squared_error));
    estimate.effective_chains.push_back(weights.effective);
    estimate.mean += estimate.log_likelihood.back() / static_cast<double>(x_0.rows);
    variance += weights.squared_error / static_cast<double>(x_0.rows) / static_cast<double>(x_0.rows);
  }
  estimate.mean_error = std::sqrt(variance);
  return estimate;
}

}  // namespace tarn
