// The phases of a training step, with a barrier after each:
//   rows       x~ and targets of the step, laid out as panels (for sums over inputs) and as rows (for sums over the batch)
//   forward    each group of neurons: a = phi([x~ u 1] [W_in b]^T), partial s = a V^T
//   residuals  partial sums added in order of the groups; e = target_scale s + target; delta = weight e; loss
//   backward   each block of neurons: g = (delta V) phi'(u), dV = a^T delta, d[W_in b] = g^T [x~ u 1]; optimiser step
// Gradients as in docs/models.md. Groups and blocks depend on sizes alone, so the bits do not depend on the number of threads.
#include "large_dsm.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "denormals.hpp"
#include "large_network.hpp"

namespace tarn::cpu {
namespace {

constexpr std::int64_t components_a_chunk = 16;
constexpr std::int64_t largest_block = 14;

std::int64_t neurons_a_group(std::int64_t n) {
  const auto blocks = [](std::int64_t neurons) { return std::max(round_up(neurons, largest_block), largest_block); };
  return std::max(blocks((n + 63) / 64), std::min<std::int64_t>(252, blocks((n + 7) / 8)));
}

}  // namespace

DsmLayout::DsmLayout(const DsmParameters& p)
    : n_outputs(p.n_outputs),
      n_columns(p.n_outputs + p.n_inputs),
      n_neurons(p.W_in.rows()),
      in_width(round_up(n_columns + 1, 16)),
      out_width(round_up(n_outputs, 16)),
      record(spread_stride(in_width + out_width)),
      group_neurons(neurons_a_group(n_neurons)),
      n_groups((n_neurons + group_neurons - 1) / group_neurons),
      skew(p) {
  require(n_neurons > 0 && n_outputs > 0, "training: needs neurons and outputs, found N = {}, D = {}", n_neurons,
          n_outputs);
  require(p.W_in.cols() == n_columns && p.b.size() == n_neurons && p.V.rows() == n_outputs && p.V.cols() == n_neurons,
          "training: parameters do not fit: W_in [{}, {}], b [{}], V [{}, {}]", n_neurons, p.W_in.cols(), p.b.size(),
          p.V.rows(), p.V.cols());
}

AlignedVector<float> DsmLayout::pack(const DsmParameters& p) const {
  AlignedVector<float> records(size(), 0.0f);
  for (std::int64_t j = 0; j < n_neurons; ++j) {
    float* r = records.data() + j * record;
    std::copy_n(p.W_in.row(j), n_columns, r);
    r[n_columns] = p.b.data()[j];
    for (std::int64_t d = 0; d < n_outputs; ++d) r[in_width + d] = p.V(d, j);
  }
  skew.pack(p, records.data() + skew_begin());
  return records;
}

void DsmLayout::unpack(const AlignedVector<float>& records, DsmParameters& p) const {
  for (std::int64_t j = 0; j < n_neurons; ++j) {
    const float* r = records.data() + j * record;
    std::copy_n(r, n_columns, p.W_in.row(j));
    p.b.data()[j] = r[n_columns];
    for (std::int64_t d = 0; d < n_outputs; ++d) p.V(d, j) = r[in_width + d];
  }
  skew.unpack(records.data() + skew_begin(), p);
}

LargeDsm::LargeDsm(const DsmLayout& layout, Nonlinearity phi, int n_threads)
    : layout_(layout),
      phi_(phi),
      n_threads_(n_threads),
      gemm_(gemm_kernels(current_isa())),
      kernels_(large_dsm_kernels(current_isa())),
      block_neurons_(largest_block / gemm_.rows_a_pass * gemm_.rows_a_pass),
      point_width_(layout.n_columns + 1) {}

void LargeDsm::resize(std::int64_t rows, bool keeps_gradient) {
  if (keeps_gradient && gradient_.empty()) gradient_.assign(layout_.size(), 0.0f);
  if (rows == rows_) return;
  rows_ = rows;
  n_panels_ = panels_of(rows);
  const std::int64_t lanes = n_panels_ * panel_lanes;
  const auto make = [](AlignedVector<float>& v, std::int64_t n) { v.assign(static_cast<std::size_t>(n), 0.0f); };
  make(points_, lanes * point_width_);
  make(point_rows_, rows * layout_.in_width);
  make(targets_, lanes * layout_.n_outputs);
  make(deltas_, lanes * layout_.n_outputs);
  make(delta_rows_, rows * layout_.out_width);
  for (auto* v : {&target_scale_, &weight_, &counts_}) make(*v, lanes);
  if (layout_.skew.on()) {
    for (auto* v : {&outputs_, &scores_, &zeros_}) make(*v, lanes * layout_.n_outputs);
    make(score_rows_, rows * layout_.out_width);
    make(pulled_, layout_.n_outputs * layout_.out_width);
    make(skew_gradient_, static_cast<std::int64_t>(layout_.skew.size()));
  }
  make(activations_, layout_.n_groups * layout_.group_neurons * lanes);
  make(partials_, layout_.n_groups * group_stride());
  const auto chunks = static_cast<std::size_t>((layout_.n_outputs + components_a_chunk - 1) / components_a_chunk);
  losses_.assign(chunks, 0.0);
  excesses_.assign(chunks, 0.0);
  squares_.assign(static_cast<std::size_t>(layout_.n_groups), 0.0);
  scratch_.resize(static_cast<std::size_t>(n_threads_));
  for (auto& s : scratch_) make(s, block_neurons_ * (layout_.record + lanes));
}

void LargeDsm::set_level(const DsmLevel& level, std::int64_t batch_size) {
  batch_size_ = batch_size;
  confinement_weight_ = static_cast<float>(level.output_scale / static_cast<double>(batch_size));
  output_scale_ = static_cast<float>(level.output_scale);
  std::fill_n(counts_.data(), batch_size, 1.0f);
  std::fill_n(counts_.data() + batch_size, rows_ - batch_size, 0.0f);
  std::fill_n(weight_.data(), batch_size,
              static_cast<float>(level.loss_scale * level.output_scale / static_cast<double>(batch_size)));
}

void LargeDsm::set_rows(const NoisyStep& rows) {
  const std::int64_t K = layout_.n_columns, D = layout_.n_outputs;
#pragma omp for schedule(static)
  for (std::int64_t first = 0; first < rows_; first += 8) {
    const std::int64_t last = std::min(first + 8, rows_);
    for (std::int64_t i = first; i < last; ++i) {
      float* to = point_rows_.data() + i * layout_.in_width;
      std::copy_n(rows.points + i * K, K, to);
      to[K] = 1.0f;
    }
    float* points = points_.data() + first / panel_lanes * point_width_ * panel_lanes + first % panel_lanes;
    float* targets = targets_.data() + first / panel_lanes * D * panel_lanes + first % panel_lanes;
    for (std::int64_t k = 0; k <= K; ++k) {
      for (std::int64_t i = first; i < last; ++i)
        points[k * panel_lanes + i - first] = point_rows_[i * layout_.in_width + k];
    }
    for (std::int64_t d = 0; d < D; ++d) {
      for (std::int64_t i = first; i < last; ++i) targets[d * panel_lanes + i - first] = rows.targets[i * D + d];
    }
    for (std::int64_t i = first; i < last; ++i) {
      target_scale_[static_cast<std::size_t>(i)] = rows.target_scale[i];
      // a confinement row's loss has no loss_scale; its residual is target_scale s + target
      if (counts_[static_cast<std::size_t>(i)] == 0.0f)
        weight_[static_cast<std::size_t>(i)] = confinement_weight_ * rows.target_scale[i];
    }
  }
}

void LargeDsm::forward(const float* weights) {
#pragma omp for schedule(static)
  for (std::int64_t g = 0; g < layout_.n_groups; ++g) {
    const std::int64_t first = layout_.group_begin(g), count = layout_.group_end(g) - first;
    PanelProduct p;
    p.n_rows = count;
    p.n_k = point_width_;
    p.n_columns = rows_;
    p.weights = weights + first * layout_.record;
    p.weight_row = layout_.record;
    p.in = points_.data();
    p.in_panel = point_width_ * panel_lanes;
    p.out = activations(g);
    p.out_panel = layout_.group_neurons * panel_lanes;
    p.epilogue = Epilogue::activate;
    p.phi = phi_;
    p.prefetch = p.weights + gemm_.rows_a_pass * layout_.record;  // the next rows, V with them
    p.prefetch_row = layout_.record;
    gemm_.product(p);

    PanelProduct s;
    s.n_rows = layout_.n_outputs;
    s.n_k = count;
    s.n_columns = rows_;
    s.weights = weights + first * layout_.record + layout_.in_width;
    s.weight_row = 1;
    s.weight_k = layout_.record;
    s.in = p.out;
    s.in_panel = p.out_panel;
    s.out = partials_.data() + g * group_stride();
    s.out_panel = layout_.n_outputs * panel_lanes;
    gemm_.product(s);
  }
}

ResidualCall LargeDsm::residual_call() {
  ResidualCall q;
  q.n_outputs = layout_.n_outputs;
  q.n_rows = rows_;
  q.n_groups = layout_.n_groups;
  q.partials = partials_.data();
  q.group_stride = group_stride();
  q.points = points_.data();
  q.points_stride = point_width_ * panel_lanes;
  q.targets = targets_.data();
  q.target_scale = target_scale_.data();
  q.weight = weight_.data();
  q.counts = counts_.data();
  q.output_scale = output_scale_;
  q.deltas = deltas_.data();
  q.delta_rows = delta_rows_.data();
  q.delta_stride = layout_.out_width;
  return q;
}

void LargeDsm::residuals(ResidualCall q) {
  const auto n_chunks = static_cast<std::int64_t>(losses_.size());
#pragma omp for schedule(static)
  for (std::int64_t i = 0; i < n_chunks; ++i) {
    q.first = i * components_a_chunk;
    q.last = std::min(q.first + components_a_chunk, layout_.n_outputs);
    kernels_.residuals(q);
    losses_[static_cast<std::size_t>(i)] = q.loss;
    excesses_[static_cast<std::size_t>(i)] = q.excess;
  }
}

// Gradient records of `count` neurons of group `g`, from `first` on; `back` is scratch for their part of the
// back-propagated error.
void LargeDsm::block_gradient(const float* weights, std::int64_t g, std::int64_t first, std::int64_t count,
                              float* gradient, float* back, const DsmState* state) {
  const float* a = activations(g) + (first - layout_.group_begin(g)) * panel_lanes;
  const std::int64_t a_panel = layout_.group_neurons * panel_lanes, back_panel = block_neurons_ * panel_lanes;

  PanelProduct p;
  p.n_rows = count;
  p.n_k = layout_.n_outputs;
  p.n_columns = rows_;
  p.weights = weights + first * layout_.record + layout_.in_width;
  p.weight_row = layout_.record;
  p.in = deltas_.data();
  p.in_panel = layout_.n_outputs * panel_lanes;
  p.out = back;
  p.out_panel = back_panel;
  p.epilogue = Epilogue::derivative;
  p.phi = phi_;
  p.activations = a;
  p.activation_panel = a_panel;
  // the optimiser's arrays, and the weights of the next block, come while the products are at work
  p.prefetch_row = layout_.record;
  if (state) p.prefetch = state->first.data() + first * layout_.record;
  gemm_.product(p);

  PanelProduct v;  // sums over the rows of the batch, which lie in panels
  v.n_rows = count;
  v.n_k = rows_;
  v.n_columns = layout_.n_outputs;
  v.weights = a;
  v.weight_row = panel_lanes;
  v.k_block = panel_lanes;
  v.weight_block = a_panel;
  v.in = delta_rows_.data();
  v.in_panel = panel_lanes;
  v.in_row = layout_.out_width;
  v.out = gradient + layout_.in_width;
  v.out_panel = panel_lanes;
  v.out_row = layout_.record;
  v.prefetch_row = layout_.record;
  if (state) v.prefetch = state->second.data() + first * layout_.record;
  gemm_.product(v);

  PanelProduct w = v;
  w.n_columns = layout_.n_columns + 1;
  w.weights = back;
  w.weight_block = back_panel;
  w.in = point_rows_.data();
  w.in_row = layout_.in_width;
  w.out = gradient;
  w.prefetch = weights + (first + block_neurons_) * layout_.record;
  gemm_.product(w);
}

float* LargeDsm::scratch() { return scratch_[static_cast<std::size_t>(omp_get_thread_num())].data(); }

void LargeDsm::backward(DsmState& state, const AdamStep& adam) {
#pragma omp for schedule(static)
  for (std::int64_t g = 0; g < layout_.n_groups; ++g) {
    float* gradient = scratch();
    for (std::int64_t first = layout_.group_begin(g); first < layout_.group_end(g); first += block_neurons_) {
      const std::int64_t count = std::min(block_neurons_, layout_.group_end(g) - first);
      block_gradient(state.weights.data(), g, first, count, gradient, gradient + block_neurons_ * layout_.record,
                     &state);
      kernels_.adam(adam, arrays_at(state, gradient, first * layout_.record), count * layout_.record);
    }
  }
}

void LargeDsm::backward(const float* weights) {
#pragma omp for schedule(static)
  for (std::int64_t g = 0; g < layout_.n_groups; ++g) {
    double square = 0.0;
    for (std::int64_t first = layout_.group_begin(g); first < layout_.group_end(g); first += block_neurons_) {
      const std::int64_t count = std::min(block_neurons_, layout_.group_end(g) - first);
      float* gradient = gradient_.data() + first * layout_.record;
      block_gradient(weights, g, first, count, gradient, scratch(), nullptr);
      square += kernels_.sum_of_squares(gradient, count * layout_.record);
    }
    squares_[static_cast<std::size_t>(g)] = square;
  }
}

void LargeDsm::update(DsmState& state, const AdamStep& adam) {
#pragma omp for schedule(static)
  for (std::int64_t g = 0; g < layout_.n_groups; ++g) {
    const std::int64_t at = layout_.group_begin(g) * layout_.record;
    kernels_.adam(adam, arrays_at(state, gradient_.data() + at, at), layout_.group_end(g) * layout_.record - at);
  }
}

DsmLoss LargeDsm::loss() const {
  DsmLoss total;
  for (std::size_t i = 0; i < losses_.size(); ++i) {
    total.loss += losses_[i];
    total.excess += excesses_[i];
  }
  total.loss /= static_cast<double>(batch_size_);
  total.excess /= static_cast<double>(batch_size_);
  return total;
}

double LargeDsm::gradient_norm() const {
  double square = 0.0;
  for (const double s : squares_) square += s;
  for (const float g : skew_gradient_) square += static_cast<double>(g) * g;
  return std::sqrt(square);
}

void LargeDsm::train(DsmState& state, const NoisyBatches& batches, const DsmLevel& level, std::int64_t batch_size,
                     std::span<const AdamStep> adam, double clip_norm, std::span<DsmLoss> losses) {
  const bool clips = clip_norm > 0.0;
  resize(batches.rows(), clips);
  set_level(level, batch_size);
#pragma omp parallel num_threads(n_threads_)
  {
    const FlushDenormals flush;
    for (std::size_t i = 0; i < adam.size(); ++i) {
      set_rows(batches.step(static_cast<std::int64_t>(i)));
      forward(state.weights.data());
      if (layout_.skew.on()) {
        mapped_residuals(state.weights.data());
      } else {
        residuals(residual_call());
      }
      double norm = 0.0;
      if (clips) {
        backward(state.weights.data());
        norm = gradient_norm();
        AdamStep clipped = adam[i];
        if (norm > clip_norm) clipped.gradient_scale = static_cast<float>(clip_norm / norm);
        update(state, clipped);
        update_skew(state, clipped);
      } else {
        backward(state, adam[i]);
        update_skew(state, adam[i]);
      }
#pragma omp master
      {
        losses[i] = loss();
        losses[i].gradient_norm = norm;
      }
    }
  }
}

DsmLoss LargeDsm::differentiate(const AlignedVector<float>& weights, const NoisyBatches& batches, const DsmLevel& level,
                                std::int64_t batch_size) {
  resize(batches.rows(), true);
  set_level(level, batch_size);
#pragma omp parallel num_threads(n_threads_)
  {
    set_rows(batches.step(0));
    forward(weights.data());
    if (layout_.skew.on()) {
      mapped_residuals(weights.data());
    } else {
      residuals(residual_call());
    }
    backward(weights.data());
  }
  std::copy(skew_gradient_.begin(), skew_gradient_.end(), gradient_.begin() + layout_.skew_begin());
  return loss();
}

}  // namespace tarn::cpu
