#include "tarn/experiment/drift_check.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/noise.hpp"
#include "tarn/models/drift.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn {
namespace {

constexpr std::int64_t points_of_last = 32, points_of_others = 4, most_starts = 16;
// Products of weights that a look may cost, some seconds each: N = 20000, D = 300 gets 13 points and 8 starts.
constexpr double products_for_points = 5e9, products_for_starts = 2e10;
constexpr double suggested_share = 0.1;  // of the largest stable step: the stiffest direction is 5 % too wide there
// Stream::evaluation, behind the directions of models/stable_step.cpp (src/evaluation/evaluation_noise.hpp).
constexpr std::uint64_t first_chain = (std::uint64_t{16} << 40) + (std::uint64_t{1} << 38);

Matrix<float> points_for(const NetworkView& network, double sigma, MatrixView<const float> rows, std::int64_t n,
                         MatrixView<const float> inputs) {
  const std::int64_t D = network.n_outputs, U = network.n_inputs;
  Matrix<float> noise(n, D), points(n, D + U);
  fill_normals(0, Stream::evaluation, first_chain, 0, 1, noise);
  // without data: variance 1/D of scaled data and sigma^2 of the level, in one normal
  const double spread = rows.rows > 0 ? sigma : std::sqrt(1.0 / static_cast<double>(D) + sigma * sigma);
  for (std::int64_t i = 0; i < n; ++i) {
    if (rows.rows > 0) std::copy_n(rows.row(i * rows.rows / n), D + U, points.row(i));
    if (rows.rows == 0 && inputs.rows > 0) std::copy_n(inputs.row(i % inputs.rows), U, points.row(i) + D);
    for (std::int64_t d = 0; d < D; ++d) points(i, d) += static_cast<float>(spread * static_cast<double>(noise(i, d)));
  }
  return points;
}

std::int64_t affordable(double budget, double products_each, std::int64_t least, std::int64_t most) {
  return std::clamp(static_cast<std::int64_t>(budget / products_each), least, most);
}
double weights_of(const NetworkView& network) {
  return static_cast<double>(network.n_neurons) * static_cast<double>(network.n_outputs);
}

// A mode of rate k bears steps up to 2 / k, and with momentum, whatever the friction, up to 2 / sqrt(k).
double limit_with(bool momentum, double plain_limit) { return momentum ? std::sqrt(2.0 * plain_limit) : plain_limit; }

// What dt0 multiplies at a level.
double step_unit(bool momentum, double sigma) { return momentum ? sigma : sigma * sigma; }

// How fast x grows where the drift is rate x: with momentum, the larger root of r^2 + friction r = rate.
double growth_with(bool momentum, double friction, double rate) {
  return momentum ? std::sqrt(0.25 * friction * friction + rate) - 0.5 * friction : rate;
}

bool is_bounded(Nonlinearity phi) { return phi == Nonlinearity::tanh || phi == Nonlinearity::sigmoid; }

std::string dt_warning(const Config& config, const Stage& stage, std::size_t number, std::size_t n_stages, double limit,
                       double smallest_dt0) {
  const bool annealed = config.sampling.schedule == "annealed";
  const std::string where = n_stages > 1
                                ? fmt::format("noise level {} of {} (sigma {:.4g})", number + 1, n_stages, stage.sigma)
                            : stage.sigma > 0.0 ? fmt::format("the last noise level (sigma {:.4g})", stage.sigma)
                                                : std::string("the data");
  return fmt::format(
      "{}: {:.4g} makes steps of {:.4g} at {}, where the largest stable step is {:.4g}: chains may oscillate and run "
      "away; try {:.2g}",
      annealed ? "sampling.annealed.dt0" : "sampling.dt", annealed ? config.sampling.annealed.dt0 : stage.dt, stage.dt,
      where, limit, suggested_share * (annealed ? smallest_dt0 : limit));
}

std::string growth_warning(const Config& config, double rate, double time) {
  std::string text = fmt::format(
      "far from the data the drift of the last noise level points outward in some direction: chains that get there "
      "grow by e every {:.3g} tau "
      "(this run spends {:.3g} tau at that level{}); ",
      1.0 / rate, time, rate * time < 1.0 ? ", so a longer one would show it" : "");
  const QualityConfig& q = config.training.quality;
  if (parse_model_kind(config.model.kind) != ModelKind::reservoir_sampler) {
    text += "a bounded nonlinearity (tanh, sigmoid) confines";
  } else if (q.confinement == 0 || q.confinement_pull == 0.0) {
    text += "train with confinement points, training.quality.confinement = 8 and confinement_pull = 0.1";
  } else {
    text += fmt::format("a stronger training.quality.confinement_pull ({:.3g} now) holds them back, try {:.2g}",
                        q.confinement_pull, 3.0 * q.confinement_pull);
  }
  return text;
}

}  // namespace

