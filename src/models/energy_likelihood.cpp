#include "tarn/models/energy_likelihood.hpp"

#include <numbers>

#include "hamiltonian_move.hpp"
#include "importance_weights.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/models/energy_model.hpp"

namespace tarn {
namespace {

constexpr std::int64_t block_chains = 16;  // fixed, so that nothing depends on the number of threads
constexpr std::int64_t pilot_chains = 32;
constexpr std::uint64_t far_chains = std::uint64_t{1} << 47;  // of the pilot, and of hidden units

double softplus(double u) { return std::max(u, 0.0) + std::log1p(std::exp(-std::abs(u))); }

double base_energy(const GaussianBase& base, const double* x) {
  double sum = 0.0;
  for (std::size_t d = 0; d < base.mean.size(); ++d) {
    const double z = (x[d] - base.mean[d]) / base.deviation[d];
    sum += 0.5 * z * z;
  }
  return sum;
}
double log_base_partition(const GaussianBase& base) {
  double sum = 0.5 * static_cast<double>(base.mean.size()) * std::log(2.0 * std::numbers::pi);
  for (const double deviation : base.deviation) sum += std::log(deviation);
  return sum;
}

// Exact draws of the base, with the noise of step 0 of the chains.
Matrix<double> base_draws(const GaussianBase& base, std::uint64_t seed, std::uint64_t first_chain, std::int64_t n) {
  const auto D = std::ssize(base.mean);
  Matrix<float> noise(n, D + 2);
  fill_normals(seed, Stream::annealing, first_chain, 0, 1, noise);
  Matrix<double> x(n, D);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t d = 0; d < D; ++d) {
      const auto at = static_cast<std::size_t>(d);
      x(i, d) = base.mean[at] + base.deviation[at] * static_cast<double>(noise(i, d));
    }
  }
  return x;
}

// Chains of an rbm on their way. Between the laws k - 1 and k a chain gains weight at x alone: hidden units are summed out.
class GibbsChains {
 public:
  GibbsChains(const SamplingNetwork& network, const GaussianBase& base, std::uint64_t seed, std::uint64_t first_chain,
              std::int64_t n)
      : network_(network),
        base_(base),
        seed_(seed),
        first_chain_(first_chain),
        x_(base_draws(base, seed, first_chain, n)),
        u_(n, network.n_neurons()) {
    read_units();
  }

  // log p_beta(x) summed over h, without log Z_beta.
  double log_density(std::int64_t i, double beta) const {
    double off = 0.0, units = 0.0;
    for (std::int64_t d = 0; d < x_.cols(); ++d) {
      const double e = x_(i, d) - static_cast<double>(network_.a(0, d));
      off += e * e;
    }
    for (std::int64_t j = 0; j < u_.cols(); ++j) units += softplus(beta * u_(i, j));
    return -(1.0 - beta) * base_energy(base_, x_.row(i)) - 0.5 * beta * precision() * off + units;
  }

  void sweep(double beta, std::uint64_t step) {
    const std::int64_t n = x_.rows(), D = x_.cols(), N = u_.cols();
    Matrix<std::uint32_t> words(n, N);
    fill_words(seed_, Stream::particle_units, far_chains + first_chain_, step, 1, words);
    Matrix<float> normals(n, D + 2);
    fill_normals(seed_, Stream::annealing, first_chain_, step, 1, normals);
    std::vector<double> pull(static_cast<std::size_t>(D));
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t d = 0; d < D; ++d) pull[static_cast<std::size_t>(d)] = network_.a(0, d);
      for (std::int64_t j = 0; j < N; ++j) {
        if (!(uniform_from_word(words(i, j)) < 1.0 / (1.0 + std::exp(-beta * u_(i, j))))) continue;
        const float* w = network_.W_in.row(j);
        for (std::int64_t d = 0; d < D; ++d) pull[static_cast<std::size_t>(d)] += static_cast<double>(w[d]);
      }
      for (std::int64_t d = 0; d < D; ++d) {
        const auto at = static_cast<std::size_t>(d);
        const double of_base = (1.0 - beta) / (base_.deviation[at] * base_.deviation[at]);
        const double of_model = beta * precision(), both = of_base + of_model;
        x_(i, d) = (of_base * base_.mean[at] + of_model * pull[at]) / both +
                   static_cast<double>(normals(i, d)) / std::sqrt(both);
      }
    }
    read_units();
  }

 private:
  double precision() const { return 1.0 / (network_.s * network_.s); }
  void read_units() {
    for (std::int64_t i = 0; i < x_.rows(); ++i) {
      for (std::int64_t j = 0; j < u_.cols(); ++j) {
        const float* w = network_.W_in.row(j);
        double sum = 0.0;
        for (std::int64_t d = 0; d < x_.cols(); ++d) sum += static_cast<double>(w[d]) * x_(i, d);
        u_(i, j) = static_cast<double>(network_.b(0, j)) + precision() * sum;
      }
    }
  }

  const SamplingNetwork& network_;
  const GaussianBase& base_;
  std::uint64_t seed_, first_chain_;
  Matrix<double> x_, u_;
};

