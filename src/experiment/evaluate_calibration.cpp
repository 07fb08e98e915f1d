// Are posteriors given an input as wide as they should be? For laws whose conditionals are known.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "tarn/data/synthetic.hpp"
#include "tarn/evaluation/calibration.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/report/neuron_figures.hpp"

namespace tarn {
namespace {

constexpr std::int64_t most_outputs = 4;

// Distribution function of coordinate d of a mixture smoothed by sigma.
double cdf(const GaussianMixture& law, std::int64_t d, double sigma, double x) {
  const std::int64_t D = law.dimension();
  double sum = 0.0, weights = 0.0;
  for (const MixtureComponent& c : law.components()) {
    const auto at = static_cast<std::size_t>(d);
    const double variance = c.covariance[static_cast<std::size_t>(d * D + d)] + sigma * sigma;
    sum += c.weight * 0.5 * std::erfc((c.mean[at] - x) / std::sqrt(2.0 * variance));
    weights += c.weight;
  }
  return std::clamp(sum / weights, 0.0, 1.0);
}

}  // namespace

void evaluate_calibration(const EvaluationInput& in, EvaluationOutcome& out) {
  const auto* mixture = dynamic_cast<const GaussianMixture*>(in.data.target.get());
  const Matrix<float>& draws = in.sampling.last_draw;
  if (mixture == nullptr || in.data.n_inputs == 0 || in.sampling.inputs.rows() != draws.rows()) return;
  if (!in.sampling.clamp.empty()) {
    out.warnings.push_back("outputs are clamped: the posterior's coverage was not looked at");
    return;
  }
  const bool denoised = final_denoise(in.config.sampling);
  const double sigma = denoised ? 0.0 : in.training.levels.back().sigma * in.data.scaling.scale;
  const std::int64_t D = std::min(in.data.n_outputs, most_outputs);
  std::vector<std::vector<double>> transforms(static_cast<std::size_t>(D));
  for (std::int64_t i = 0; i < draws.rows(); ++i) {
    const float* u = in.sampling.inputs.row(i);
    const GaussianMixture given = mixture->conditional(std::vector<double>(u, u + in.data.n_inputs));
    for (std::int64_t d = 0; d < D; ++d) {
      const double x = draws(i, d);
      transforms[static_cast<std::size_t>(d)].push_back(std::isfinite(x) ? cdf(given, d, sigma, x) : std::nan(""));
    }
  }
  std::vector<CalibrationPanel> panels;
  for (std::int64_t d = 0; d < D; ++d) {
    const Calibration c = calibration(transforms[static_cast<std::size_t>(d)]);
    out.add(fmt::format("calibration_gap_{}", d), fmt::format("coverage of x_{} given its input, largest gap", d),
            c.largest_gap,
            c.n == 0 ? "no chain is left"
                     : fmt::format("{} draws; exact ones stay below {:.3g} in 95 % of all runs: {}", c.n, c.band,
                                   c.calibrated ? "calibrated" : "not calibrated"));
    if (c.n_not_finite > 0)
      out.warnings.push_back(
          fmt::format("coverage of x_{}: {} chains are not finite and were left out", d, c.n_not_finite));
    panels.push_back({fmt::format("x_{}", d), c.expected, c.observed, c.band, c.histogram, c.histogram_deviation});
  }
  if (const FigureFile file = draw(figure_calibration(panels), in.folder.figures())) {
    out.figures.push_back(
        {file.svg,
         fmt::format(
             "Coverage: how many draws of the chains lie within the central intervals of the exact law given each "
             "chain's "
             "input{}, and where they lie in it. Too many within: the network's posterior is too narrow; too few: too "
             "wide. One draw a chain, so that draws are independent.",
             denoised ? "" : ", smoothed by the last noise level")});
  }
}

}  // namespace tarn
