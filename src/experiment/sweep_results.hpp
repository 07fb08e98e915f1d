// What a sweep found, for people and for programs; private to the sweep.
#pragma once

#include <string>
#include <vector>

#include "sweep_point.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/report/capacity_figure.hpp"

namespace tarn {

/// All points of a sweep with what was found, and the floors of each law.
struct SweepResults {
  std::vector<SweepPoint> points;
  std::vector<PointResult> results;                  ///< as many
  std::vector<double> kl_floor, kl_floor_deviation;  ///< of each target; NaN: none
};

/// One line a point, for other programs: law, model, neurons, seed, score_error, score_error_deviation, kl, n_lost.
std::string points_csv(const Config& sweep, const SweepResults& found);

/// Medians over seeds as metrics, a table a law, warnings where chains were lost.
EvaluationOutcome summary_of(const Config& sweep, const SweepResults& found);

std::vector<CapacityLaw> capacity_laws(const Config& sweep, const SweepResults& found);

/// Median, smallest and largest of some values; NaN where one of them is NaN, so that nothing is averaged away.
Spread spread_of(std::vector<double> values);

}  // namespace tarn
