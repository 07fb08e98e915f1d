// Residuals and optimiser of a large-D training step. Compiled once per instruction set.
#include "large_dsm_kernels.hpp"

#include "adam_update.hpp"
#include "tarn/core/pack.hpp"

namespace tarn::cpu::TARN_ISA {
namespace {

// One pack of rows: panel `panel`, from lane `lane` on.
void residuals_of_pack(ResidualCall& q, std::int64_t panel, std::int64_t lane) {
  const std::int64_t row = panel * panel_lanes + lane, base = panel * q.n_outputs * panel_lanes + lane;
  const Pack target_scale = Pack::load(q.target_scale + row), weight = Pack::load(q.weight + row),
             counts = Pack::load(q.counts + row);
  Pack loss(0.0f), excess(0.0f);
  for (std::int64_t d = q.first; d < q.last; ++d) {
    const std::int64_t at = base + d * panel_lanes;
    Pack sum = Pack::load(q.partials + at);
    for (std::int64_t g = 1; g < q.n_groups; ++g) sum = sum + Pack::load(q.partials + g * q.group_stride + at);
    const Pack x = Pack::load(q.points + panel * q.points_stride + d * panel_lanes + lane);
    const Pack score = fma(Pack(q.output_scale), sum, Pack(0.0f) - x);
    const Pack target = Pack::load(q.targets + at);
    const Pack residual = fma(target_scale, score, target);
    (weight * residual).store(q.deltas + at);
    loss = fma(Pack(0.5f) * residual, residual, loss);
    excess = fma(score, fma(Pack(0.5f), score, target), excess);
  }
  for (int i = 0; i < pack_lanes; ++i) {
    if (counts.lane(i) == 0.0f) continue;
    q.loss += static_cast<double>(loss.lane(i));
    q.excess += static_cast<double>(excess.lane(i));
  }
}

void residuals(ResidualCall& q) {
  q.loss = q.excess = 0.0;
  for (std::int64_t row = 0; row < q.n_rows; row += pack_lanes)
    residuals_of_pack(q, row / panel_lanes, row % panel_lanes);
  for (std::int64_t row = 0; row < q.n_rows; ++row) {
    const float* from = q.deltas + row / panel_lanes * q.n_outputs * panel_lanes + row % panel_lanes;
    float* to = q.delta_rows + row * q.delta_stride;
    for (std::int64_t d = q.first; d < q.last; ++d) to[d] = from[d * panel_lanes];
  }
}

void adam(const AdamStep& s, const AdamArrays& a, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += pack_lanes) {
    adam_update(s, Pack::load(a.gradient + i),
                {a.weight + i, a.first + i, a.second + i, s.amsgrad ? a.largest + i : nullptr,
                 s.ema > 0.0f ? a.average + i : nullptr});
  }
}

double sum_of_squares(const float* values, std::int64_t n) {
  double lanes[8] = {};
  for (std::int64_t i = 0; i < n; i += 8) {
    for (int k = 0; k < 8; ++k) {
      const auto value = static_cast<double>(values[i + k]);
      lanes[k] += value * value;
    }
  }
  return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

}  // namespace

const LargeDsmKernels large_dsm_table{residuals, adam, sum_of_squares};

}  // namespace tarn::cpu::TARN_ISA
