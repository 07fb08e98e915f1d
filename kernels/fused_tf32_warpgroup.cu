// The fused kernel (fused_langevin.cuh) for tf32 operands by the instructions of a warpgroup.
#include "fused_instances.hpp"
#include "fused_langevin.cuh"
#include "fused_shapes.hpp"

namespace tarn::cuda {

void launch_fused_tf32_warpgroup(const FusedPlan& plan, const FusedSteps& steps, StreamHandle stream) {
  with_fused_shape<Precision::tf32>(plan.width, [&](auto shape) {
    using Shape = decltype(shape);
    const std::int64_t blocks = (steps.update.n + Shape::chains - 1) / Shape::chains;
    launch(fused::fused_kernel<Shape, Engine::warpgroup>,
           {dim3(static_cast<unsigned>(blocks)), dim3(fused::block_threads), Shape::shared_bytes, stream}, steps);
  });
}

}  // namespace tarn::cuda
