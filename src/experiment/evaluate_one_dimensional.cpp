#include <algorithm>
#include <cmath>

#include "line_curves.hpp"
#include "tarn/evaluation/best_fit.hpp"
#include "tarn/evaluation/moments.hpp"
#include "tarn/evaluation/one_dimensional.hpp"
#include "tarn/evaluation/stationary_law.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/models/score.hpp"

namespace tarn {
namespace {

constexpr std::int64_t n_resamples = 100;

}  // namespace

void evaluate_one_dimensional(const EvaluationInput& in, EvaluationOutcome& out) {
  const Target& target = *in.data.target;
  const double scale = in.data.scaling.scale;  // sigma lives in scaled space, everything below in the data's own units
  const double sigma = in.training.levels.back().sigma * scale;
  const Law1d own = Law1d::from_target(target, 0.0), smoothed = Law1d::from_target(target, sigma);
  const auto wants = [&](std::string_view metric) {
    const auto& metrics = in.config.evaluation.metrics;
    return std::find(metrics.begin(), metrics.end(), metric) != metrics.end();
  };
  const double centre = own.mean(), width = std::sqrt(own.variance());
  const double low = centre - 2.8 * width, high = centre + 2.8 * width;

  std::vector<ScoreLevel> levels;
  for (const SamplingNetwork& network : in.training.levels) {
    const double s = network.sigma * scale;
    levels.push_back({s, curve_of(learned_score(in.backend, network), low, high, 161),
                      curve_of(score_of(target, s), low, high, 161)});
  }
  if (const FigureFile file = draw(figure_score_levels(levels), in.folder.figures())) {
    out.figures.push_back(
        {file.svg,
         "The score that the network learned at each noise level, on the true score of the data smoothed by it."});
  }

  const BatchFunction1d score = learned_score(in.backend, in.training.levels.back());
  if (wants("score_error")) {
    out.add("score_error", "score error, on a grid", score_error_on_grid(score, score_of(target, sigma), smoothed),
            "weighted by the smoothed law");
    out.add("score_error_exact", "score error, exact", score_error(score, score_of(target, sigma), smoothed));
  }
  if (const ModelKind kind = parse_model_kind(in.config.model.kind);
      kind != ModelKind::reservoir_sampler && !is_energy_based(kind)) {
    const BestFit fit = best_fit(kind, parse_nonlinearity(in.config.model.nonlinearity), smoothed,
                                 score_of(target, sigma), in.config.run.seed);
    out.add("score_error_best_fit", "score error of the best fit of its class", fit.error, fit.text);
  }

  const StationaryLaw stationary = stationary_law(score, centre, width);
  const LawDistance to_smoothed = distance(stationary, smoothed), to_own = distance(stationary, own);
  if (wants("quadrature")) {
    out.add("stationary_kl_smoothed", "stationary law of the score: KL, smoothed law", to_smoothed.kl,
            stationary ? "by quadrature" : stationary.problem);
    out.add("stationary_w1_smoothed", "stationary law of the score: W1, smoothed law", to_smoothed.w1);
    out.add("stationary_kl_data", "stationary law of the score: KL, data's law", to_own.kl);
    out.add("stationary_w1_data", "stationary law of the score: W1, data's law", to_own.w1);
  }

  const std::vector<float> draws = column(in.sampling.last_draw.view(), 0);
  const Histogram bars = histogram(draws);
  const std::int64_t n = static_cast<std::int64_t>(draws.size());
  const bool judged = bars.n_inside > 0;
  const auto against = [&](const Law1d& law, double law_sigma, const std::string& name, const std::string& label,
                           std::uint64_t sets) {
    const std::size_t first = out.metrics.size();
    const SamplingFloors floors = sampling_floors(target, law_sigma, n, {}, in.config.run.seed);
    const HistogramKl kl = histogram_kl(bars, law);
    if (wants("kl")) {
      out.add_with_floor("kl_" + name, "draws: KL, " + label, kl.raw, floors.kl_raw.mean, floors.kl_raw.deviation);
      out.add_with_floor("kl_corrected_" + name, "draws: KL - (K-1)/2n, " + label, kl.corrected,
                         floors.kl_corrected.mean, floors.kl_corrected.deviation);
    }
    if (wants("w1"))
      out.add_with_floor("w1_" + name, "draws: W1, " + label, wasserstein_1(draws, law).value, floors.w1.mean,
                         floors.w1.deviation);
    const auto statistics = [&](MatrixView<const float> rows) {
      const std::span<const float> x(rows.data, static_cast<std::size_t>(rows.rows));
      std::vector<double> values;
      if (wants("kl")) {
        const HistogramKl of_half = histogram_kl(histogram(x), law);
        values = {of_half.raw, of_half.corrected};
      }
      if (wants("w1")) values.push_back(wasserstein_1(x, law).value);
      return values;
    };
    add_intervals(in.sampling.last_draw, first, in.config.run.seed, sets, n_resamples, statistics, out);
  };
  if (judged && (wants("kl") || wants("w1"))) {
    against(smoothed, sigma, "smoothed", "smoothed law", 0);
    against(own, 0.0, "data", "data's law", 1);
  } else if (!judged) {
    out.warnings.push_back("no draw lies within the histogram: KL and W1 of the draws were not computed");
  }
  if (bars.n_outside > 0) {
    out.add("outside_histogram", "draws outside [-3, 3]", static_cast<double>(bars.n_outside), fmt::format("of {}", n));
  }

  DensityCurves curves;
  const std::vector<double> densities = bars.densities();
  for (std::size_t i = 0; i < densities.size(); ++i) {
    curves.bars.x.push_back(bars.bins.low + (static_cast<double>(i) + 0.5) * bars.bin_width());
    curves.bars.y.push_back(densities[i]);
  }
  curves.bars_name = fmt::format("{} draws", n);
  curves.target = density_of(own, -3.0, 3.0);
  curves.smoothed = density_of(smoothed, -3.0, 3.0);
  if (stationary) curves.stationary = density_of(*stationary.law, -3.0, 3.0);
  const auto keep = [&](const std::string& name, const Curve& curve, bool reference) {
    ReportCurve c;
    c.plot = "density";
    c.name = name;
    c.x_label = std::string("x");
    c.y_label = "probability density";
    c.reference = reference;
    c.x = curve.x;
    c.y = curve.y;
    out.curves.push_back(std::move(c));
  };
  keep("draws", curves.bars, false);
  keep("data", curves.target, true);
  if (const FigureFile file = draw(figure_density(curves), in.folder.figures())) {
    out.figures.push_back(
        {file.svg,
         "Final draws of the chains, the data's law, the law smoothed by the last noise level, and the law that "
         "the learned score leads to, by quadrature."});
  }
  compare_networks(in, out);
}

}  // namespace tarn
