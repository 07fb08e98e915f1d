#include "tarn/evaluation/quality.hpp"

#include <algorithm>
#include <limits>

#include "judged_sets.hpp"
#include "sorted_columns.hpp"
#include "tarn/core/error.hpp"
#include "tarn/evaluation/kernel_distances.hpp"
#include "tarn/evaluation/nearest_neighbours.hpp"
#include "tarn/evaluation/planar.hpp"
#include "tarn/evaluation/set_comparison.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t most_sliced_reference = 10000;
// Numbers of `random_subset`, beyond those of half-samples.
constexpr std::uint64_t order_of_draws = 16000, order_of_data = order_of_draws + 1;

QualityFigure sliced_figure(const ComparedSets& sets, const QualitySettings& settings) {
  const Matrix<float> reference = head(sets.reference, most_sliced_reference);
  QualityFigure figure = empty_figure("sliced_w2", "sliced W2", sets.draws.rows(), reference.rows());
  const SlicedDistance distance(reference, settings.n_directions, settings.seed);
  for (const Judged& set : judged(sets)) {
    if (set.rows.rows() < 1) continue;
    const auto& directions = distance.directions();
    const SortedColumns projections(set.rows.rows(), directions.size(),
                                    [&](std::size_t k) { return projection(set.rows, directions[k]); });
    const std::int64_t n_rows[] = {set.rows.rows()};
    figure.*set.figure = half_sample_intervals(
        {distance.from_sorted(projections.all())}, n_rows, settings.seed, set.number, settings.n_resamples,
        [&](const HalfSample& half) { return std::vector{distance.from_sorted(projections.some(half[0]))}; })[0];
  }
  return figure;
}

std::vector<QualityFigure> pair_figures(const ComparedSets& sets, const QualitySettings& settings) {
  const Matrix<float> reference = head(sets.reference, settings.n_pairs);
  const std::int64_t n = std::min(settings.n_pairs, sets.draws.rows());
  const std::pair<const char*, const char*> names[] = {{"energy_distance", "energy distance"},
                                                       {"squared_mmd", "squared MMD"},
                                                       {"precision", "precision"},
                                                       {"recall", "recall"},
                                                       {"density", "density"},
                                                       {"coverage", "coverage"}};
  std::vector<QualityFigure> figures;
  for (const auto& [name, label] : names) figures.push_back(empty_figure(name, label, n, reference.rows()));
  double bandwidth = nan;
  for (const Judged& set : judged(sets)) {
    if (set.rows.rows() < 2) continue;
    const PairDistances distances = squared_distances(head(set.rows, settings.n_pairs), reference);
    if (std::isnan(bandwidth)) bandwidth = median_distance(distances);  // of the reference: the same for all sets
    const auto statistics = [&](const PairDistances& d) {
      const NeighbourShares shares = neighbour_shares(d, settings.n_neighbours);
      return std::vector{energy_distance(d), bandwidth > 0.0 ? squared_mmd(d, bandwidth) : nan,
                         shares.precision,   shares.recall,
                         shares.density,     shares.coverage};
    };
    const std::int64_t n_rows[] = {distances.xx.rows(), distances.yy.rows()};
    const auto intervals =
        half_sample_intervals(statistics(distances), n_rows, settings.seed, set.number, settings.n_resamples,
                              [&](const HalfSample& half) { return statistics(distances.subset(half[0], half[1])); });
    for (std::size_t k = 0; k < figures.size(); ++k) figures[k].*set.figure = intervals[k];
  }
  return figures;
}

}  // namespace

std::int64_t mixture_components(std::int64_t n_rows, std::int64_t dimension, std::int64_t most) {
  return std::min(most, n_rows / (5 * std::max<std::int64_t>(1, dimension)));
}

ReferenceLaws fit_reference_laws(MatrixView<const float> real, const QualitySettings& settings) {
  ReferenceLaws laws{GaussianMoments(real.cols), {}};
  laws.gaussian.add(real);
  MixtureFitSettings fit;
  fit.n_components = mixture_components(real.rows, real.cols, settings.n_components);
  if (fit.n_components >= 2) laws.mixture = fit_gaussian_mixture(real, fit, settings.seed);
  return laws;
}

ComparedSets compared_sets(MatrixView<const float> draws, MatrixView<const float> real, const ReferenceLaws& laws,
                           const QualitySettings& settings) {
  require(draws.cols == real.cols && real.cols == laws.gaussian.dimension(),
          "sets of points in {}, {} and {} dimensions cannot be compared", draws.cols, real.cols,
          laws.gaussian.dimension());
  require(real.rows >= 4, "a comparison needs four rows of data or more, found {}", real.rows);
  const FiniteRows finite = finite_rows(draws);
  const std::int64_t n = std::min({settings.n_draws, finite.rows.rows(), real.rows / 2});
  ComparedSets sets;
  sets.n_not_finite = finite.n_not_finite;
  sets.draws = gather_rows(finite.rows, random_subset(n, finite.rows.rows(), settings.seed, order_of_draws, 0));
  const std::vector<std::int64_t> order = random_subset(real.rows, real.rows, settings.seed, order_of_data, 0);
  const std::span<const std::int64_t> all(order);
  sets.real = gather_rows(real, all.first(static_cast<std::size_t>(n)));
  sets.reference = gather_rows(real, all.subspan(static_cast<std::size_t>(n)));
  sets.gaussian = gaussian_draws(laws.gaussian, n, settings.seed);
  if (laws.mixture) sets.mixture = mixture_draws(*laws.mixture, n, settings.seed);
  return sets;
}

QualityFigure frechet_figure(const ComparedSets& sets, const QualitySettings& settings) {
  QualityFigure figure = empty_figure("frechet", "Frechet distance", sets.draws.rows(), sets.reference.rows());
  GaussianMoments moments(sets.reference.cols());
  moments.add(sets.reference);
  const FrechetReference distance(moments);
  for (const Judged& set : judged(sets)) {
    if (set.rows.rows() < 2) continue;
    const std::int64_t n_rows[] = {set.rows.rows()};
    figure.*set.figure = half_sample_intervals(
        {distance(set.rows)}, n_rows, settings.seed, set.number, settings.n_resamples,
        [&](const HalfSample& half) { return std::vector{distance(gather_rows(set.rows, half[0]))}; })[0];
  }
  return figure;
}

std::vector<QualityFigure> quality_figures(const ComparedSets& sets, const QualitySettings& settings) {
  std::vector<QualityFigure> figures{frechet_figure(sets, settings), sliced_figure(sets, settings)};
  for (QualityFigure& figure : pair_figures(sets, settings)) figures.push_back(std::move(figure));
  return figures;
}

}  // namespace tarn
