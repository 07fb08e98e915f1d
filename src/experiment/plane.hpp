// What the evaluations in the plane share: the directions looked along, exact draws to compare with, and their floors.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tarn/evaluation/planar.hpp"
#include "tarn/experiment/evaluation_stage.hpp"

namespace tarn {

/// A direction and its names, in metrics.jsonl and in tables.
struct PlaneDirection {
  std::string key, label;
  std::vector<double> unit;
};
/// The axes, then +45 and -45 degrees: a cross along the diagonals shows in the latter two only.
const std::array<PlaneDirection, 4>& plane_directions();

/// A law in the plane by exact draws: distances to it, and what `n` exact draws reach.
class PlaneReference {
 public:
  /// The law of `target` smoothed by `sigma` (data units), judged at `n` draws; sliced distances take `n_directions` directions.
  PlaneReference(const Target& target, double sigma, std::int64_t n, std::uint64_t seed, std::int64_t n_directions);

  struct Level {
    double mean = 0.0, deviation = 0.0;
  };
  const Matrix<float>& draws() const { return draws_; }  ///< `[n_reference, 2]`
  const MarginalDistance& w1() const { return w1_; }
  const SlicedDistance& sliced() const { return sliced_; }
  /// Over `n_replicates` sets of n exact draws; `f(set)` is any figure of merit.
  template <class F>
  Level floor(F&& f) const {
    std::vector<double> values;
    for (const Matrix<float>& set : replicates_) values.push_back(f(set.view()));
    return summarise(values);
  }
  static constexpr std::int64_t n_replicates = 10;

 private:
  static Level summarise(const std::vector<double>& values);
  Matrix<float> draws_;
  std::vector<Matrix<float>> replicates_;
  MarginalDistance w1_;
  SlicedDistance sliced_;
};

/// 2-D runs with a known law: W1 along the axes and diagonals, sliced W2, arms, quantiles, kurtosis, densities side by side.
void evaluate_plane(const EvaluationInput& input, EvaluationOutcome& outcome);

/// Runs the trained network with the irreversible drifts of `evaluation.accelerate` and without: W1 against time, integrated
/// autocorrelation times, shift of the law.
void evaluate_acceleration(const EvaluationInput& input, EvaluationOutcome& outcome);

}  // namespace tarn