// States of an energy, and what it says of them.
struct State {
  explicit State(Matrix<double> start)
      : x(std::move(start)), force(x.rows(), x.cols()), energy(static_cast<std::size_t>(x.rows())) {}
  Matrix<double> x, force;
  std::vector<double> energy;
};

// log p_beta(x) of chain i, without log Z_beta.
double log_tempered(const GaussianBase& base, const State& state, std::int64_t i, double beta) {
  return -(1.0 - beta) * base_energy(base, state.x.row(i)) - beta * state.energy[static_cast<std::size_t>(i)];
}

// exp(-(1 - beta) E_base - beta F), to be moved in.
class TemperedEnergy {
 public:
  TemperedEnergy(const EnergyFunction& energy, double s, const GaussianBase& base, std::int64_t n_chains, double beta)
      : energy_(energy), base_(base), n_chains_(n_chains), beta_(beta) {
    for (const double deviation : base.deviation)
      scale_.push_back(1.0 / std::sqrt((1.0 - beta) / (deviation * deviation) + beta / (s * s)));
  }
  std::int64_t n_chains() const { return n_chains_; }
  std::int64_t n_units() const { return std::ssize(scale_); }
  double log_density(const State& state, std::int64_t i) const { return log_tempered(base_, state, i, beta_); }
  void kick(const State& state, const std::vector<double>& lengths, Matrix<double>& momentum) const {
    for (std::int64_t i = 0; i < momentum.rows(); ++i) {
      for (std::int64_t d = 0; d < momentum.cols(); ++d) {
        const auto k = static_cast<std::size_t>(d);
        const double to_base = (base_.mean[k] - state.x(i, d)) / (base_.deviation[k] * base_.deviation[k]);
        momentum(i, d) += 0.5 * lengths[static_cast<std::size_t>(i)] * scale_[k] *
                          ((1.0 - beta_) * to_base + beta_ * state.force(i, d));
      }
    }
  }
  void drift(const std::vector<double>& lengths, const Matrix<double>& momentum, State& state) const {
    for (std::int64_t i = 0; i < momentum.rows(); ++i) {
      for (std::int64_t d = 0; d < momentum.cols(); ++d)
        state.x(i, d) += lengths[static_cast<std::size_t>(i)] * scale_[static_cast<std::size_t>(d)] * momentum(i, d);
    }
    energy_.read(state.x, state.energy, state.force);
  }
  void accept(std::int64_t i, const State& there, State& now) const {
    std::copy_n(there.x.row(i), n_units(), now.x.row(i));
    std::copy_n(there.force.row(i), n_units(), now.force.row(i));
    now.energy[static_cast<std::size_t>(i)] = there.energy[static_cast<std::size_t>(i)];
  }

 private:
  const EnergyFunction& energy_;
  const GaussianBase& base_;
  std::int64_t n_chains_;
  double beta_;
  std::vector<double> scale_;
};

// Chains of any energy, by Hamiltonian moves.
class HamiltonianChains {
 public:
  HamiltonianChains(const EnergyFunction& energy, double s, const GaussianBase& base, const Annealing& settings,
                    std::uint64_t seed, std::uint64_t first_chain, std::int64_t n)
      : energy_(energy),
        s_(s),
        base_(base),
        settings_(settings),
        seed_(seed),
        first_chain_(first_chain),
        now_(base_draws(base, seed, first_chain, n)) {
    energy_.read(now_.x, now_.energy, now_.force);
  }

  double log_density(std::int64_t i, double beta) const { return log_tempered(base_, now_, i, beta); }

  // Keeps p_beta. Returns the mean chance of acceptance; `accepted` counts.
  double move(double beta, double step, std::uint64_t number, std::int64_t& accepted) {
    const TemperedEnergy law(energy_, s_, base_, now_.x.rows(), beta);
    return hamiltonian_move(law, now_, {seed_, first_chain_, number}, step, settings_.leapfrog_steps, accepted);
  }

 private:
  const EnergyFunction& energy_;
  double s_;
  const GaussianBase& base_;
  const Annealing& settings_;
  std::uint64_t seed_, first_chain_;
  State now_;
};

// Steps of each temperature, from chains of their own; step 0 of the noise is where they start.
std::vector<double> pilot(const EnergyFunction& energy, double s, const GaussianBase& base, const Annealing& settings,
                          std::uint64_t seed) {
  HamiltonianChains chains(energy, s, base, settings, seed, far_chains, pilot_chains);
  std::int64_t accepted = 0;
  return pilot_steps(settings, 1, [&](double beta, double step, std::uint64_t number) {
    return chains.move(beta, step, number, accepted);
  });
}

