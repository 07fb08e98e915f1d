#include <algorithm>
#include <cmath>

#include "plane.hpp"
#include "tarn/evaluation/moments.hpp"
#include "tarn/report/figures.hpp"

namespace tarn {
namespace {

constexpr std::int64_t n_slices = 32, n_resamples = 40;

std::vector<std::vector<double>> units() {
  std::vector<std::vector<double>> result;
  for (const PlaneDirection& d : plane_directions()) result.push_back(d.unit);
  return result;
}

// Enough that the reference's own error is half of the draws' or less.
std::int64_t reference_size(std::int64_t n) { return std::clamp<std::int64_t>(4 * n, 20000, 1000000); }

void distances(const PlaneReference& law, const std::string& name, const std::string& label,
               MatrixView<const float> draws, std::uint64_t seed, std::uint64_t sets, EvaluationOutcome& out) {
  const std::size_t first = out.metrics.size();
  for (std::size_t k = 0; k < plane_directions().size(); ++k) {
    const PlaneDirection& d = plane_directions()[k];
    const auto floor = law.floor([&](MatrixView<const float> set) { return law.w1()(set, k); });
    out.add_with_floor(fmt::format("w1_{}_{}", name, d.key), fmt::format("W1 along {}, {}", d.label, label),
                       law.w1()(draws, k), floor.mean, floor.deviation);
  }
  const auto floor = law.floor([&](MatrixView<const float> set) { return law.sliced()(set); });
  out.add_with_floor("sliced_w2_" + name, "sliced W2, " + label, law.sliced()(draws), floor.mean, floor.deviation);
  const auto statistics = [&](MatrixView<const float> rows) {
    std::vector<double> values;
    for (std::size_t k = 0; k < plane_directions().size(); ++k) values.push_back(law.w1()(rows, k));
    values.push_back(law.sliced()(rows));
    return values;
  };
  add_intervals(draws, first, seed, sets, n_resamples, statistics, out);
}

void arms(const PlaneReference& law, const std::vector<double>& centre, MatrixView<const float> draws,
          EvaluationOutcome& out) {
  // Within the median radius the arms of a cross run together.
  std::vector<float> radius;
  for (std::int64_t i = 0; i < law.draws().rows(); ++i) {
    radius.push_back(std::hypot(law.draws()(i, 0) - static_cast<float>(centre[0]),
                                law.draws()(i, 1) - static_cast<float>(centre[1])));
  }
  const std::vector<double> half{0.5};
  const double core = quantiles(radius, half)[0];
  const ArmOccupancy found = arm_occupancy(draws, centre, core), exact = arm_occupancy(law.draws(), centre, core);
  const char* const sectors[4] = {"plus45", "plus135", "minus135", "minus45"};
  const char* const labels[4] = {"+45", "+135", "-135", "-45"};
  for (std::size_t k = 0; k < 4; ++k) {
    const double p = exact.share[k];
    out.add_with_floor(fmt::format("arm_{}", sectors[k]), fmt::format("share of draws in the arm at {}°", labels[k]),
                       found.share[k], p, std::sqrt(p * (1.0 - p) / static_cast<double>(found.n)));
  }
  out.add("arm_core", "share of draws within the median radius", found.core,
          fmt::format("radius {:.3g}; exact draws: 0.5", core));
}

void marginals(const PlaneReference& law, MatrixView<const float> draws, std::uint64_t seed, EvaluationOutcome& out) {
  const std::vector<double> probabilities{0.01, 0.1, 0.5, 0.9, 0.99};
  for (std::size_t k = 0; k < plane_directions().size(); ++k) {
    const PlaneDirection& d = plane_directions()[k];
    const std::vector<float> values = projection(draws, d.unit);
    const std::vector<double> found = quantiles(values, probabilities);
    for (std::size_t i = 0; i < probabilities.size(); ++i) {
      const auto exact = law.floor([&](MatrixView<const float> set) {
        return quantiles(projection(set, d.unit), std::span(probabilities).subspan(i, 1))[0];
      });
      const auto percent = std::lround(100.0 * probabilities[i]);
      out.add_with_floor(fmt::format("quantile_{}_{}", percent, d.key),
                         fmt::format("{} % quantile along {}", percent, d.label), found[i], exact.mean,
                         exact.deviation);
    }
    const Interval kurtosis = excess_kurtosis_interval(values, seed, k);
    const auto exact =
        law.floor([&](MatrixView<const float> set) { return moments(projection(set, d.unit)).excess_kurtosis; });
    out.add_with_floor("excess_kurtosis_" + d.key, "excess kurtosis along " + d.label, kurtosis.value, exact.mean,
                       exact.deviation);
    out.metrics.back().interval = kurtosis;
  }
}

void density_figure(const EvaluationInput& in, const std::vector<double>& centre, double sigma,
                    EvaluationOutcome& out) {
  const Target& target = *in.data.target;
  constexpr std::int64_t n = 80;
  const double reach = 3.0 * std::sqrt(target.total_variance() / 2.0);
  const double low[2] = {centre[0] - reach, centre[1] - reach}, high[2] = {centre[0] + reach, centre[1] + reach};
  const auto as_law = [&](const std::string& name, std::vector<double> densities) {
    return PlanarDensity{name, n, {low[0], high[0]}, {low[1], high[1]}, std::move(densities)};
  };
  const auto& draws = in.sampling.last_draw;
  const PlanarHistogram bars = planar_histogram(draws, n, low, high);
  std::vector<double> exact;
  if (target.has_density(sigma)) {
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t i = 0; i < n; ++i) {
        const double cell = 2.0 * reach / n;
        const double x[2] = {low[0] + (static_cast<double>(i) + 0.5) * cell,
                             low[1] + (static_cast<double>(j) + 0.5) * cell};
        exact.push_back(std::exp(target.log_density(x, sigma)));
      }
    }
  } else {
    exact = planar_histogram(smoothed_draws(target, sigma, 1000000, in.config.run.seed, 0), n, low, high).densities;
  }
  const auto laws = {as_law(fmt::format("{} draws of the chains", draws.rows()), bars.densities),
                     as_law(fmt::format("the data's law, smoothed by σ = {:.3g}", sigma), std::move(exact))};
  if (const FigureFile file = draw(figure_planar_densities(laws), in.folder.figures())) {
    out.figures.push_back(
        {file.png.empty() ? file.svg : file.png,
         "Final draws of the chains and the law that the network was trained for, side by side. Colours "
         "are logarithmic, from the largest density down to a thousandth of it."});
  }
}

}  // namespace

