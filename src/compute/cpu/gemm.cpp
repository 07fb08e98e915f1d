// out = epilogue(w in + bias), a block of rows x 16 or 32 columns at a time. The block's sums stay in registers over
// all k: each step of k loads one or two packs of `in`, broadcasts one weight a row, and does rows x packs fused
// multiply-adds (14 x 2 in the 32 registers of AVX-512, 6 x 1 in the 16 of AVX2). Weights are read in place; nothing is
// packed. Rows outside, panels inside: the weights of a block of rows stay in the first cache, panels come from the
// second. Compiled once per instruction set.
#include "gemm.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "tarn/core/activations.hpp"
#include "tarn/core/pack.hpp"

namespace tarn::cpu::TARN_ISA {
namespace {

constexpr int max_rows = register_lanes == 16 ? 14 : register_lanes == 8 ? 6 : 2;
constexpr std::int64_t line_floats = 16;
constexpr int max_packs = register_lanes == 16 ? 2 : 1;

TARN_HD FloatRegister multiply_add(FloatRegister a, FloatRegister b, FloatRegister c) {
#if defined(__AVX512F__)
  return (FloatRegister)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__) && defined(__FMA__)
  return (FloatRegister)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  FloatRegister r;
  for (int i = 0; i < register_lanes; ++i) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return r;
#else
  return a * b + c;  // no such instruction: rounds twice
#endif
}

// A block of rows against one or two packs of columns.
struct Block {
  std::int64_t n_k, k_block;
  const float* weights;
  std::int64_t weight_stride, weight_block;  // of the index that is not 1
  const float* in;
  std::int64_t in_row;
  float* out;
  std::int64_t out_row;
  const float* bias;
  std::int64_t bias_stride;
  bool add;
  const float* prefetch;       // one cache line each k
  std::int64_t prefetch_step;  // 0: none is wanted, the same line again
};

template <int rows, int packs, bool unit_k>
void block_product(const Block& q) {
  constexpr int parts = packs * pack_parts;
  FloatRegister sum[rows][parts];
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) {
    const float start = q.bias ? q.bias[i * q.bias_stride] : 0.0f;
#pragma GCC unroll 8
    for (int v = 0; v < parts; ++v) sum[i][v] = start - FloatRegister{};
  }
  const float* in = q.in;
  const float* prefetch = q.prefetch;
  const float* block = q.weights;
  for (std::int64_t left = q.n_k; left > 0; left -= q.k_block, block += q.weight_block) {
    const std::int64_t count = std::min(left, q.k_block);
    const float* w = block;
    for (std::int64_t k = 0; k < count; ++k, in += q.in_row, w += unit_k ? 1 : q.weight_stride) {
      __builtin_prefetch(prefetch, 0, 2);
      prefetch += q.prefetch_step;
      FloatRegister x[parts];
#pragma GCC unroll 8
      for (int v = 0; v < parts; ++v) x[v] = *reinterpret_cast<const FloatRegister*>(in + v * register_lanes);
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i) {
        const FloatRegister factor = (unit_k ? w[i * q.weight_stride] : w[i]) - FloatRegister{};
#pragma GCC unroll 8
        for (int v = 0; v < parts; ++v) sum[i][v] = multiply_add(factor, x[v], sum[i][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < parts; ++v) {
      auto* out = reinterpret_cast<FloatRegister*>(q.out + i * q.out_row + v * register_lanes);
      *out = q.add ? *out + sum[i][v] : sum[i][v];
    }
  }
}

using BlockProduct = void (*)(const Block&);

template <int packs, bool unit_k, int... i>
constexpr std::array<BlockProduct, max_rows> block_products(std::integer_sequence<int, i...>) {
  return {block_product<i + 1, packs, unit_k>...};
}
template <int packs, bool unit_k>
constexpr auto products = block_products<packs, unit_k>(std::make_integer_sequence<int, max_rows>{});

// Run over a block as soon as it is stored.
using Finish = void (*)(float* out, std::int64_t out_row, const float* activations, int rows, int lanes);

template <Nonlinearity phi>
void finish_activate(float* out, std::int64_t out_row, const float*, int rows, int lanes) {
  for (int i = 0; i < rows; ++i) {
    for (int c = 0; c < lanes; c += pack_lanes) {
      float* at = out + i * out_row + c;
      activate<phi>(Pack::load(at)).store(at);
    }
  }
}
template <Nonlinearity phi>
void finish_derivative(float* out, std::int64_t out_row, const float* activations, int rows, int lanes) {
  for (int i = 0; i < rows; ++i) {
    for (int c = 0; c < lanes; c += pack_lanes) {
      const std::int64_t at = i * out_row + c;
      (Pack::load(out + at) * derivative_of_value<phi>(Pack::load(activations + at))).store(out + at);
    }
  }
}

Finish finish_of(const PanelProduct& p) {
  if (p.epilogue == Epilogue::activate) {
    return dispatch(p.phi, [](auto phi) -> Finish { return finish_activate<phi.value>; });
  }
  if (p.epilogue == Epilogue::derivative) {
    return dispatch(p.phi, [](auto phi) -> Finish { return finish_derivative<phi.value>; });
  }
  return nullptr;
}

void product(const PanelProduct& p) {
  if (p.n_rows <= 0 || p.n_columns <= 0) return;
  const Finish finish = finish_of(p);
  const bool unit_k = p.weight_k == 1;
  Block q{};
  q.n_k = p.n_k;
  q.k_block = p.k_block;
  q.weight_stride = unit_k ? p.weight_row : p.weight_k;
  q.weight_block = p.weight_block;
  q.in_row = p.in_row;
  q.out_row = p.out_row;
  q.bias_stride = p.bias_stride;
  q.add = p.epilogue == Epilogue::add;

  const std::int64_t n_blocks = (p.n_rows + max_rows - 1) / max_rows;  // of nearly the same size
  std::int64_t row = 0;
  for (std::int64_t block = 0; block < n_blocks; ++block) {
    const auto rows = static_cast<int>(p.n_rows / n_blocks + (block < p.n_rows % n_blocks));
    q.weights = p.weights + row * p.weight_row;
    const float* prefetch = p.prefetch ? p.prefetch + row * p.prefetch_row : nullptr;
    const float* prefetch_end = p.prefetch ? prefetch + rows * p.prefetch_row : nullptr;
    q.bias = p.bias ? p.bias + row * p.bias_stride : nullptr;
    for (std::int64_t column = 0; column < p.n_columns;) {
      const int packs = p.n_columns - column > pack_lanes ? max_packs : 1;
      const std::int64_t panel = column / panel_lanes, lane = column % panel_lanes;
      q.in = p.in + panel * p.in_panel + lane;
      const std::int64_t within = row * p.out_row + lane;
      q.out = p.out + panel * p.out_panel + within;
      q.prefetch = prefetch < prefetch_end ? prefetch : q.in;
      q.prefetch_step = prefetch < prefetch_end ? line_floats : 0;
      prefetch += q.n_k * q.prefetch_step;
      const auto index = static_cast<std::size_t>(rows - 1);
      if (packs == 1) {
        (unit_k ? products<1, true> : products<1, false>)[index](q);
      } else {
        (unit_k ? products<max_packs, true> : products<max_packs, false>)[index](q);
      }
      if (finish) {
        const float* activations = p.activations ? p.activations + panel * p.activation_panel + within : nullptr;
        finish(q.out, p.out_row, activations, rows, packs * pack_lanes);
      }
      column += packs * pack_lanes;
    }
    row += rows;
  }
}

}  // namespace

const GemmKernels gemm_table{product, max_rows};

}  // namespace tarn::cpu::TARN_ISA
