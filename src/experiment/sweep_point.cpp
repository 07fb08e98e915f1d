#include "sweep_point.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "fitted_drift.hpp"
#include "json_number.hpp"
#include "line_curves.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/evaluation/one_dimensional.hpp"
#include "tarn/evaluation/planar.hpp"
#include "tarn/evaluation/stationary_law.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/file.hpp"
#include "tarn/models/trainable.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t n_reference = 1 << 19;  // of the cells
constexpr std::int64_t n_replicates = 10;      // of a floor

BatchFunction1d drift_of(Backend& backend, const PreparedNetwork& network) {
  return from_float([&](MatrixView<const float> x, MatrixView<float> out) { backend.drift(network, x, out); });
}

}  // namespace

std::string name_of(const SweepPoint& p, const Config& sweep) {
  const std::string& law = sweep.targets[p.target].run.name;
  if (p.best_fit) return fmt::format("{}-best_fit-{}", law, p.kind);
  return fmt::format("{}-{}-N{:05}-seed{}", law, p.kind, p.neurons, p.seed);
}

std::vector<SweepPoint> points_of(const Config& sweep, const std::vector<std::int64_t>& n_outputs) {
  std::vector<SweepPoint> points;
  for (std::int64_t i = 0; i < sweep.sweep.seeds; ++i) {
    const std::uint64_t seed = sweep.run.seed + static_cast<std::uint64_t>(i);
    for (std::size_t t = 0; t < sweep.targets.size(); ++t) {
      for (const std::string& kind : sweep.sweep.rivals) points.push_back({t, kind, false, n_outputs[t], seed});
      for (const std::int64_t N : sweep.sweep.neurons) points.push_back({t, "reservoir_sampler", false, N, seed});
    }
  }
  for (std::size_t t = 0; t < sweep.targets.size(); ++t) {
    for (const std::string& kind : sweep.sweep.rivals) points.push_back({t, kind, true, n_outputs[t], sweep.run.seed});
  }
  return points;
}

std::string point_line(const PointResult& r) {
  nlohmann::ordered_json line;
  line["score_error"] = json_number(r.score_error);
  line["score_error_deviation"] = json_number(r.score_error_deviation);
  line["kl"] = json_number(r.kl);
  line["n_lost"] = r.n_lost;
  line["note"] = r.note;
  return line.dump() + "\n";
}

PointResult read_point(const std::filesystem::path& path) {
  try {
    const auto line = nlohmann::json::parse(read_text_file(path));
    return {number_of(line.at("score_error")), number_of(line.at("score_error_deviation")), number_of(line.at("kl")),
            line.at("n_lost"), line.at("note")};
  } catch (const nlohmann::json::exception& error) {
    fail("{}: not a point of a sweep ({}); remove it, and it is computed again", path.string(), error.what());
  }
}

Config config_of(const Config& target, const SweepPoint& point) {
  Config config = target;
  config.run.seed = point.seed;
  config.model.kind = point.kind;
  config.model.neurons = point.neurons;
  if (point.kind == "reservoir_sampler") return config;
  // what only a reservoir's output weights can use, and gains of its input weights
  QualityConfig& quality = config.training.quality;
  quality.output_scaling = std::string("none");  // by move: g++ 12 warns falsely about assigning a literal
  quality.confinement = 0;
  quality.input_gain = quality.bias_gain = 1.0;
  quality.start = std::string("random");
  config.sampling.initial.space = std::string("x");
  return config;
}

SamplingNetwork train_point(const Config& config, const PreparedData& data, Backend& backend,
                            const std::string& title) {
  const TrainingPlan plan = training_plan(config, data);
  const auto model = make_trainable(backend, starting_network(config, data),
                                    optimizer_settings(config.training.optimizer), level_of(plan, 0).output_scale);
  const auto source = data.batches();
  Progress bar(title, 1.0, "networks", 30.0);
  TrainingObserver observer;
  observer.progress = [&](std::int64_t step, std::int64_t total, std::int64_t, const DsmLoss&) {
    bar.update(static_cast<double>(step) / static_cast<double>(total));
  };
  return train(*model, *source, plan, observer);
}

LawJudge::LawJudge(const Config& target, const PreparedData& data, const SweepConfig& sweep)
    : config_(target), data_(data), sweep_(sweep), kl_floor_(nan), kl_floor_deviation_(nan) {
  sigma_ = noise_levels(target.training.noise).back();
  const Target& law = *data.target;
  if (data.n_outputs == 1) {
    law_ = Law1d::from_target(law, sigma_);
    return;
  }
  const std::uint64_t seed = target.run.seed;
  std::uint64_t first = 0;
  const auto exact = [&](std::int64_t n) {
    Matrix<float> draws = smoothed_draws(law, sigma_, n, seed, first);
    first += static_cast<std::uint64_t>(n);
    return draws;
  };
  points_ = exact(sweep.points);
  scores_ = Matrix<double>(points_.rows(), points_.cols());
  std::vector<double> x(static_cast<std::size_t>(points_.cols()));
  for (std::int64_t i = 0; i < points_.rows(); ++i) {
    std::copy_n(points_.row(i), points_.cols(), x.begin());
    law.score(x.data(), sigma_, scores_.row(i));
  }
  const std::int64_t most = std::max<std::int64_t>(n_reference, 16 * sweep.cells);
  cells_.emplace(exact(most).view(), std::countr_zero(static_cast<std::uint64_t>(sweep.cells)));
  double sum = 0.0, squares = 0.0;
  for (std::int64_t r = 0; r < n_replicates; ++r) {
    const double kl = cells_->kl(exact(target.sampling.chains).view()).corrected;
    sum += kl;
    squares += kl * kl;
  }
  constexpr auto n = static_cast<double>(n_replicates);
  kl_floor_ = sum / n;
  kl_floor_deviation_ = std::sqrt(std::max(0.0, squares - n * kl_floor_ * kl_floor_) / (n - 1.0));
}

