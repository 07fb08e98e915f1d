#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "line_curves.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/evaluation/moments.hpp"
#include "tarn/evaluation/one_dimensional.hpp"
#include "tarn/evaluation/stationary_law.hpp"
#include "tarn/models/trainable.hpp"

namespace tarn {
namespace {

Curve bars_of(const Matrix<float>& draws) {
  const std::vector<float> values = column(draws.view(), 0);
  const Histogram bars = histogram(values);
  const std::vector<double> densities = bars.densities();
  Curve curve;
  for (std::size_t i = 0; i < densities.size(); ++i) {
    curve.x.push_back(bars.bins.low + (static_cast<double>(i) + 0.5) * bars.bin_width());
    curve.y.push_back(densities[i]);
  }
  return curve;
}

// The same training and sampling with another kind of network.
struct Rival {
  SamplingNetwork network;
  Matrix<float> draws;
};

constexpr int n_starts = 4;

Rival run_rival(const EvaluationInput& in, const std::string& kind, const std::string& phi,
                const std::function<double(const SamplingNetwork&)>& error) {
  Config config = in.config;
  config.model.kind = kind;
  config.model.nonlinearity = phi;
  config.model.neurons = in.data.n_outputs;
  config.training.init.clear();
  TrainingPlan plan = training_plan(config, in.data);
  // what only a reservoir's output weights can use
  plan.output_scaling = OutputScaling::none;
  plan.confinement_points = 0;
  // A network of so few weights ends where its start leads it (half of all starts stay near W = 0), so the class is given several.
  Progress bar(fmt::format("training {} {}", kind, phi), n_starts, "starts");
  Rival rival;
  double best = std::numeric_limits<double>::infinity();
  for (int start = 0; start < n_starts; ++start) {
    config.run.seed = in.config.run.seed + static_cast<std::uint64_t>(start);  // of the weights alone
    const auto model =
        make_trainable(in.backend, starting_network(config, in.data), optimizer_settings(config.training.optimizer));
    const auto source = in.data.batches();
    TrainingObserver observer;
    observer.progress = [&](std::int64_t step, std::int64_t total, std::int64_t, const DsmLoss&) {
      bar.update(start + static_cast<double>(step) / static_cast<double>(total));
    };
    SamplingNetwork network = train(*model, *source, plan, observer);
    const double found = error(network);
    if (found < best || start == 0) {
      best = found;
      rival.network = std::move(network);
    }
  }

  const PreparedLevels prepared(in.backend, {rival.network});
  Stage stage;
  stage.network = &prepared[0];
  stage.sigma = rival.network.sigma;
  stage.dt = in.sampling.stages.back().dt;
  SamplingRun run;
  run.stages = plain_schedule(stage, 0, n_steps(in.sampling.stages), 0);
  run.seed = in.config.run.seed;
  run.n_chains = in.sampling.last_draw.rows();
  run.initial.kind = InitialKind::uniform;  // the published start of the sampler-only networks
  run.initial.low = -2.0;
  run.initial.high = 2.0;
  rival.draws = in.data.to_data_units(run_chains(in.backend, run, nullptr).last_draw);
  return rival;
}

}  // namespace

void compare_networks(const EvaluationInput& in, EvaluationOutcome& out) {
  if (in.config.evaluation.compare.empty()) return;
  const Target& target = *in.data.target;
  const SamplingNetwork& own = in.training.levels.back();
  const double sigma = own.sigma * in.data.scaling.scale;
  const Law1d law = Law1d::from_target(target, sigma);
  const BatchFunction1d truth = score_of(target, sigma);
  const double reach = 2.8 * std::sqrt(law.variance()), low = law.mean() - reach, high = law.mean() + reach;

  const auto describe = [&](const SamplingNetwork& network, const Matrix<float>& draws, const std::string& name) {
    ComparedModel model;
    model.name = name;
    const BatchFunction1d score = learned_score(in.backend, network);
    const double error = score_error(score, truth, law);
    const StationaryLaw stationary = stationary_law(score, law.mean(), std::sqrt(law.variance()));
    const double kl = distance(stationary, law).kl;
    model.verdict = fmt::format("score error {:.2g}, KL {:.2g}", error, kl);
    model.score = curve_of(score, low, high, 161);
    model.bars = bars_of(draws);
    if (stationary) model.density = density_of(*stationary.law, -3.0, 3.0);
    return std::tuple{model, error, kl};
  };

  std::vector<ComparedModel> models;
  models.push_back(std::get<0>(
      describe(own, in.sampling.last_draw, fmt::format("{}, {}", in.config.model.kind, in.config.model.nonlinearity))));
  for (const std::string& entry : in.config.evaluation.compare) {
    const std::size_t colon = entry.find(':');
    const std::string kind = entry.substr(0, colon);
    const std::string phi = colon == std::string::npos ? in.config.model.nonlinearity : entry.substr(colon + 1);
    const Rival rival = run_rival(
        in, kind, phi, [&](const SamplingNetwork& n) { return score_error(learned_score(in.backend, n), truth, law); });
    auto [model, error, kl] = describe(rival.network, rival.draws, fmt::format("{}, {}", kind, phi));
    const BestFit fit = best_fit(parse_model_kind(kind), parse_nonlinearity(phi), law, truth, in.config.run.seed);
    model.best_fit = fit.curve;
    const std::string key = fmt::format("{}_{}", kind, phi), label = fmt::format("{} {}: ", kind, phi);
    out.add("score_error_" + key, label + "score error", error, fmt::format("best of {} starts", n_starts));
    out.add("score_error_best_fit_" + key, label + "score error, best fit", fit.error, fit.text);
    out.add("stationary_kl_" + key, label + "KL of its stationary law", kl);
    models.push_back(std::move(model));
  }
  const Curve density = density_of(law, -3.0, 3.0);
  if (const FigureFile file =
          draw(figure_comparison(models, curve_of(truth, low, high, 161), density), in.folder.figures())) {
    out.figures.push_back({file.svg,
                           "The networks side by side, all trained and run alike: score above (with the best fit that "
                           "its class allows), draws and "
                           "stationary law below, the truth in both."});
  }
}

}  // namespace tarn
