// Weights of a small-D network as the fused kernels read them, in plain C++: the layout, and the struct that a kernel takes.
#pragma once

#include <cstdint>

#include "tarn/core/nonlinearity.hpp"

namespace tarn::cuda {

/// Partial sums of the fixed order (docs/architecture.md): neuron j belongs to sum j mod 32.
inline constexpr int small_partials = 32;

/// The sizes that kernels are compiled for: D and K = D + U up to these, or exactly these. A network takes the first that fits.
struct SmallSizes {
  int D, K;
  bool exact;
};
inline constexpr SmallSizes small_sizes[] = {{1, 1, true},    {2, 2, true},   {3, 4, false},
                                             {3, 16, false},  {7, 8, false},  {11, 12, false},
                                             {16, 16, false}, {3, 32, false}, {16, 32, false}};
constexpr int small_size_class(int D, int K) {
  int i = 0;
  while (small_sizes[i].exact ? D != small_sizes[i].D || K != small_sizes[i].K
                              : D > small_sizes[i].D || K > small_sizes[i].K)
    ++i;
  return i;
}

/// Records of neurons, each in pieces of four floats, padded with zeros. Exact sizes: `W_in[j, :], b[j], W_out[:, j]` one after another.
/// Others: `b[j], W_out[:, j]`, padded to whole pieces for the largest D, then `W_in[j, :]`, padded to the largest K.
struct SmallLayout {
  int D = 0, K = 0;
  int n_neurons = 0;
  int n_rows = 0;      ///< records of a partial sum: ceil(N / 32); the last may be all zero
  int size_class = 0;  ///< index into `small_sizes`
  int head = 0;        ///< pieces of b and W_out; exact sizes: 0
  int pieces = 0;      ///< of a record

  constexpr SmallLayout() = default;
  constexpr SmallLayout(int n_outputs, int n_columns, int neurons)
      : D(n_outputs),
        K(n_columns),
        n_neurons(neurons),
        n_rows((neurons + small_partials - 1) / small_partials),
        size_class(small_size_class(n_outputs, n_columns)) {
    const SmallSizes& s = small_sizes[size_class];
    head = s.exact ? 0 : (s.D + 1 + 3) / 4;
    pieces = s.exact ? (s.K + 1 + s.D + 3) / 4 : head + s.K / 4;
  }
  /// Where in a record the parts begin, in floats.
  constexpr int in_at() const { return 4 * head; }
  constexpr int bias_at() const { return head == 0 ? K : 0; }
  constexpr int out_at() const { return bias_at() + 1; }
  /// Floats of all records: `[32, n_rows, pieces, 4]`; record r of partial sum p is neuron `p + 32 r`.
  constexpr std::int64_t n_floats() const { return std::int64_t{small_partials} * n_rows * pieces * 4; }
};

/// A network in device memory.
struct SmallNetworkArgs {
  SmallLayout layout;
  const float* records = nullptr;  ///< as `SmallLayout` says, on a boundary of 16 bytes
  const float* c = nullptr;        ///< `[D]` or null
  const float* M = nullptr;        ///< `[D, D]` or null
};

}  // namespace tarn::cuda
