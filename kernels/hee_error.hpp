// Errors of a layer's units in a hierarchical model, with the interneurons that predict them.
#pragma once

#include <cstdint>

#include "handles.hpp"
#include "hee_law.hpp"

namespace tarn::cuda {

/// Device arrays; rows are chains, `stride` apart, a multiple of 4, aligned to 16 bytes; elements beyond `n_units` stay as they are.
struct HeeErrorCall {
  std::int64_t n_rows = 0, n_units = 0, stride = 0;
  const float* x = nullptr;  ///< `[n_rows, stride]`
  float* a = nullptr;  ///< `[n_rows, stride]`, or one row for all where `shared_a`; replaced by eta where `keeps_eta`
  bool keeps_eta = false, shared_a = false;
  float* error = nullptr;                        ///< `[n_rows, stride]`, overwritten; 0 in rows that are lost
  const std::int64_t* first_bad_step = nullptr;  ///< `[n_rows]`; not negative: the row is lost
  int* bad = nullptr;  ///< `[n_rows]`: 1 is written where an error is beyond `largest_error` or NaN
  // sampled interneurons only
  float* e = nullptr;  ///< `[n_rows, e_stride]`, `e_stride` at least `n_units * per_unit`, a multiple of 4
  std::int64_t e_stride = 0;
  int per_unit = 1, substeps = 1;
  double time = 0.0;  ///< of a substep, in units of tau_e
  int layer = 0;
};

/// `error = (T(x) - m) g'(a)`: m is `A'(eta)`, or the mean of `T(e)` over the interneurons and the ends of their substeps, which go on from
/// `clock.step + step_offset`. The CPU's bits for the same a. Asynchronous.
void launch_hee_error(const HeeLaw& law, const HeeErrorCall& call, bool sampled, const HeeClock* clock,
                      std::uint64_t step_offset, StreamHandle stream);

}  // namespace tarn::cuda
