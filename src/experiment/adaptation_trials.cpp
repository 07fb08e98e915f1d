#include "adaptation_trials.hpp"

#include <algorithm>
#include <cmath>

#include "tarn/core/interrupt.hpp"
#include "tarn/core/log.hpp"
#include "tarn/models/hee_model.hpp"
#include "tarn/models/hee_stability.hpp"

namespace tarn {
namespace {

constexpr double most_bias = 0.05;
constexpr double step_ratio = 1.35, friction_ratio = 2.0;
constexpr double last_share = 0.97;  // nearer to the limit of stability a start takes ever longer to be forgotten

// Few coordinates take more draws, since each of them is judged by its own.
SpeedSettings settings_for(std::int64_t n_coordinates) {
  SpeedSettings settings;
  settings.n_draws = std::clamp<std::int64_t>(20000 / n_coordinates, 600, 2000);
  settings.times_a_run = static_cast<double>(settings.n_draws) / 32.0;
  return settings;
}

}  // namespace

AdaptationLaw gaussian_law(std::int64_t n, double condition, std::int64_t n_chains) {
  // Precision of a latent: 1/s^2 of the prior and w^2 of its observation, which has unit noise.
  constexpr double prior = 0.5;
  AdaptationLaw law;
  law.key = "gaussian";
  law.name = fmt::format("a Gaussian of condition number {:.3g}", condition);
  law.source = "exact";
  law.chains_per_datum = n_chains;
  HeeParameters& p = law.parameters;
  p.layers.resize(2);
  for (HeeLayer& layer : p.layers) layer.size = n;
  p.layers[1].parameters.s = 1.0 / std::sqrt(prior);
  p.W.emplace_back(n, n);
  for (int l = 0; l < 2; ++l) p.b.emplace_back(1, n);
  law.observations = Matrix<float>(1, n);
  law.mean = Matrix<double>(1, n);
  for (std::int64_t k = 0; k < n; ++k) {
    const double wanted = n == 1 ? 1.0 : std::pow(condition, static_cast<double>(k) / static_cast<double>(n - 1));
    p.W[0](k, k) = static_cast<float>(std::sqrt(wanted - prior));
    const double w = p.W[0](k, k), precision = prior + w * w;  // as the chains have it, rounded
    law.observations(0, k) = static_cast<float>(3.0 * std::sqrt(precision) / w);
    law.mean(0, k) = w * law.observations(0, k) / precision;
    law.variance.push_back(1.0 / precision);
  }
  return law;
}

double AdaptationMethod::largest_step(double curvature) const {
  return has_momentum() ? 2.0 / std::sqrt(curvature) : 2.0 / curvature;
}

std::vector<AdaptationMethod> adaptation_methods() {
  return {{"euler_maruyama", "Euler-Maruyama", Integrator::euler_maruyama},
          {"leimkuhler_matthews", "Leimkuhler-Matthews", Integrator::leimkuhler_matthews},
          {"baoab", "with adaptation (BAOAB)", Integrator::baoab}};
}

LawChains::LawChains(const AdaptationLaw& law, Backend& backend, std::uint64_t seed, std::uint64_t first_step)
    : law_(law),
      session_(backend.make_hee_session(law.parameters, {})),
      seed_(seed),
      step_(first_step),
      n_units_(n_units_from(law.parameters, 1)) {
  HeeRows rows;
  rows.n_data = law.observations.rows();
  rows.chains_per_datum = law.chains_per_datum;
  session_->set_rows(rows);
  session_->set_observations(law.observations);
  for (const HeeLayer& layer : law.parameters.layers) state_.emplace_back(n_chains(), layer.size);
  session_->read(0, state_[0]);
}

void LawChains::use(const AdaptationMethod& method, double dt, double friction) {
  dynamics_.integrator = method.integrator;
  dynamics_.dt = static_cast<float>(dt);
  dynamics_.friction = static_cast<float>(friction);
}

void LawChains::start_at_zero() { session_->reset(dynamics_, seed_, step_, 0.0f); }

void LawChains::start_at(const std::vector<Matrix<float>>& latents) {
  start_at_zero();
  for (std::size_t l = 0; l < latents.size(); ++l) session_->write(static_cast<int>(l) + 1, latents[l]);
}

std::vector<Matrix<float>> LawChains::latents() const {
  std::vector<Matrix<float>> all;
  for (std::size_t l = 1; l < state_.size(); ++l) {
    all.emplace_back(state_[l].rows(), state_[l].cols());
    session_->read(static_cast<int>(l), all.back());
  }
  return all;
}

void LawChains::advance(std::int64_t n_steps) {
  HeeSteps steps;
  steps.seed = seed_;
  steps.first_step = step_;
  steps.n_steps = n_steps;
  session_->infer(dynamics_, steps);
  step_ += static_cast<std::uint64_t>(n_steps);
}

void LawChains::read(MatrixView<float> x) {
  std::int64_t first = 0;
  for (std::size_t l = 1; l < state_.size(); ++l) {
    Matrix<float>& layer = state_[l];
    session_->read(static_cast<int>(l), layer);
    for (std::int64_t i = 0; i < layer.rows(); ++i) std::copy_n(layer.row(i), layer.cols(), x.row(i) + first);
    first += layer.cols();
  }
}

void LawChains::read(MatrixView<float> x, std::span<float> energy) {
  read(x);
  std::vector<MatrixView<const float>> layers;
  for (const Matrix<float>& layer : state_) layers.push_back(layer.view());
  std::vector<double> energies(energy.size());
  hee_energy(law_.parameters, layers, energies);
  std::ranges::transform(energies, energy.begin(), [](double e) { return static_cast<float>(e); });
}

bool AdaptationTrial::admissible() const {
  return speed.n_lost == 0 && std::isfinite(speed.worst().time) && std::abs(bias) <= most_bias;
}

const AdaptationTrial* AdaptationSearch::best() const {
  const AdaptationTrial* found = nullptr;
  for (const AdaptationTrial& trial : trials) {
    if (trial.admissible() && (!found || trial.speed.worst().time < found->speed.worst().time)) found = &trial;
  }
  return found;
}

AdaptationSearch search_best_step(const AdaptationMethod& method, const AdaptationLaw& law, Backend& backend,
                                  const std::vector<Matrix<float>>& rest, std::uint64_t seed,
                                  std::uint64_t first_step) {
  AdaptationSearch search{method, {}};
  const double largest = method.largest_step(largest_curvature(law.parameters));
  LawChains chains(law, backend, seed, first_step);
  // The time of a trial, infinite where it is not admissible.
  const auto attempt = [&](double share, double friction) {
    stop_if_interrupted();
    AdaptationTrial trial;
    trial.share = share;
    trial.dt = share * largest;
    trial.friction = friction;
    chains.use(method, trial.dt, friction);
    chains.start_at(rest);
    trial.speed = measure_speed(chains, settings_for(chains.n_coordinates()));
    trial.bias = variance_bias(trial.speed.variance, law.variance);
    const double time = trial.admissible() ? trial.speed.worst().time : std::numeric_limits<double>::infinity();
    info("adaptation: {}, {}: step {:.4g}{}: {:.1f} evaluations, variance {:+.1f} %", law.key, method.key, trial.dt,
         method.has_momentum() ? fmt::format(", friction {:.3g}", friction) : "", trial.speed.worst().time,
         100.0 * trial.bias);
    search.trials.push_back(std::move(trial));
    return time;
  };
  // Goes from `value` by `ratio` as long as that does not make the time clearly longer, and returns the best value.
  const auto climb = [&](double value, double ratio, double least_time, double end, auto&& time_at) {
    double best = value;
    for (value *= ratio; ratio > 1.0 ? value < end : value > end; value *= ratio) {
      const double time = time_at(value);
      if (time < least_time) {
        least_time = time;
        best = value;
      } else if (time > 1.1 * least_time) {
        break;
      }
    }
    return std::pair(best, least_time);
  };

  const double first = method.has_momentum() || method.integrator == Integrator::leimkuhler_matthews ? 0.3 : 0.03;
  double friction = method.has_momentum() ? 1.0 : 0.0;
  double least = attempt(first, friction);
  // The better friction below the present one, or else above it.
  const auto climb_friction = [&](double share, double ratio) {
    for (const auto& [way, end] : {std::pair(1.0 / ratio, 1e-3), std::pair(ratio, 1e3)}) {
      const auto [found, time] = climb(friction, way, least, end, [&](double g) { return attempt(share, g); });
      if (time >= least) continue;
      friction = found;
      least = time;
      return;
    }
  };
  if (method.has_momentum()) climb_friction(first, friction_ratio);
  const auto [share, time] =
      climb(first, step_ratio, least, last_share, [&](double s) { return attempt(s, friction); });
  least = time;
  // Longer steps want more friction, since what they gain is bounded by how fast the energy is forgotten.
  if (method.has_momentum()) climb_friction(share, std::sqrt(friction_ratio));
  if (const double between = share * std::sqrt(step_ratio); between < last_share) attempt(between, friction);
  return search;
}

}  // namespace tarn
