#include "small_dsm_steps.hpp"

#include <algorithm>

#include "tarn/core/activations.hpp"

namespace tarn::cuda {

SmallDsmSteps::SmallDsmSteps(Context& context, const DsmLayout& layout, Nonlinearity phi,
                             const OptimizerSettings& optimizer, int n_blocks)
    : context_(context), layout_(layout), phi_(phi), optimizer_(optimizer), n_blocks_(n_blocks), arrived_(1) {}

SmallDsmPlan SmallDsmSteps::plan(std::int64_t rows) const {
  if (layout_.has_skew) return {};
  const int copies = 3 + (optimizer_.amsgrad ? 1 : 0) + (optimizer_.ema > 0.0 ? 1 : 0);
  const std::int64_t shared = context_.info.shared_bytes_a_block;
  const SmallDsmPlan by_sizes = small_dsm_plan(phi_, layout_.n_outputs, layout_.n_columns, layout_.n_neurons, rows,
                                               copies, shared, context_.info.n_multiprocessors);
  if (by_sizes.n_blocks == 0 || n_blocks_ == 0) return by_sizes;
  const SmallDsmPlan asked =
      small_dsm_plan(layout_.n_outputs, layout_.n_columns, layout_.n_neurons, rows, copies, n_blocks_);
  return asked.shared_bytes() <= shared ? asked : SmallDsmPlan{};
}

void SmallDsmSteps::enqueue(const SmallDsmPlan& plan, const DsmRowsCall& rows, const DsmResidualCall& constants,
                            const AdamArrays& arrays, const DsmRecord* records, DsmLossRecord* losses,
                            std::int64_t first, std::int64_t n) {
  const StreamHandle stream = context_.stream.handle();
  partials_.reserve(2 * std::int64_t{plan.n_blocks} * plan.n_sums());
  squares_.reserve(2 * std::int64_t{plan.n_blocks});
  zero_async(arrived_.data(), 1, stream);
  SmallDsmCall q;
  q.plan = plan;
  q.in_width = layout_.in_width;
  q.hidden_width = layout_.hidden_width;
  q.v_begin = layout_.v_begin;
  q.rows = rows;
  q.constants = constants;
  q.adam = arrays;
  q.amsgrad = optimizer_.amsgrad;
  q.averages = optimizer_.ema > 0.0;
  q.clip_norm = optimizer_.clip_norm;
  q.records = records;
  q.losses = losses;
  q.first = first;
  q.n_steps = n;
  q.partials = partials_.data();
  q.squares = squares_.data();
  q.arrived = arrived_.data();
  dispatch(phi_, [&](auto phi) { launch_small_dsm_of<phi.value>(q, stream); });
}

}  // namespace tarn::cuda
