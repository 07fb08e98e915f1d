// Fused training step for small D. Pass 1 walks the neurons and sums the outputs of every row; then the residuals; pass 2 walks
// them again, recomputes the activations, forms the gradients of sixteen neurons in registers and takes their optimiser step
// at once. Gradients as in docs/models.md. Sums run in one order, whatever the instruction set. Compiled once for each.
#include "small_dsm.hpp"

#include "adam_update.hpp"
#include "small_network.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/core/pack.hpp"

namespace tarn::cpu::TARN_ISA {
namespace {

static_assert(neurons_a_block == pack_lanes);

// D and D + U, known to the compiler for the common cases; 0 stands for any.
template <int D_, int K_>
struct Extents {
  static constexpr int max_D = D_ ? D_ : static_cast<int>(small_max_outputs);
  static constexpr int max_K = K_ ? K_ : static_cast<int>(small_max_columns);
  const SmallDsmStep& step;
  TARN_HD int D() const { return D_ ? D_ : step.n_outputs; }
  TARN_HD int K() const { return K_ ? K_ : step.n_columns; }
  TARN_HD int block_size() const { return (K() + 1 + D()) * pack_lanes; }
};

// Adds the outputs of `Q` blocks of neurons, from `weights` on, to the row sums.
template <Nonlinearity phi, int Q, class E>
TARN_HD void forward_blocks(const SmallDsmStep& s, const E& e, const float* weights) {
  Pack w[Q][E::max_K], b[Q], v[Q][E::max_D];
  for (int q = 0; q < Q; ++q) {
    const float* block = weights + q * e.block_size();
    for (int k = 0; k < e.K(); ++k) w[q][k] = Pack::load(block + k * pack_lanes);
    b[q] = Pack::load(block + e.K() * pack_lanes);
    for (int d = 0; d < e.D(); ++d) v[q][d] = Pack::load(block + (e.K() + 1 + d) * pack_lanes);
  }
  for (int r = 0; r < s.rows; ++r) {
    const float* point = s.points + r * e.K();
    float* sums = s.row_sums + r * e.D() * pack_lanes;
    Pack a[Q];
    for (int q = 0; q < Q; ++q) {
      Pack u = b[q];
      for (int k = 0; k < e.K(); ++k) u = fma(w[q][k], Pack(point[k]), u);
      a[q] = activate<phi>(u);
    }
    for (int d = 0; d < e.D(); ++d) {
      Pack acc = Pack::load(sums + d * pack_lanes);
      for (int q = 0; q < Q; ++q) acc = fma(v[q][d], a[q], acc);
      acc.store(sums + d * pack_lanes);
    }
  }
}

// Output `d` of row `r`: f = -x + output_scale phi V^T.
template <class E>
TARN_HD float output(const SmallDsmStep& s, const E& e, int r, int d) {
  return fma(s.output_scale, sum(Pack::load(s.row_sums + (r * e.D() + d) * pack_lanes)), -s.points[r * e.K() + d]);
}

// With a map: the score f M^T of row `r`.
template <class E>
void mapped_score(const SmallDsmStep& s, const E& e, int r, float* score) {
  float f[E::max_D];
  for (int d = 0; d < e.D(); ++d) f[d] = output(s, e, r, d);
  for (int i = 0; i < e.D(); ++i) {
    score[i] = s.map[i * e.D()] * f[0];
    for (int j = 1; j < e.D(); ++j) score[i] = fma(s.map[i * e.D() + j], f[j], score[i]);
  }
}

// With a map: deltas g of the row become g M, and dJ takes its part, -(g M)^T s.
template <class E>
void pull_back(const SmallDsmStep& s, const E& e, int r, const float* score) {
  float* delta = s.deltas + r * e.D();
  float g[E::max_D];
  for (int d = 0; d < e.D(); ++d) g[d] = delta[d];
  for (int j = 0; j < e.D(); ++j) {
    delta[j] = g[0] * s.map[j];
    for (int i = 1; i < e.D(); ++i) delta[j] = fma(g[i], s.map[i * e.D() + j], delta[j]);
  }
  for (int i = 0; i < e.D(); ++i) {
    for (int j = 0; j < e.D(); ++j) s.dJ[i * e.D() + j] -= static_cast<double>(delta[i]) / s.output_scale * score[j];
  }
}

// Residuals, losses, and deltas = d loss / d (phi V^T), the mean over the batch included.
template <class E>
TARN_HD DsmLoss residuals(const SmallDsmStep& s, const E& e) {
  DsmLoss total;
  const float inverse = 1.0f / static_cast<float>(s.batch_rows);
  float mapped[E::max_D];
  if (s.map) {
    for (int i = 0; i < e.D() * e.D(); ++i) s.dJ[i] = 0.0;
  }
  for (int r = 0; r < s.rows; ++r) {
    const bool datum = r < s.batch_rows;
    double loss = 0.0, excess = 0.0;
    if (s.map) mapped_score(s, e, r, mapped);
    for (int d = 0; d < e.D(); ++d) {
      const float score = s.map ? mapped[d] : output(s, e, r, d);
      const float target = s.targets[r * e.D() + d];
      const float residual = fma(s.target_scale[r], score, target);
      const float weight = (datum ? s.loss_scale : s.target_scale[r]) * s.output_scale * inverse;
      s.deltas[r * e.D() + d] = weight * residual;
      loss += 0.5 * residual * residual;
      excess += static_cast<double>(score) * (0.5 * score + target);
    }
    if (s.map) pull_back(s, e, r, mapped);
    if (!datum) continue;
    total.loss += loss;
    total.excess += excess;
  }
  total.loss /= s.batch_rows;
  total.excess /= s.batch_rows;
  return total;
}

// Gradients of block `q`; takes the optimiser step or stores them.
template <Nonlinearity phi, class E>
TARN_HD void backward_block(const SmallDsmStep& s, const E& e, std::int64_t q) {
  const std::int64_t at = q * e.block_size();
  const float* block = s.parameters + at;
  Pack w[E::max_K], v[E::max_D], dw[E::max_K], dv[E::max_D];
  for (int k = 0; k < e.K(); ++k) {
    w[k] = Pack::load(block + k * pack_lanes);
    dw[k] = Pack(0.0f);
  }
  const Pack b = Pack::load(block + e.K() * pack_lanes);
  Pack db(0.0f);
  for (int d = 0; d < e.D(); ++d) {
    v[d] = Pack::load(block + (e.K() + 1 + d) * pack_lanes);
    dv[d] = Pack(0.0f);
  }
  for (int r = 0; r < s.rows; ++r) {
    const float* point = s.points + r * e.K();
    const float* delta = s.deltas + r * e.D();
    Pack u = b;
    for (int k = 0; k < e.K(); ++k) u = fma(w[k], Pack(point[k]), u);
    const Pack a = activate<phi>(u);
    Pack back = Pack(delta[0]) * v[0];
    for (int d = 1; d < e.D(); ++d) back = fma(Pack(delta[d]), v[d], back);
    if constexpr (phi == Nonlinearity::relu) {
      back = select(u > Pack(0.0f), back, Pack(0.0f));
    } else {
      back = back * activate_derivative<phi>(u, a);
    }
    for (int d = 0; d < e.D(); ++d) dv[d] = fma(Pack(delta[d]), a, dv[d]);
    db = db + back;
    for (int k = 0; k < e.K(); ++k) dw[k] = fma(back, Pack(point[k]), dw[k]);
  }
  if (const std::int64_t real = s.n_neurons - q * pack_lanes; real < pack_lanes) {
    alignas(64) float keep[pack_lanes] = {};
    for (std::int64_t i = 0; i < real; ++i) keep[i] = 1.0f;
    for (int d = 0; d < e.D(); ++d)
      dv[d] = dv[d] * Pack::load(keep);  // lanes beyond N have V = 0 but phi(0) may not be
  }
  const auto finish = [&](int row, const Pack& gradient) __attribute__((always_inline)) {
    const std::int64_t i = at + row * pack_lanes;
    if (!s.update) return gradient.store(s.gradient + i);
    adam_update(s.adam, gradient,
                {s.parameters + i, s.first_moment + i, s.second_moment + i, s.largest_moment + i, s.average + i});
  };
  for (int k = 0; k < e.K(); ++k) finish(k, dw[k]);
  finish(e.K(), db);
  for (int d = 0; d < e.D(); ++d) finish(e.K() + 1 + d, dv[d]);
}

template <Nonlinearity phi, int D_, int K_>
DsmLoss step_of(const SmallDsmStep& s) {
  const Extents<D_, K_> e{s};
  const std::int64_t n_sums = static_cast<std::int64_t>(s.rows) * e.D() * pack_lanes;
  for (std::int64_t i = 0; i < n_sums; i += pack_lanes) Pack(0.0f).store(s.row_sums + i);
  constexpr int Q = D_ == 0 ? 1 : (register_lanes == 16 ? 4 : 2);
  std::int64_t q = 0;
  for (; q + Q <= s.n_blocks; q += Q) forward_blocks<phi, Q>(s, e, s.parameters + q * e.block_size());
  for (; q < s.n_blocks; ++q) forward_blocks<phi, 1>(s, e, s.parameters + q * e.block_size());
  const DsmLoss loss = residuals(s, e);
  for (q = 0; q < s.n_blocks; ++q) backward_block<phi>(s, e, q);
  return loss;
}

DsmLoss step(const SmallDsmStep& s) {
  return dispatch(s.phi, [&](auto phi) {
    // the other nonlinearities cost so much more that loops over D weigh nothing
    if constexpr (phi.value == Nonlinearity::relu || phi.value == Nonlinearity::leaky_relu) {
      if (s.n_outputs == 1 && s.n_columns == 1) return step_of<phi.value, 1, 1>(s);
      if (s.n_outputs == 2 && s.n_columns == 2) return step_of<phi.value, 2, 2>(s);
    }
    return step_of<phi.value, 0, 0>(s);
  });
}

void update(const SmallDsmStep& s, std::int64_t first, std::int64_t last) {
  for (std::int64_t i = first; i < last; i += pack_lanes) {
    adam_update(s.adam, Pack::load(s.gradient + i),
                {s.parameters + i, s.first_moment + i, s.second_moment + i, s.largest_moment + i, s.average + i});
  }
}

double gradient_square(const SmallDsmStep& s, std::int64_t n) {
  double total = 0.0;
  for (std::int64_t i = 0; i < n; ++i) total += static_cast<double>(s.gradient[i]) * s.gradient[i];
  return total;
}

}  // namespace

const SmallDsmKernels dsm_table{step, update, gradient_square};

}  // namespace tarn::cpu::TARN_ISA
