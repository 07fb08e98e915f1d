// Whole chains of a hierarchical model: which are lost, and their sums for the statistics.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "handles.hpp"
#include "hee_law.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::cuda {

/// `*clock = value`. Asynchronous, `value` is taken along.
void launch_hee_begin(const HeeClock& value, HeeClock* clock, StreamHandle stream);
/// `clock->step += n`.
void launch_hee_advance(HeeClock* clock, std::uint64_t n, StreamHandle stream);

/// Rows `[n_rows, stride]`: `bad[row] = 1` where one of the first `n_cols` elements is beyond `largest_state` or NaN.
void launch_hee_check(const float* x, std::int64_t n_rows, std::int64_t n_cols, std::int64_t stride, int* bad,
                      StreamHandle stream);

/// Arrays of a chain's state `[n_rows, stride]`.
struct HeeArrays {
  static constexpr int most = 8;
  std::array<float*, most> data{};
  std::array<std::int64_t, most> stride{};
  int n = 0;
};
/// Rows with `bad` are lost from here on: `first_bad_step` takes `clock.step + step_offset` where it is negative, and all arrays become 0 there
/// (a NaN would reach sums over chains); `bad` becomes 0. More arrays than fit go in several calls, of which the last has `is_last`.
void launch_hee_quarantine(const HeeArrays& arrays, std::int64_t n_rows, int* bad, std::int64_t* first_bad_step,
                           bool is_last, const HeeClock* clock, std::uint64_t step_offset, StreamHandle stream);

/// Each row's sums of the first `n_cols` elements are added to `sums` `[n_rows]` and `squares` `[n_rows]` (either may be null) in double, but for
/// rows that are lost.
void launch_hee_row_sums(const float* values, std::int64_t n_rows, std::int64_t n_cols, std::int64_t stride,
                         const std::int64_t* first_bad_step, double* sums, double* squares, StreamHandle stream);

/// `sum += eta`; where `share` is above 0, `eta = share sum` then and the sum begins at 0 again. `n` elements each.
void launch_hee_average(float* eta, float* sum, std::int64_t n, float share, StreamHandle stream);

/// `fx = f(x)` and `fx = T(x)`, elementwise on `[n_rows, stride]`, 0 beyond `n_cols` and, of T, in rows that are lost.
void launch_hee_activate(Nonlinearity f, const float* x, std::int64_t n_rows, std::int64_t n_cols, std::int64_t stride,
                         float* fx, StreamHandle stream);
void launch_hee_statistic(const HeeLaw& law, const float* x, std::int64_t n_rows, std::int64_t n_cols,
                          std::int64_t stride, const std::int64_t* first_bad_step, float* out, StreamHandle stream);

/// `n` columns of `x` `[n_rows, stride]` from `first` on, into those of `out` `[n_rows, width]` from `column` on; NaN in rows that are lost.
void launch_hee_gather(const float* x, std::int64_t n_rows, std::int64_t stride, std::int64_t first, std::int64_t n,
                       const std::int64_t* first_bad_step, float* out, std::int64_t width, std::int64_t column,
                       StreamHandle stream);

}  // namespace tarn::cuda
