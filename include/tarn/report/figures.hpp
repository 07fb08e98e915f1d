// The figures of a run: plain numbers in, a `Figure` out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tarn/report/gnuplot.hpp"

namespace tarn {

/// A curve over points.
struct Curve {
  std::vector<double> x, y;
  bool empty() const { return x.empty(); }
};

/// The score learned at one noise level, beside the true score of the data smoothed by it.
struct ScoreLevel {
  double sigma = 0.0;
  Curve learned;
  Curve truth;  ///< empty where it is not known
};
/// Small multiples on common axes, largest sigma first; of more than 12 levels, 12 spread evenly with both ends.
Figure figure_score_levels(const std::vector<ScoreLevel>& levels);

/// Densities on one pair of axes; what is empty is left out.
struct DensityCurves {
  std::string bars_name = "draws";
  Curve bars;        ///< histogram of draws: bin centres and densities
  Curve target;      ///< the data's own law
  Curve smoothed;    ///< smoothed by the last noise level
  Curve stationary;  ///< stationary law of the learned score
  std::string x_label = "x";
};
Figure figure_density(const DensityCurves& curves);

/// The course of training, one entry a logged step.
struct TrainingCurve {
  std::vector<double> step;    ///< increasing, over all levels
  std::vector<double> excess;  ///< loss minus the known constant E|xi/sigma|^2 / 2
  std::vector<double> sigma;   ///< noise level at that step
  std::vector<double> exact;   ///< excess loss of the exact score at that level, `-E|s*|^2 / 2`; empty if unknown
  std::int64_t dimension = 1;  ///< D
};
/// The excess loss for D <= 2; beyond, `1 + 2 sigma^2 excess / D`, the share of the noise left unexplained (1 for a
/// network that knows nothing), since there the excess loss itself changes by orders of magnitude between levels. Mean
/// and 10-90 % band over up to 300 (120) stretches, level boundaries marked.
Figure figure_training(const TrainingCurve& curve);

/// One network of a comparison.
struct ComparedModel {
  std::string name;     ///< e.g. "reservoir_sampler, relu"
  std::string verdict;  ///< a short line of numbers under the name, e.g. "score error 0.05, KL 0.004"
  Curve score;
  Curve best_fit;  ///< best score its class can represent; may be empty
  Curve bars;      ///< histogram of its draws; may be empty
  Curve density;   ///< stationary law of its score; may be empty
};
/// A column a network: its score above, its density below, the truth in both, on common axes.
Figure figure_comparison(const std::vector<ComparedModel>& models, const Curve& true_score, const Curve& true_density);

/// A law in the plane: densities in cells of an even grid.
struct PlanarDensity {
  std::string name;
  std::int64_t n = 0;  ///< cells a side
  AxisRange x, y;
  std::vector<double> densities;  ///< `[n * n]`, x running fastest
};
/// Side by side on one logarithmic scale, from the largest density of all down to a thousandth of it.
Figure figure_planar_densities(const std::vector<PlanarDensity>& laws);

/// A distance that falls with time, one curve a network or drift.
struct DistanceCourse {
  std::string name;
  Curve distance;  ///< over time in units of tau
};
/// One panel for each of `panels` (e.g. "along x_0"), logarithmic; `floors` has what exact draws reach in each. `courses[i]` are the
/// curves of panel i.
Figure figure_distance_over_time(const std::string& y_label, const std::vector<std::string>& panels,
                                 const std::vector<std::vector<DistanceCourse>>& courses,
                                 const std::vector<double>& floors);

}  // namespace tarn
