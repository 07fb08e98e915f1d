// Single-precision matrix products in the one shape that the large-D path needs: a broadcast operand (weights) against
// an operand whose columns lie in vector lanes (chains, batch rows). Internal interface of the CPU backend.
#pragma once

#include <cstdint>

#include "tarn/core/isa.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::cpu {

/// Columns are kept in panels of this many lanes, on every instruction set.
inline constexpr std::int64_t panel_lanes = 32;

constexpr std::int64_t round_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit * unit; }
constexpr std::int64_t panels_of(std::int64_t n_columns) { return (n_columns + panel_lanes - 1) / panel_lanes; }

/// What happens to a finished sum before it is stored.
enum class Epilogue : std::uint8_t {
  store,       ///< out = sum
  add,         ///< out += sum
  activate,    ///< out = phi(sum)
  derivative,  ///< out = sum * phi'(u), from `activations` = phi(u)
};

/// `sum(i, c) = bias(i) + w(i, 0) in(0, c) + w(i, 1) in(1, c) + ...`, `i < n_rows`, `k < n_k`, `c < n_columns`, each
/// term by one fused multiply-add, k ascending: the bits do not depend on where a row or column lies or on how many
/// there are.
///
/// `in(k, c)  = in[(c / 32) * in_panel + k * in_row + c % 32]`; likewise `out(i, c)`. Both are 64-byte aligned in every
/// row, and memory up to the next multiple of 16 columns is read and written. `w(i, k)   = weights[(k / k_block) *
/// weight_block + i * weight_row + (k % k_block) * weight_k]`; weight_row or weight_k is 1.
struct PanelProduct {
  std::int64_t n_rows = 0, n_k = 0, n_columns = 0;
  const float* weights = nullptr;
  std::int64_t weight_row = 0, weight_k = 1;
  std::int64_t k_block = INT64_MAX, weight_block = 0;
  const float* in = nullptr;
  std::int64_t in_panel = 0, in_row = panel_lanes;
  float* out = nullptr;
  std::int64_t out_panel = 0, out_row = panel_lanes;
  const float* bias = nullptr;  ///< or null: zero
  std::int64_t bias_stride = 1;
  Epilogue epilogue = Epilogue::store;
  Nonlinearity phi = Nonlinearity::relu;
  const float* activations = nullptr;  ///< laid out as `out`, with a panel stride of its own
  std::int64_t activation_panel = 0;
  /// Memory to ask for meanwhile: during the work on rows i to j, `prefetch + i * prefetch_row` to `prefetch + j * prefetch_row`.
  const float* prefetch = nullptr;
  std::int64_t prefetch_row = 0;
};

struct GemmKernels {
  void (*product)(const PanelProduct&);
  /// Rows that one pass of `product` carries in registers: pieces of work are best multiples of it.
  std::int64_t rows_a_pass;
};

const GemmKernels& gemm_kernels(Isa isa);

#define TARN_DECLARE_GEMM_KERNELS(isa) \
  namespace isa {                      \
  extern const GemmKernels gemm_table; \
  }
TARN_DECLARE_GEMM_KERNELS(x86_64)
TARN_DECLARE_GEMM_KERNELS(x86_64_v3)
TARN_DECLARE_GEMM_KERNELS(x86_64_v4)
#undef TARN_DECLARE_GEMM_KERNELS

}  // namespace tarn::cpu