const std::array<PlaneDirection, 4>& plane_directions() {
  static const double h = std::sqrt(0.5);
  static const std::array<PlaneDirection, 4> directions{
      PlaneDirection{"x0", "x_0", {1.0, 0.0}}, PlaneDirection{"x1", "x_1", {0.0, 1.0}},
      PlaneDirection{"plus45", "+45°", {h, h}}, PlaneDirection{"minus45", "-45°", {h, -h}}};
  return directions;
}

PlaneReference::PlaneReference(const Target& target, double sigma, std::int64_t n, std::uint64_t seed,
                               std::int64_t n_directions)
    : draws_(smoothed_draws(target, sigma, reference_size(n), seed, 0)),
      w1_(draws_, units()),
      sliced_(draws_, n_directions, seed) {
  auto first = static_cast<std::uint64_t>(draws_.rows());
  for (std::int64_t r = 0; r < n_replicates; ++r, first += static_cast<std::uint64_t>(n))
    replicates_.push_back(smoothed_draws(target, sigma, n, seed, first));
}

PlaneReference::Level PlaneReference::summarise(const std::vector<double>& values) {
  Level level;
  const auto n = static_cast<double>(values.size());
  for (const double v : values) level.mean += v / n;
  for (const double v : values) level.deviation += (v - level.mean) * (v - level.mean);
  level.deviation = std::sqrt(level.deviation / (n - 1.0));
  return level;
}

void evaluate_plane(const EvaluationInput& in, EvaluationOutcome& out) {
  const Target& target = *in.data.target;
  const Matrix<float>& draws = in.sampling.last_draw;
  const std::uint64_t seed = in.config.run.seed;
  const double sigma = in.training.levels.back().sigma * in.data.scaling.scale;
  const std::int64_t n_finite = draws.rows() - in.sampling.result.n_quarantined;
  if (n_finite < 2) {
    out.warnings.push_back("fewer than two chains are left: the draws were not judged");
    return;
  }
  const std::vector<double> centre = target.mean();
  const PlaneReference smoothed(target, sigma, n_finite, seed, n_slices);
  distances(smoothed, "smoothed", "smoothed law", draws, seed, 0, out);
  distances(PlaneReference(target, 0.0, n_finite, seed, n_slices), "data", "data's law", draws, seed, 1, out);
  arms(smoothed, centre, draws, out);
  marginals(smoothed, draws, seed, out);
  density_figure(in, centre, sigma, out);
}

}  // namespace tarn