// Walks blocks of chains through all temperatures: `make(first, n)` starts a block, `move(block, k, beta)` keeps law k.
template <class Make, class Move>
std::vector<double> log_weights(const Annealing& settings, Make make, Move move) {
  const std::int64_t n = settings.chains_per_datum, K = settings.n_temperatures;
  std::vector<double> weights(static_cast<std::size_t>(n), 0.0);
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t begin = 0; begin < n; begin += block_chains) {
    const std::int64_t size = std::min(block_chains, n - begin);
    auto chains = make(static_cast<std::uint64_t>(begin), size);
    for (std::int64_t k = 1; k <= K; ++k) {
      const double before = inverse_temperature(k - 1, K), beta = inverse_temperature(k, K);
      for (std::int64_t i = 0; i < size; ++i)
        weights[static_cast<std::size_t>(begin + i)] += chains.log_density(i, beta) - chains.log_density(i, before);
      if (k < K) move(chains, k, beta);
    }
  }
  return weights;
}

void check(const SamplingNetwork& network, const GaussianBase& base, const Annealing& a) {
  network.validate();
  require(is_energy_based(network.kind), "a {} has no log Z; expected an rbm or an ebm", name_of(network.kind));
  require(std::ssize(base.mean) == network.n_outputs && base.deviation.size() == base.mean.size(),
          "likelihood: a base of {} dimensions for a model of {} outputs", base.mean.size(), network.n_outputs);
  for (const double deviation : base.deviation)
    require(std::isfinite(deviation) && deviation > 0.0, "likelihood: the base has a deviation of {}", deviation);
  check_annealing(a, "chains");
}

}  // namespace

GaussianBase gaussian_base(MatrixView<const float> rows, double least) {
  require(rows.rows >= 2, "a base needs 2 rows or more, found {}", rows.rows);
  GaussianBase base;
  for (std::int64_t d = 0; d < rows.cols; ++d) {
    double sum = 0.0, squares = 0.0;
    for (std::int64_t i = 0; i < rows.rows; ++i) sum += static_cast<double>(rows(i, d));
    const double mean = sum / static_cast<double>(rows.rows);
    for (std::int64_t i = 0; i < rows.rows; ++i) {
      const double off = static_cast<double>(rows(i, d)) - mean;
      squares += off * off;
    }
    base.mean.push_back(mean);
    base.deviation.push_back(std::max(least, std::sqrt(squares / static_cast<double>(rows.rows - 1))));
  }
  return base;
}

std::vector<double> log_density(const GaussianBase& base, MatrixView<const float> rows) {
  require(rows.cols == std::ssize(base.mean), "a base of {} dimensions, rows of {}", base.mean.size(), rows.cols);
  const double log_z = log_base_partition(base);
  std::vector<double> result, x(base.mean.size());
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    std::copy_n(rows.row(i), rows.cols, x.begin());
    result.push_back(-base_energy(base, x.data()) - log_z);
  }
  return result;
}

LogPartition annealed_log_partition(const SamplingNetwork& network, const GaussianBase& base,
                                    const Annealing& annealing, std::uint64_t seed) {
  check(network, base, annealing);
  LogPartition result;
  result.value = log_base_partition(base);
  std::vector<double> weights;
  if (network.kind == ModelKind::rbm) {
    result.value +=
        static_cast<double>(network.n_neurons()) * std::numbers::ln2;  // units of the base: all states alike
    weights = log_weights(
        annealing, [&](std::uint64_t first, std::int64_t n) { return GibbsChains(network, base, seed, first, n); },
        [](GibbsChains& chains, std::int64_t k, double beta) { chains.sweep(beta, static_cast<std::uint64_t>(k)); });
  } else {
    const EnergyFunction energy(network);
    const std::vector<double> steps = pilot(energy, network.s, base, annealing, seed);
    std::int64_t accepted = 0;
    weights = log_weights(
        annealing,
        [&](std::uint64_t first, std::int64_t n) {
          return HamiltonianChains(energy, network.s, base, annealing, seed, first, n);
        },
        [&](HamiltonianChains& chains, std::int64_t k, double beta) {
          std::int64_t here = 0;
          chains.move(beta, steps[static_cast<std::size_t>(k)], static_cast<std::uint64_t>(k), here);
#pragma omp atomic
          accepted += here;
        });
    result.acceptance = static_cast<double>(accepted) /
                        static_cast<double>(annealing.chains_per_datum * (annealing.n_temperatures - 1));
  }
  const WeightSummary summary = summary_of_weights(weights);
  result.value += summary.log_mean;
  result.standard_error = std::sqrt(summary.squared_error);
  result.effective_chains = summary.effective;
  return result;
}

}  // namespace tarn
