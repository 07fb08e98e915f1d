#include "dsm_step.hpp"

#include "dsm_backward.hpp"
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

DsmStep::DsmStep(Context& context, const DsmLayout& layout, Nonlinearity phi)
    : context_(context), layout_(layout), phi_(phi) {
  if (!layout.has_skew) return;
  const std::int64_t D = layout.n_outputs;
  map_ = DeviceBuffer<float>(D * layout.out_width);
  pulled_ = DeviceBuffer<float>(D * layout.out_width);
  skew_scratch_ = DeviceBuffer<double>(skew_scratch(D));
}

bool DsmStep::resize(std::int64_t rows) {
  rows_ = rows;
  const StreamHandle stream = context_.stream.handle();
  bool moved = grow(points_, rows * layout_.in_width, stream);
  moved |= grow(targets_, rows * layout_.out_width, stream);
  moved |= grow(target_scale_, rows, stream);
  moved |= grow(activations_, rows * layout_.hidden_width, stream);
  moved |= grow(back_, rows * layout_.hidden_width, stream);
  moved |= grow(sums_, rows * layout_.out_width, stream);
  moved |= grow(row_losses_, 2 * rows, stream);
  if (layout_.has_skew) {
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
  if (layout_.has_skew) {
    mapped_residuals(weights, gradient);
  } else {
    launch_dsm_residual(residual_, false, sums_.data(), row_losses_.data(), context_.stream.handle());
  }
  backward(weights, gradient);
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
  u.relu = phi_ == Nonlinearity::relu;
  context_.blas->product(u, stream);
  if (!u.relu) launch_dsm_activate(phi_, activations_.data(), rows_ * layout_.hidden_width, stream);

  Product s;
  s.m = rows_;
  s.n = layout_.n_outputs;
  s.k = layout_.n_neurons;
  s.a = activations_.data();
  s.lda = layout_.hidden_width;
  s.b = weights + layout_.v_begin;
  s.ldb = layout_.hidden_width;
  s.transpose_b = true;
  s.c = sums_.data();
  s.ldc = layout_.out_width;
  context_.blas->product(s, stream);
}

// f to s = f M^T, g = d loss / d s up to output_scale, d loss / d f = g M, d loss / d J = -(g M)^T s / output_scale.
void DsmStep::mapped_residuals(const float* weights, float* gradient) {
  const StreamHandle stream = context_.stream.handle();
  const std::int64_t D = layout_.n_outputs, width = layout_.out_width;
  const float* A = weights + layout_.skew_begin;
  launch_skew_map(A, D, layout_.skew_strength, skew_scratch_.data(), map_.data(), width, stream);
  launch_dsm_outputs(residual_, sums_.data(), stream);

  Product s;
  s.m = rows_;
  s.n = s.k = D;
  s.a = sums_.data();
  s.lda = s.ldb = s.ldc = width;
  s.b = map_.data();
  s.transpose_b = true;
  s.c = scores_.data();
  context_.blas->product(s, stream);

  // deltas of s take the place of f, once the scores are kept for d loss / d J
  copy_async(sums_.data(), scores_.data(), rows_ * width, stream);
  launch_dsm_residual(residual_, true, sums_.data(), row_losses_.data(), stream);

  Product f = s;  // g M
  f.a = sums_.data();
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
  const float* deltas = layout_.has_skew ? back_outputs_.data() : sums_.data();
  Product v;
  v.m = layout_.n_outputs;
  v.n = layout_.n_neurons;
  v.k = rows_;
  v.a = deltas;
  v.lda = layout_.out_width;
  v.transpose_a = true;
  v.b = activations_.data();
  v.ldb = layout_.hidden_width;
  v.c = gradient + layout_.v_begin;
  v.ldc = layout_.hidden_width;
  context_.blas->product(v, stream);

  Product g;
  g.m = rows_;
  g.n = layout_.n_neurons;
  g.k = layout_.n_outputs;
  g.a = deltas;
  g.lda = layout_.out_width;
  g.b = weights + layout_.v_begin;
  g.ldb = layout_.hidden_width;
  g.c = back_.data();
  g.ldc = layout_.hidden_width;
  context_.blas->product(g, stream);
  launch_dsm_slope(phi_, back_.data(), activations_.data(), rows_ * layout_.hidden_width, stream);

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
  context_.blas->product(w, stream);
}

}  // namespace tarn::cuda
