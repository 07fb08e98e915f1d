// Which networks the fused small-D kernels take, on every device, and their order of summation.
#pragma once

#include <cstdint>

#include "tarn/compute/dsm.hpp"
#include "tarn/compute/network_view.hpp"

namespace tarn {

/// Largest D and D + U that the fused kernels take; beyond, matrix products win.
inline constexpr std::int64_t small_max_outputs = 16;
inline constexpr std::int64_t small_max_columns = 32;
/// Partial sums of the fixed summation order: neuron j belongs to sum j mod 32.
inline constexpr int partial_sums = 32;

inline bool is_small(std::int64_t n_outputs, std::int64_t n_columns) {
  return n_outputs <= small_max_outputs && n_columns <= small_max_columns;
}
inline bool is_small(const NetworkView& n) { return is_small(n.n_outputs, n.n_outputs + n.n_inputs); }
inline bool is_small(const DsmParameters& p) { return is_small(p.n_outputs, p.n_outputs + p.n_inputs); }

}  // namespace tarn
