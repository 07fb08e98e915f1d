// Draws judged against data by several distances at once, on one scale: other data, a Gaussian mixture, one Gaussian (docs/quality.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/evaluation/gaussian_mixture_fit.hpp"
#include "tarn/evaluation/image_set.hpp"
#include "tarn/evaluation/resampling.hpp"

namespace tarn {

struct QualitySettings {
  std::int64_t n_draws = 10000;  ///< draws that are judged at most
  std::int64_t n_pairs = 1000;  ///< ... and for distances of pairs and for neighbours, whose cost grows with the square
  std::int64_t n_neighbours = 5;    ///< k of precision, recall, density, coverage
  std::int64_t n_directions = 64;   ///< of sliced distances
  std::int64_t n_resamples = 100;   ///< half-samples behind each interval
  std::int64_t n_components = 100;  ///< of the mixture at most; 0: no mixture
  std::uint64_t seed = 0;
};

/// Simple laws with something of the data: what a figure of merit is to be read against.
struct ReferenceLaws {
  GaussianMoments gaussian{1};
  std::optional<MixtureFit> mixture;
};

/// Components that a mixture of full covariances is given: `most`, but so few that each has five rows a dimension on average.
std::int64_t mixture_components(std::int64_t n_rows, std::int64_t dimension, std::int64_t most);

/// Fitted to all rows. `real` `[m, D]`, finite. No mixture where `n_components` is 0 or the rows suffice for fewer than two.
ReferenceLaws fit_reference_laws(MatrixView<const float> real, const QualitySettings& settings);

/// Sets in one space; all but the reference have n rows. In random order.
struct ComparedSets {
  Matrix<float> draws, real, mixture, gaussian;  ///< what is judged; `mixture` may be empty
  Matrix<float> reference;                       ///< the data they are judged against, disjoint from `real`
  std::int64_t n_not_finite = 0;                 ///< draws left out
};

/// n = min(n_draws, finite draws, half of the data). `draws` `[n', D]`, `real` `[m, D]`, finite. Throws `Error` for other shapes and for
/// fewer than four rows of data.
ComparedSets compared_sets(MatrixView<const float> draws, MatrixView<const float> real, const ReferenceLaws& laws,
                           const QualitySettings& settings);

/// One figure of merit for each of the sets. NaN where a set is too small for it.
struct QualityFigure {
  std::string name;   ///< "energy_distance", as in metrics.jsonl
  std::string label;  ///< for people
  Interval draws, real, mixture, gaussian;
  std::int64_t n = 0;            ///< rows of a set that were looked at
  std::int64_t n_reference = 0;  ///< rows of the reference
};

/// "frechet", "sliced_w2", "energy_distance", "squared_mmd", "precision", "recall", "density", "coverage", in this order. Intervals
/// (95 %, `half_sample_intervals`) are those of drawing the judged rows; for pairs and neighbours those of the reference are drawn
/// again too.
std::vector<QualityFigure> quality_figures(const ComparedSets& sets, const QualitySettings& settings);

/// The Frechet distance alone.
QualityFigure frechet_figure(const ComparedSets& sets, const QualitySettings& settings);

}  // namespace tarn
