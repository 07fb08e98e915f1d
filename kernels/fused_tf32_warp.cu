// The fused kernel (fused_langevin.cuh) for tf32 operands by the instructions of a warp.
#include "fused_instances.hpp"
#include "fused_langevin.cuh"
#include "fused_shapes.hpp"

namespace tarn::cuda {

void launch_fused_tf32_warp(const FusedPlan& plan, const FusedSteps& steps, std::int64_t n_units, StreamHandle stream) {
  with_fused_shape<Precision::tf32>(plan.width, [&](auto shape) {
    using Shape = decltype(shape);
    launch(fused::fused_kernel<Shape, Engine::warp>,
           {dim3(static_cast<unsigned>(n_units), steps.splits ? static_cast<unsigned>(steps.n_groups) : 1u),
            dim3(fused::block_threads), Shape::shared_bytes, stream},
           steps);
  });
}

}  // namespace tarn::cuda
