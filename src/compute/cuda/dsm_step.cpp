#include "dsm_step.hpp"

#include <algorithm>

#include "dsm_descent.hpp"
#include "dsm_skew.hpp"

namespace tarn::cuda {
namespace {

// Pads of rows take part in elementwise work, so that they must hold numbers.
template <class T>
bool grow(DeviceBuffer<T>& buffer, std::int64_t n, StreamHandle stream) {
  if (n <= buffer.size()) return false;
  buffer.reserve(n);
  zero_async(buffer.data(), n, stream);
  return true;
}

}  // namespace

DsmStep::DsmStep(Context& context, const DsmLayout& layout, Nonlinearity phi, bool slices, Precision precision,
                 int neuron_tile)
    : context_(context),
      layout_(layout),
      phi_(phi),
      slices_(slices),
      precision_(precision),
      neurons_(context, phi, precision, neuron_tile) {
  if (!layout.has_skew) return;
  const std::int64_t D = layout.n_outputs;
  map_ = DeviceBuffer<float>(D * layout.out_width);
  pulled_ = DeviceBuffer<float>(D * layout.out_width);
  skew_scratch_ = DeviceBuffer<double>(skew_scratch(D));
}

// The product of sums over neurons is worked on in tiles of about 64 by 64: so many slices that a multiprocessor gets two or three, and no more,
// since each slice's sums go to memory and back.
std::int64_t DsmStep::slices_of(std::int64_t rows) const {
  if (!slices_) return 1;
  const std::int64_t tiles = ((rows + 63) / 64) * ((layout_.n_outputs + 63) / 64);
  const std::int64_t most = std::max<std::int64_t>(context_.info.n_multiprocessors * 5 / 2 / tiles, 1);
  std::int64_t slices = std::min(layout_.most_slices, most);
  while (layout_.most_slices % slices != 0) --slices;
  return slices;
}

bool DsmStep::resize(std::int64_t rows) {
  rows_ = rows;
  residual_.n_slices = slices_of(rows);
  const StreamHandle stream = context_.stream.handle();
  bool moved = grow(points_, rows * layout_.in_width, stream);
  moved |= grow(targets_, rows * layout_.out_width, stream);
  moved |= grow(target_scale_, rows, stream);
  moved |= grow(activations_, rows * layout_.hidden_width, stream);
  moved |= grow(back_, rows * layout_.hidden_width, stream);
  moved |= grow(sums_, residual_.n_slices * rows * layout_.out_width, stream);
  moved |= grow(deltas_, rows * layout_.out_width, stream);
  moved |= grow(row_losses_, 2 * rows, stream);
  if (layout_.has_skew) {
    moved |= grow(outputs_, rows * layout_.out_width, stream);
    moved |= grow(scores_, rows * layout_.out_width, stream);
    moved |= grow(back_outputs_, rows * layout_.out_width, stream);
  }
  return moved;
}

void DsmStep::set_level(const DsmLevel& level, std::int64_t batch_size) {
  const auto B = static_cast<double>(batch_size);
  residual_.n_rows = rows_;
  residual_.batch_size = batch_size;
  residual_.n_outputs = layout_.n_outputs;
  residual_.in_width = layout_.in_width;
  residual_.out_width = layout_.out_width;
  residual_.points = points_.data();
  residual_.targets = targets_.data();
  residual_.target_scale = target_scale_.data();
  residual_.output_scale = static_cast<float>(level.output_scale);
  residual_.data_weight = static_cast<float>(level.loss_scale * level.output_scale / B);
  residual_.confinement_weight = static_cast<float>(level.output_scale / B);
}

void DsmStep::enqueue(const float* weights, float* gradient) {
  forward(weights);
  residuals(weights, gradient);
  backward(weights, gradient);
}

void DsmStep::enqueue_descent(const AdamArrays& arrays, float* gradient, DsmLossRecord* losses, unsigned* ticket,
                              const DsmClock& clock) {
  const StreamHandle stream = context_.stream.handle();
  forward(arrays.weights);
  residuals(arrays.weights, gradient);
  Product back = back_to_neurons(arrays.weights);
  back.precision = precision_;
  context_.blas->product(back, stream);  // its slope is for the pass
  if (layout_.has_skew) launch_adam(arrays.from(layout_.skew_begin), clock, nullptr, stream);
  DsmDescentCall q;
  q.phi = phi_;
  q.n_rows = static_cast<int>(rows_);
  q.batch_size = static_cast<int>(residual_.batch_size);
  q.n_neurons = static_cast<int>(layout_.n_neurons);
  q.n_outputs = static_cast<int>(layout_.n_outputs);
  q.in_width = static_cast<int>(layout_.in_width);
  q.hidden_width = static_cast<int>(layout_.hidden_width);
  q.out_width = static_cast<int>(layout_.out_width);
  q.v_begin = layout_.v_begin;
  q.points = points_.data();
  q.activations = activations_.data();
  q.back = back_.data();
  q.deltas = deltas();
  q.adam = arrays;
  q.row_losses = row_losses_.data();
  q.losses = losses;
  q.ticket = ticket;
  q.clock = clock;
  launch_dsm_descent(q, stream);
}

void DsmStep::residuals(const float* weights, float* gradient) {
  if (layout_.has_skew) {
    mapped_residuals(weights, gradient);
  } else {
    launch_dsm_residual(residual_, false, sums_.data(), deltas_.data(), row_losses_.data(), context_.stream.handle());
  }
}

void DsmStep::forward(const float* weights) {
  const StreamHandle stream = context_.stream.handle();
  Product u;
  u.m = rows_;
  u.n = layout_.n_neurons;
  u.k = layout_.in_width;
  u.a = points_.data();
  u.lda = layout_.in_width;
  u.b = weights;
  u.ldb = layout_.in_width;
  u.transpose_b = true;
  u.c = activations_.data();
  u.ldc = layout_.hidden_width;
  neurons_.forward(u);

  Product s;
  s.m = rows_;
  s.n = layout_.n_outputs;
  // slices take the pads in: V is zero there
  s.batch = residual_.n_slices;
  s.k = layout_.n_neurons;
  if (s.batch > 1) {
    s.k = s.stride_a = s.stride_b = layout_.hidden_width / s.batch;
    s.stride_c = rows_ * layout_.out_width;
  }
  s.a = activations_.data();
  s.lda = layout_.hidden_width;
  s.b = weights + layout_.v_begin;
  s.ldb = layout_.hidden_width;
  s.transpose_b = true;
  s.c = sums_.data();
  s.ldc = layout_.out_width;
  s.precision = precision_;
  context_.blas->product(s, stream);
}

// f to s = f M^T, g = d loss / d s up to output_scale, d loss / d f = g M, d loss / d J = -(g M)^T s / output_scale.
void DsmStep::mapped_residuals(const float* weights, float* gradient) {
  const StreamHandle stream = context_.stream.handle();
  const std::int64_t D = layout_.n_outputs, width = layout_.out_width;
  const float* A = weights + layout_.skew_begin;
  launch_skew_map(A, D, layout_.skew_strength, skew_scratch_.data(), map_.data(), width, stream);
  launch_dsm_outputs(residual_, sums_.data(), outputs_.data(), stream);

  Product s;
  s.m = rows_;
  s.n = s.k = D;
  s.a = outputs_.data();
  s.lda = s.ldb = s.ldc = width;
  s.b = map_.data();
  s.transpose_b = true;
  s.c = scores_.data();
  context_.blas->product(s, stream);

  launch_dsm_residual(residual_, true, scores_.data(), deltas_.data(), row_losses_.data(), stream);

  Product f = s;  // g M
  f.a = deltas_.data();
  f.transpose_b = false;
  f.c = back_outputs_.data();
  context_.blas->product(f, stream);

  Product p;
  p.m = p.n = D;
  p.k = rows_;
  p.a = back_outputs_.data();
  p.transpose_a = true;
  p.b = scores_.data();
  p.c = pulled_.data();
  p.lda = p.ldb = p.ldc = width;
  context_.blas->product(p, stream);
  launch_skew_gradient(A, D, layout_.skew_strength, pulled_.data(), width, residual_.output_scale,
                       gradient + layout_.skew_begin, stream);
}

// One after the other: with dV on a stream beside the others a step took 4 % longer on an H200 (docs/profiling.md).
void DsmStep::backward(const float* weights, float* gradient) {
  const StreamHandle stream = context_.stream.handle();
  Product v;
  v.m = layout_.n_outputs;
  v.n = layout_.n_neurons;
  v.k = rows_;
  v.a = deltas();
  v.lda = layout_.out_width;
  v.transpose_a = true;
  v.b = activations_.data();
  v.ldb = layout_.hidden_width;
  v.c = gradient + layout_.v_begin;
  v.ldc = layout_.hidden_width;
  v.precision = precision_;
  context_.blas->product(v, stream);

  neurons_.back(back_to_neurons(weights), activations_.data());

  Product w;
  w.m = layout_.n_neurons;
  w.n = layout_.in_width;
  w.k = rows_;
  w.a = back_.data();
  w.lda = layout_.hidden_width;
  w.transpose_a = true;
  w.b = points_.data();
  w.ldb = layout_.in_width;
  w.c = gradient;
  w.ldc = layout_.in_width;
  w.precision = precision_;
  context_.blas->product(w, stream);
}

Product DsmStep::back_to_neurons(const float* weights) {
  Product g;
  g.m = rows_;
  g.n = layout_.n_neurons;
  g.k = layout_.n_outputs;
  g.a = deltas();
  g.lda = layout_.out_width;
  g.b = weights + layout_.v_begin;
  g.ldb = layout_.hidden_width;
  g.c = back_.data();
  g.ldc = layout_.hidden_width;
  return g;
}

}  // namespace tarn::cuda
