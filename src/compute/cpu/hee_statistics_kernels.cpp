// Sums over chains and steps that learning needs, beside the matrix product. Compiled once per instruction set; the same bits on each.
#include "hee_kernels.hpp"
#include "tarn/core/pack.hpp"

namespace tarn::cpu::TARN_ISA {
namespace {

// Four values: the unit of transposition that every instruction set has.
typedef float Quad __attribute__((vector_size(16)));

TARN_HD Quad load_quad(const float* from) { return *reinterpret_cast<const Quad*>(from); }

void to_rows(const float* panel, std::int64_t n_units, float* rows, std::int64_t row_stride) {
  std::int64_t u = 0;
  for (; u + 4 <= n_units; u += 4) {
    for (std::int64_t lane = 0; lane < panel_lanes; lane += 4) {
      const float* from = panel + u * panel_lanes + lane;
      const Quad a = load_quad(from), b = load_quad(from + panel_lanes), c = load_quad(from + 2 * panel_lanes),
                 d = load_quad(from + 3 * panel_lanes);
      const Quad low_ab = __builtin_shufflevector(a, b, 0, 4, 1, 5),
                 high_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Quad low_cd = __builtin_shufflevector(c, d, 0, 4, 1, 5),
                 high_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      float* to = rows + lane * row_stride + u;
      *reinterpret_cast<Quad*>(to) = __builtin_shufflevector(low_ab, low_cd, 0, 1, 4, 5);
      *reinterpret_cast<Quad*>(to + row_stride) = __builtin_shufflevector(low_ab, low_cd, 2, 3, 6, 7);
      *reinterpret_cast<Quad*>(to + 2 * row_stride) = __builtin_shufflevector(high_ab, high_cd, 0, 1, 4, 5);
      *reinterpret_cast<Quad*>(to + 3 * row_stride) = __builtin_shufflevector(high_ab, high_cd, 2, 3, 6, 7);
    }
  }
  for (; u < n_units; ++u) {
    for (std::int64_t lane = 0; lane < panel_lanes; ++lane) rows[lane * row_stride + u] = panel[u * panel_lanes + lane];
  }
}

double unit_sums(const float* panels, std::int64_t n_panels, std::int64_t n_units, float* sums) {
  double squares = 0.0;
  for (std::int64_t u = 0; u < n_units; ++u) {
    Pack total(0.0f), square(0.0f);
    for (std::int64_t p = 0; p < n_panels; ++p) {
      const float* at = panels + (p * n_units + u) * panel_lanes;
      for (std::int64_t v = 0; v < panel_lanes; v += pack_lanes) {
        const Pack value = Pack::load(at + v);
        total = total + value;
        square = fma(value, value, square);
      }
    }
    sums[u] = sums[u] + sum(total);
    squares += static_cast<double>(sum(square));
  }
  return squares;
}

void moments(const float* values, std::int64_t n, double& total, double& squares) {
  constexpr std::int64_t piece = 4096;  // so that rounding does not grow with n
  for (std::int64_t first = 0; first < n; first += piece) {
    const std::int64_t last = first + piece < n ? first + piece : n;
    Pack some(0.0f), square(0.0f);
    for (std::int64_t i = first; i < last; i += pack_lanes) {
      const Pack value = Pack::load(values + i);
      some = some + value;
      square = fma(value, value, square);
    }
    total += static_cast<double>(sum(some));
    squares += static_cast<double>(sum(square));
  }
}

}  // namespace

const HeeStatisticsKernels hee_statistics_table{to_rows, unit_sums, moments};

}  // namespace tarn::cpu::TARN_ISA
