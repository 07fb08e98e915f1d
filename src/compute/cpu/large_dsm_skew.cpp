// The part of a training step between forward and backward where J is trained in: the score is f M^T, M = (I + J)^-1.
//   outputs    partial sums added in order of the groups: f
//   map        s = f M^T
//   residuals  from s as without a map: g = d loss / d s, up to output_scale
//   pull back  d loss / d f = g M, and d loss / d J = -(g M)^T s
#include <algorithm>

#include "large_dsm.hpp"

namespace tarn::cpu {
namespace {

// Rows `first` to `last` of D of a product with the map or its transpose: `out = [map or map^T] in`, panels `[D]`.
PanelProduct map_product(const float* map, bool transposed, std::int64_t D, std::int64_t n_columns, const float* in,
                         float* out, std::int64_t first, std::int64_t last) {
  PanelProduct p;
  p.n_rows = last - first;
  p.n_k = D;
  p.n_columns = n_columns;
  p.weights = map + (transposed ? first : first * D);
  p.weight_row = transposed ? 1 : D;
  p.weight_k = transposed ? D : 1;
  p.in = in;
  p.in_panel = p.out_panel = D * panel_lanes;
  p.out = out + first * panel_lanes;
  return p;
}

void copy_rows(const float* panels, std::int64_t D, std::int64_t n_rows, std::int64_t first, std::int64_t last,
               float* rows, std::int64_t stride) {
  for (std::int64_t r = 0; r < n_rows; ++r) {
    const float* from = panels + r / panel_lanes * D * panel_lanes + r % panel_lanes;
    for (std::int64_t d = first; d < last; ++d) rows[r * stride + d] = from[d * panel_lanes];
  }
}

}  // namespace

void LargeDsm::mapped_residuals(const float* weights) {
  constexpr std::int64_t chunk = 16;
  const std::int64_t D = layout_.n_outputs, width = layout_.out_width;
  DsmSkew& skew = layout_.skew;
#pragma omp single
  skew.set(weights + layout_.skew_begin());

#pragma omp for schedule(static)
  for (std::int64_t d = 0; d < D; ++d) {
    for (std::int64_t q = 0; q < n_panels_; ++q) {
      const float* x = points_.data() + (q * point_width_ + d) * panel_lanes;
      float* f = outputs_.data() + (q * D + d) * panel_lanes;
      for (std::int64_t i = 0; i < panel_lanes; ++i) {
        float sum = 0.0f;
        for (std::int64_t g = 0; g < layout_.n_groups; ++g)
          sum += partials_[static_cast<std::size_t>(g * group_stride() + (q * D + d) * panel_lanes + i)];
        f[i] = output_scale_ * sum - x[i];
      }
    }
  }
#pragma omp for schedule(static)
  for (std::int64_t first = 0; first < D; first += chunk) {
    const std::int64_t last = std::min(first + chunk, D);
    gemm_.product(map_product(skew.map(), false, D, rows_, outputs_.data(), scores_.data(), first, last));
    copy_rows(scores_.data(), D, rows_, first, last, score_rows_.data(), width);
  }

  ResidualCall q = residual_call();
  q.n_groups = 1;
  q.partials = scores_.data();
  q.output_scale = 1.0f;
  q.points = zeros_.data();
  q.points_stride = D * panel_lanes;
  residuals(q);

#pragma omp for schedule(static)
  for (std::int64_t first = 0; first < D; first += chunk) {
    const std::int64_t last = std::min(first + chunk, D);
    gemm_.product(map_product(skew.map(), true, D, rows_, deltas_.data(), outputs_.data(), first, last));
    copy_rows(outputs_.data(), D, rows_, first, last, delta_rows_.data(), width);
    PanelProduct p;  // (g M)^T s: sums over the rows of the batch, which lie in panels
    p.n_rows = last - first;
    p.n_k = rows_;
    p.n_columns = D;
    p.weights = outputs_.data() + first * panel_lanes;
    p.weight_row = panel_lanes;
    p.k_block = panel_lanes;
    p.weight_block = D * panel_lanes;
    p.in = score_rows_.data();
    p.in_panel = panel_lanes;
    p.in_row = width;
    p.out = pulled_.data() + first * width;
    p.out_panel = panel_lanes;
    p.out_row = width;
    gemm_.product(p);
  }
#pragma omp single
  {
    std::swap(deltas_, outputs_);
    for (std::int64_t i = 0; i < D; ++i) {
      for (std::int64_t j = 0; j < D; ++j)
        skew.dJ()[i * D + j] = -static_cast<double>(pulled_[static_cast<std::size_t>(i * width + j)]) / output_scale_;
    }
    skew.gradient(weights + layout_.skew_begin(), skew_gradient_.data());
  }
}

void LargeDsm::update_skew(DsmState& state, const AdamStep& adam) {
  if (!layout_.skew.on()) return;
#pragma omp single
  kernels_.adam(adam_of_skew(adam), arrays_at(state, skew_gradient_.data(), layout_.skew_begin()),
                static_cast<std::int64_t>(layout_.skew.size()));
}

}  // namespace tarn::cpu
