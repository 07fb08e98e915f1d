// The rows that every backend trains on, as the sampler-only gradients take them.
#pragma once

#include <cstdint>

#include "dsm_batch.hpp"
#include "tarn/models/sampler_only_dsm.hpp"

namespace tarn {

/// Rows of step `step` of those that `batches` holds; valid until it is filled again.
inline ScoreMatchingRows rows_of_step(const NoisyBatches& batches, std::int64_t step, std::int64_t D,
                                      std::int64_t n_data, double loss_scale) {
  const NoisyStep rows = batches.step(step);
  return {.points = {rows.points, batches.rows(), D},
          .targets = {rows.targets, batches.rows(), D},
          .scale = rows.target_scale,
          .n_data = n_data,
          .loss_scale = loss_scale};
}

}  // namespace tarn
