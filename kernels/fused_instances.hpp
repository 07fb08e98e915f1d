// The instances of the fused kernel, a file each.
#pragma once

#include "fused_langevin.hpp"

namespace tarn::cuda {

/// One launch, of `n_units` units from `steps.first_unit` on.
void launch_fused_bf16_warp(const FusedPlan& plan, const FusedSteps& steps, std::int64_t n_units, StreamHandle stream);
void launch_fused_bf16_warpgroup(const FusedPlan& plan, const FusedSteps& steps, std::int64_t n_units,
                                 StreamHandle stream);
void launch_fused_tf32_warp(const FusedPlan& plan, const FusedSteps& steps, std::int64_t n_units, StreamHandle stream);
void launch_fused_tf32_warpgroup(const FusedPlan& plan, const FusedSteps& steps, std::int64_t n_units,
                                 StreamHandle stream);

}  // namespace tarn::cuda
