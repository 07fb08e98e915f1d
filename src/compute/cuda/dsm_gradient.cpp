#include <algorithm>
#include <utility>
#include <vector>

#include "dsm_batch.hpp"
#include "dsm_layout.hpp"
#include "dsm_session.hpp"
#include "dsm_step.hpp"
#include "memory.hpp"

namespace tarn::cuda {

DsmLoss cuda_dsm_gradient(Context& context, const DsmParameters& parameters, const DsmLevel& level,
                          const DsmBatch& batch, DsmParameters& gradient) {
  const DsmLayout layout(parameters);
  require(batch.x.cols == layout.n_columns && batch.xi.cols == layout.n_outputs,
          "training: batch [{}, {}] with noise of {} components does not fit D = {}, U = {}", batch.x.rows,
          batch.x.cols, batch.xi.cols, parameters.n_outputs, parameters.n_inputs);
  NoisyBatches batches;
  batches.fill(batch, level);
  const NoisyStep rows = batches.step(0);
  const std::int64_t B = batches.rows(), K = layout.n_columns, D = layout.n_outputs;
  std::vector<float> weights(static_cast<std::size_t>(layout.size)),
      points(static_cast<std::size_t>(B * layout.in_width), 0.0f),
      targets(static_cast<std::size_t>(B * layout.out_width), 0.0f);
  layout.pack(parameters, weights.data());
  for (std::int64_t i = 0; i < B; ++i) {
    std::copy_n(rows.points + i * K, K, points.data() + i * layout.in_width);
    points[static_cast<std::size_t>(i * layout.in_width + K)] = 1.0f;
    std::copy_n(rows.targets + i * D, D, targets.data() + i * layout.out_width);
  }

  const StreamHandle stream = context.stream.handle();
  const SettleOnThrow settle(stream);
  DeviceBuffer<float> device_weights(layout.size), device_gradient(layout.size);
  DeviceBuffer<DsmLossRecord> device_loss(1);
  zero_async(device_gradient.data(), layout.size, stream);
  DsmStep step(context, layout, parameters.phi);
  step.resize(B);
  step.set_level(level, B);
  const auto upload = [&](float* to, const float* from, std::int64_t n) { copy_async(to, from, n, stream); };
  upload(device_weights.data(), weights.data(), layout.size);
  upload(step.points(), points.data(), B * layout.in_width);
  upload(step.targets(), targets.data(), B * layout.out_width);
  upload(step.target_scale(), rows.target_scale, B);
  step.enqueue(device_weights.data(), device_gradient.data());
  DsmLossRecord loss;
  launch_dsm_finish(step.row_losses(), B, nullptr, device_loss.data(), {}, stream);
  copy_async(&loss, std::as_const(device_loss).data(), 1, stream);
  copy_async(weights.data(), std::as_const(device_gradient).data(), layout.size, stream);
  context.stream.synchronize();
  gradient = parameters;
  layout.unpack(weights.data(), gradient);
  return {loss.loss, loss.excess, 0.0};
}

}  // namespace tarn::cuda