void LawJudge::score_error(Backend& backend, const PreparedNetwork& network, PointResult& result) const {
  if (law_) {
    result.score_error = tarn::score_error(drift_of(backend, network), score_of(*data_.target, sigma_), *law_);
    return;
  }
  Matrix<float> drift(points_.rows(), points_.cols());
  backend.drift(network, points_.view(), drift.view());
  const auto n = static_cast<double>(points_.rows());
  double sum = 0.0, squares = 0.0;
  for (std::int64_t i = 0; i < points_.rows(); ++i) {
    double error = 0.0;
    for (std::int64_t d = 0; d < points_.cols(); ++d) {
      const double e = drift(i, d) - scores_(i, d);
      error += e * e;
    }
    sum += error;
    squares += error * error;
  }
  result.score_error = sum / n;
  result.score_error_deviation = std::sqrt(std::max(0.0, squares / n - result.score_error * result.score_error) / n);
}

void LawJudge::stationary_kl(Backend& backend, const PreparedNetwork& network, PointResult& result) const {
  const StationaryLaw stationary =
      stationary_law(drift_of(backend, network), law_->mean(), std::sqrt(law_->variance()));
  result.kl = distance(stationary, *law_).kl;
  if (!stationary.problem.empty()) result.note = stationary.problem;
}

void LawJudge::sampled_kl(Backend& backend, const PreparedNetwork& network, const Config& config,
                          PointResult& result) const {
  // Where chains start and how long they run does not hang on the weights: any network stands in for the one that is run.
  SamplingNetwork stand_in = starting_network(config, data_);
  stand_in.sigma = sigma_;
  SamplingSetup setup = make_sampling(config, data_, {stand_in}, backend);
  for (Stage& stage : setup.run.stages) stage.network = &network;
  setup.run.denoise = false;
  const SamplingResult chains = run_chains(backend, setup.run, nullptr);
  const CellKl kl = cells_->kl(chains.last_draw.view());
  result.kl = kl.corrected;
  result.n_lost = kl.n_lost;
  if (kl.n == 0) result.note = "every chain was quarantined";
}

PointResult LawJudge::judge(Backend& backend, const PreparedNetwork& network, const Config& config) const {
  PointResult result;
  score_error(backend, network, result);
  if (law_) {
    stationary_kl(backend, network, result);
  } else {
    sampled_kl(backend, network, config, result);
  }
  return result;
}

PointResult LawJudge::judge_best_fit(Backend& backend, ModelKind kind, const Config& config,
                                     const std::vector<SamplingNetwork>& trained) const {
  const Nonlinearity phi = parse_nonlinearity(config.model.nonlinearity);
  const FitProblem problem = law_ ? fit_problem(*law_, score_of(*data_.target, sigma_))
                                  : fit_problem(*data_.target, sigma_, sweep_.best_fit_points, config.run.seed);
  const bool one = data_.n_outputs == 1;
  if (kind == ModelKind::sampler_only_sc) {
    const SynapticFit fit = fit_sampler_only_sc(phi, problem);
    const std::optional<FittedDrift> drift = fitted_drift(fit);
    if (!drift) return {fit.error, 0.0, nan, 0, "its linear part has no inverse: not run"};
    PointResult result = judge(backend, *backend.prepare(drift->view()), config);
    if (one && result.note.empty()) result.note = fit.text();
    return result;
  }
  if (data_.n_outputs > 16) return {nan, nan, nan, 0, "not searched for in more than 16 dimensions"};
  std::vector<RateFit> starts;
  for (const SamplingNetwork& network : trained) {
    const std::int64_t D = network.n_outputs;
    RateFit start{phi, Matrix<double>(D, D), std::vector<double>(network.b.data(), network.b.data() + D), {}, 0.0, 0,
                  0};
    std::copy_n(network.W_in.data(), D * D, start.W.data());
    starts.push_back(std::move(start));
  }
  const RateFit fit = fit_sampler_only_fr(phi, problem, config.run.seed, sweep_.best_fit_starts, starts);
  PointResult result = judge(backend, *backend.prepare(fitted_drift(fit).view()), config);
  if (result.note.empty())
    result.note = one ? fit.text() : fmt::format("{} of {} starts near the best", fit.n_near_best, fit.n_restarts);
  return result;
}

}  // namespace tarn