double smallest_stable_step(const NetworkView& network, double sigma, MatrixView<const float> rows, std::int64_t n,
                            bool reservoir, MatrixView<const float> inputs) {
  const double each = 64.0 * weights_of(network);  // 32 dimensions, two products of weights for each
  n = affordable(products_for_points * static_cast<double>(n) / points_of_last, each, 1, n);
  double least = reservoir ? 2.0 : std::numeric_limits<double>::infinity();
  for (const double step : stable_steps(network, points_for(network, sigma, rows, n, inputs))) {
    if (std::isnan(step)) return step;
    least = std::min(least, step);
  }
  return least;
}

double largest_outward_rate(const NetworkView& network) {
  const double each = 400.0 * weights_of(network);  // a hundred iterations of four products
  return outward_growth(network, affordable(products_for_starts, each, 4, most_starts)).rate;
}

DriftCheck check_drift(const Config& config, const SamplingRun& run, MatrixView<const float> rows) {
  DriftCheck check;
  if (run.stages.empty()) return check;
  // Stages of one network may follow one another (a burn-in, further steps at the last level).
  std::size_t worst = run.stages.size();
  double worst_share = 1.0, smallest_dt0 = std::numeric_limits<double>::infinity();
  double limit_of_worst = 0.0, time_at_last = 0.0;
  double limit = 0.0;
  const Stage& last = run.stages.back();
  const bool momentum = run.integrator == Integrator::baoab;
  for (std::size_t s = 0; s < run.stages.size(); ++s) {
    const Stage& stage = run.stages[s];
    const bool is_last = stage.network == last.network;
    if (is_last) time_at_last += stage.dt * static_cast<double>(stage.n_steps);
    if (s == 0 || stage.network != run.stages[s - 1].network) {
      limit = limit_with(momentum,
                         smallest_stable_step(stage.network->view(), stage.sigma, rows,
                                              is_last ? points_of_last : points_of_others, run.reservoir, run.inputs));
    }
    if (stage.sigma > 0.0) smallest_dt0 = std::min(smallest_dt0, limit / step_unit(momentum, stage.sigma));
    if (stage.dt > worst_share * limit) {
      worst = s;
      worst_share = stage.dt / limit;
      limit_of_worst = limit;
    }
  }
  check.stable_dt = limit;
  check.dt = last.dt;
  check.outward_rate = largest_outward_rate(last.network->view());
  if (worst < run.stages.size()) {
    check.warnings.push_back(
        dt_warning(config, run.stages[worst], worst, run.stages.size(), limit_of_worst, smallest_dt0));
  }
  if (check.outward_rate > 0.0) {
    check.warnings.push_back(
        growth_warning(config, growth_with(momentum, last.friction, check.outward_rate), time_at_last));
  }
  return check;
}

std::vector<std::string> drift_forecast(const Config& config, std::int64_t n_outputs) {
  const SamplingConfig& s = config.sampling;
  if (is_energy_based(config.model)) {
    const double limit = s.integrator == "baoab" ? 2.0 * config.model.s : 2.0 * config.model.s * config.model.s;
    std::vector<std::string> lines{fmt::format(
        "step: sampling.dt = {:.4g}; where no hidden unit is undecided the energy bears up to {:.4g}", s.dt, limit)};
    if (s.dt > limit) lines.back() += fmt::format(": too large, try {:.2g}", suggested_share * limit);
    return lines;
  }
  const double sigma = noise_levels(config.training.noise).back();
  const bool annealed = s.schedule == "annealed";
  // a J of Frobenius norm g has singular values up to g/sqrt(2); |lambda|^2 grows by 1 + that squared
  const double trained = s.drift == "circuit" ? config.model.irreversible : 0.0;
  const double strength = s.irreversible.strength > 0.0 ? s.irreversible.strength : trained;
  const double turn = n_outputs > 1 ? 1.0 + 0.5 * strength * strength : 1.0;
  const bool momentum = s.integrator == "baoab";
  const double limit = 2.0 * (annealed ? 1.0 : step_unit(momentum, sigma)) / turn;
  const double asked = annealed ? s.annealed.dt0 : s.dt;
  const char* key = annealed ? "sampling.annealed.dt0" : "sampling.dt";
  std::vector<std::string> lines{
      fmt::format("step: {} = {:.4g}; an exact score bears up to {:.4g}{}, the learned one is looked at after training",
                  key, asked, limit,
                  annealed ? ""
                           : fmt::format(" at the last level (2 {}{})", momentum ? "sigma" : "sigma^2",
                                         turn > 1.0 ? ", less for J" : ""))};
  if (asked > limit) lines.back() += fmt::format(": too large, try {:.2g}", suggested_share * limit);
  const bool points = config.training.quality.confinement > 0;
  if (is_bounded(parse_nonlinearity(config.model.nonlinearity))) {
    lines.push_back(
        fmt::format("far from the data: {} is bounded, so the leak pulls chains back", config.model.nonlinearity));
  } else {
    lines.push_back(fmt::format(
        "far from the data: {} is not bounded, so the drift may point outward there; {}; looked at after training",
        config.model.nonlinearity,
        points ? fmt::format("{} confinement points a batch are to prevent it", config.training.quality.confinement)
               : "no confinement points (training.quality.confinement) prevent it"));
  }
  return lines;
}

}  // namespace tarn
