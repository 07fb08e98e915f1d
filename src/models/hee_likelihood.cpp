#include "tarn/models/hee_likelihood.hpp"

#include "hamiltonian_move.hpp"
#include "importance_weights.hpp"
#include "latent_energy.hpp"
#include "tarn/models/hee_model.hpp"

namespace tarn {
namespace {

constexpr std::int64_t block_chains = 64;  // fixed, so that nothing depends on the number of threads
constexpr std::int64_t pilot_chains = 128;
constexpr std::uint64_t first_pilot_chain = std::uint64_t{1} << 47;
constexpr std::uint64_t start_draw = 1;  // of Stream::ancestral; draw 0 is for those who look at the model's own draws

// Length of a move, in units of each latent's deviation under the prior.
struct Moves {
  std::vector<std::vector<double>> scale;  // `[n_l]` at [l - 1]
  std::vector<double> step;                // `[n_temperatures]`; a move at temperature k has step[k]
};

// Latents of some chains, and what the model says of them.
struct State {
  LatentBlock x;
  LatentReading reading;
};

// p(x_1..x_L) p(x_0 | x_1)^beta, to be moved in.
class TemperedPosterior {
 public:
  TemperedPosterior(const LatentEnergy& energy, const Matrix<float>& x_0, const Moves& moves, double beta)
      : energy_(energy), x_0_(x_0), moves_(moves), beta_(beta) {
    for (const auto& scale : moves.scale) n_units_ += std::ssize(scale);
  }
  std::int64_t n_chains() const { return x_0_.rows(); }
  std::int64_t n_units() const { return n_units_; }
  double log_density(const State& state, std::int64_t i) const {
    const auto row = static_cast<std::size_t>(i);
    return state.reading.log_prior[row] + beta_ * state.reading.log_fit[row];
  }
  void kick(const State& state, const std::vector<double>& lengths, Matrix<double>& momentum) const {
    const LatentReading& r = state.reading;
    for (std::int64_t i = 0; i < momentum.rows(); ++i) {
      double* p = momentum.row(i);
      for (std::size_t l = 0; l < r.force.size(); ++l) {
        for (std::int64_t j = 0; j < r.force[l].cols(); ++j, ++p) {
          const double force = r.force[l](i, j) + (l == 0 ? beta_ * r.fit_force(i, j) : 0.0);
          *p += 0.5 * lengths[static_cast<std::size_t>(i)] * moves_.scale[l][static_cast<std::size_t>(j)] * force;
        }
      }
    }
  }
  void drift(const std::vector<double>& lengths, Matrix<double>& momentum, State& state) const {
    for (std::int64_t i = 0; i < momentum.rows(); ++i) {
      double* p = momentum.row(i);
      for (std::size_t l = 0; l < state.x.size(); ++l) {
        const double least = energy_.family(static_cast<std::int64_t>(l) + 1).least();
        for (std::int64_t j = 0; j < state.x[l].cols(); ++j, ++p) {
          double& x = state.x[l](i, j);
          x += lengths[static_cast<std::size_t>(i)] * moves_.scale[l][static_cast<std::size_t>(j)] * *p;
          if (x >= least || !std::isfinite(least)) continue;
          x = 2.0 * least - x;  // off the wall: the move stays reversible and keeps volumes
          *p = -*p;
        }
      }
    }
    energy_.read(x_0_, state.x, state.reading);
  }
  void accept(std::int64_t i, const State& there, State& now) const {
    const auto row = static_cast<std::size_t>(i);
    const LatentReading& r = there.reading;
    now.reading.log_prior[row] = r.log_prior[row];
    now.reading.log_fit[row] = r.log_fit[row];
    std::copy_n(r.fit_force.row(i), r.fit_force.cols(), now.reading.fit_force.row(i));
    for (std::size_t l = 0; l < there.x.size(); ++l) {
      std::copy_n(there.x[l].row(i), there.x[l].cols(), now.x[l].row(i));
      std::copy_n(r.force[l].row(i), r.force[l].cols(), now.reading.force[l].row(i));
    }
  }

 private:
  const LatentEnergy& energy_;
  const Matrix<float>& x_0_;
  const Moves& moves_;
  double beta_;
  std::int64_t n_units_ = 0;
};

// Chains of consecutive numbers on their way from the prior.
class AnnealedChains {
 public:
  AnnealedChains(const HeeParameters& p, const LatentEnergy& energy, const Annealing& settings, std::uint64_t seed,
                 std::uint64_t first_chain, Matrix<float> x_0)
      : energy_(energy), settings_(settings), seed_(seed), first_chain_(first_chain), x_0_(std::move(x_0)) {
    const std::int64_t n = x_0_.rows();
    const std::vector<Matrix<float>> start = draw_ancestral(p, seed, first_chain, start_draw, n);
    for (std::size_t l = 1; l < start.size(); ++l) {
      now_.x.emplace_back(n, start[l].cols());
      std::copy_n(start[l].data(), start[l].size(), now_.x.back().data());
    }
    energy_.read(x_0_, now_.x, now_.reading);
  }

  const LatentBlock& x() const { return now_.x; }
  double log_fit(std::int64_t i) const { return now_.reading.log_fit[static_cast<std::size_t>(i)]; }

  // A move that keeps p(x_1..x_L) p(x_0 | x_1)^beta, with the noise of step `number`. Returns the mean chance of acceptance; `accepted` counts.
  double move(double beta, const Moves& moves, double step, std::uint64_t number, std::int64_t& accepted) {
    return hamiltonian_move(TemperedPosterior(energy_, x_0_, moves, beta), now_, {seed_, first_chain_, number}, step,
                            settings_.leapfrog_steps, accepted);
  }

 private:
  const LatentEnergy& energy_;
  const Annealing& settings_;
  std::uint64_t seed_, first_chain_;
  Matrix<float> x_0_;
  State now_;
};

Matrix<float> rows_of(MatrixView<const float> x_0, std::int64_t n, auto datum) {
  Matrix<float> rows(n, x_0.cols);
  for (std::int64_t i = 0; i < n; ++i) std::copy_n(x_0.row(datum(i)), x_0.cols, rows.row(i));
  return rows;
}

// Scales of the latents and steps, from chains of their own.
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
  std::int64_t accepted = 0;
  moves.step = pilot_steps(settings, 0, [&](double beta, double step, std::uint64_t number) {
    return chains.move(beta, moves, step, number, accepted);
  });
  return moves;
}

void check(const HeeParameters& p, MatrixView<const float> x_0, const Annealing& a) {
  check_hee_parameters(p);
  require(x_0.rows >= 1 && x_0.cols == p.layers.front().size,
          "likelihood: data of {} x {} for a model of {} observed units", x_0.rows, x_0.cols, p.layers.front().size);
  check_annealing(a, "chains a datum");
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
