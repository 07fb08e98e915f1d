// Who uses which chain numbers of Stream::evaluation (and of the draws of a target), so that nothing is read twice.
#pragma once

#include <cstdint>

namespace tarn {

enum class EvaluationNoise : std::uint64_t {
  floor_smoothing = 1,  ///< normals added to the draws of a floor
  floor_uniform = 2,    ///< uniforms put through a quantile function
  fit_points = 3,       ///< normals added to the draws of a fit
  fit_restarts = 4,     ///< starting points of fits
  subsets = 5,          ///< random subsets of data
  directions = 6,       ///< directions of sliced distances
  bootstrap = 7,        ///< resamples: item = which statistic, step = resample
  gaussian = 9,         ///< draws of a fitted Gaussian
  reference = 8,        ///< smoothing of reference draws: item = first draw
  half_samples = 10,    ///< rows kept by a half-sample: item = which set (from bit 26 up) and row, step = resample
  mixture_start = 11,   ///< first centres of a fitted mixture: step = number of the centre
  mixture = 12,         ///< draws of a fitted mixture: item = draw for its normals, 2^39 + draw for its component
  restoration = 13,  ///< noise on data that are restored: item = task << 32 + datum (experiment/judge_restoration.cpp)
  drift = 16,  ///< directions in models/stable_step.cpp and outward_growth.cpp, points in experiment/drift_check.cpp
};

/// Chain number of item `index` (below 2^40).
constexpr std::uint64_t evaluation_chain(EvaluationNoise use, std::uint64_t index) {
  return static_cast<std::uint64_t>(use) << 40 | index;
}

}  // namespace tarn
