// The drift of a small-D network in registers, f(x) = (-x + phi([x u] W_in^T + b) W_out^T + c) M^T, its weights in shared memory.
// A chain belongs to L lanes of a warp (1 to 32), a thread carries C chains. Lane l owns the partial sums l * 32/L to (l+1) * 32/L of
// the fixed order, combines its own as a balanced tree, and the lanes combine theirs by shuffles: the CPU's tree, hence its bits.
#pragma once

#include <cstdint>

#include "platform.cuh"
#include "small_network.hpp"
#include "tarn/core/activations.hpp"

namespace tarn::cuda {

/// Entry `index` of `small_sizes`, for the compiler.
template <int index>
struct SmallExtents {
  static constexpr bool exact = small_sizes[index].exact;
  static constexpr int max_D = small_sizes[index].D, max_K = small_sizes[index].K;
  static constexpr int head = exact ? 0 : (max_D + 1 + 3) / 4;
  static constexpr int pieces = exact ? (max_K + 1 + max_D + 3) / 4 : head + max_K / 4;
  int D_given, K_given;
  __device__ __forceinline__ int D() const { return exact ? max_D : D_given; }
  __device__ __forceinline__ int K() const { return exact ? max_K : K_given; }
};

/// Records in shared memory: those of rows `first` to `first + n` of each lane's partial sums counted through (q * n_rows + r), arranged
/// `[n, pieces, L]` pieces, so that lanes read neighbouring pieces. All threads of the block call it, between barriers.
template <int L, int pieces>
__device__ __forceinline__ void stage_records(const SmallNetworkArgs& net, int first, int n,
                                              float4* __restrict__ shared) {
  const float4* from = reinterpret_cast<const float4*>(net.records);
  const std::int64_t slab = std::int64_t{small_partials / L} * net.layout.n_rows * pieces;  // pieces of one lane
  for (int i = static_cast<int>(threadIdx.x); i < n * pieces * L; i += static_cast<int>(blockDim.x))
    shared[i] = from[i % L * slab + std::int64_t{first} * pieces + i / L];
}

/// The rectifiers cost one or two instructions, the others dozens.
constexpr bool is_cheap(Nonlinearity phi) { return phi == Nonlinearity::relu || phi == Nonlinearity::leaky_relu; }

/// Component `i` (known to the compiler) of a piece.
__device__ __forceinline__ float component(const float4& q, int i) {
  return i == 0 ? q.x : i == 1 ? q.y : i == 2 ? q.z : q.w;
}

template <int C, int D>
__device__ __forceinline__ void add_to(float (&sum)[C][D], const float (&other)[C][D]) {
#pragma unroll
  for (int c = 0; c < C; ++c) {
#pragma unroll
    for (int d = 0; d < D; ++d) sum[c][d] = add(sum[c][d], other[c][d]);
  }
}

/// Adds the neuron whose record is at `record` (pieces L apart) to the sums. Columns and outputs beyond the network's own have zero
/// weights and zero state: they may change the sign of a zero on the way, and no value.
template <Nonlinearity phi, int L, int C, class E>
__device__ __forceinline__ void add_neuron(const float4* record, const float (&z)[C][E::max_K],
                                           float (&acc)[C][E::max_D]) {
  constexpr int in_at = 4 * E::head, bias_at = E::exact ? E::max_K : 0, out_at = bias_at + 1;
  float4 piece[E::pieces];
#pragma unroll
  for (int v = 0; v < E::pieces; ++v) piece[v] = record[v * L];
  const auto value = [&](int i) { return component(piece[i / 4], i % 4); };
#pragma unroll
  for (int c = 0; c < C; ++c) {
    float a = value(bias_at);
#pragma unroll
    for (int k = 0; k < E::max_K; ++k) a = fma(value(in_at + k), z[c][k], a);
    a = activate<phi>(a);
#pragma unroll
    for (int d = 0; d < E::max_D; ++d) acc[c][d] = fma(value(out_at + d), a, acc[c][d]);
  }
}

/// Where a kernel's records are.
struct SmallWeights {
  const SmallNetworkArgs& net;
  float4* shared;
  bool resident;     // all in shared memory for good; else brought in when they are needed, by all threads of the block
  int rows_at_once;  // so many of one partial sum of each lane
};

/// Partial sum `q` of the lane's.
template <Nonlinearity phi, int L, int C, class E>
__device__ __forceinline__ void partial_sum(const SmallWeights& w, int q, const float (&z)[C][E::max_K],
                                            float (&acc)[C][E::max_D]) {
#pragma unroll
  for (int c = 0; c < C; ++c) {
#pragma unroll
    for (int d = 0; d < E::max_D; ++d) acc[c][d] = 0.0f;
  }
  constexpr int pieces = E::pieces, sums = small_partials / L;
  const int lane = L == 1 ? 0 : static_cast<int>(threadIdx.x) % L;
  const int n_rows = w.net.layout.n_rows;
  // An all-zero record adds relu(0 z) * 0 = +0, even where z is not finite, so that all lanes may run alike; the other functions are
  // asked for the neurons that are there.
  const int count = phi == Nonlinearity::relu
                        ? n_rows
                        : (w.net.layout.n_neurons - (lane * sums + q) + small_partials - 1) / small_partials;
  [[maybe_unused]] constexpr int unrolled = !is_cheap(phi) ? 1 : E::exact ? 8 : 2;
#pragma unroll 1
  for (int first = 0; first < n_rows; first += w.rows_at_once) {
    const float4* record = w.shared + lane;
    if (w.resident) {
      record += q * n_rows * pieces * L;
    } else {
      __syncthreads();
      stage_records<L, pieces>(w.net, q * n_rows + first,
                               n_rows - first < w.rows_at_once ? n_rows - first : w.rows_at_once, w.shared);
      __syncthreads();
    }
    const int n = count - first < w.rows_at_once ? count - first : w.rows_at_once;
#pragma unroll unrolled
    for (int r = 0; r < n; ++r) add_neuron<phi, L, C, E>(record + r * pieces * L, z, acc);
  }
}

/// The sums `q` to `q + 2^level` as a balanced tree.
template <int level, Nonlinearity phi, int L, int C, class E>
__device__ __forceinline__ void sum_of_partials(const SmallWeights& w, int q, const float (&z)[C][E::max_K],
                                                float (&sum)[C][E::max_D]) {
  if constexpr (level == 0) {
    partial_sum<phi, L, C, E>(w, q, z, sum);
  } else {
    float upper[C][E::max_D];
    sum_of_partials<level - 1, phi, L, C, E>(w, q, z, sum);
    sum_of_partials<level - 1, phi, L, C, E>(w, q + (1 << (level - 1)), z, upper);
    add_to(sum, upper);
  }
}

/// Binary counting: subtree `i` closes as many larger ones as i has trailing ones; the last one closes all, and is then the sum.
template <int level, int levels, int C, int D>
__device__ __forceinline__ void close_subtrees(int i, float (&stack)[levels][C][D], float (&sum)[C][D]) {
  if constexpr (level < levels) {
    if (i >> level & 1) {
      add_to(sum, stack[level]);
      close_subtrees<level + 1>(i, stack, sum);
    } else {
#pragma unroll
      for (int c = 0; c < C; ++c) {
#pragma unroll
        for (int d = 0; d < D; ++d) stack[level][c][d] = sum[c][d];
      }
    }
  }
}

/// The drift at `z` (state, then inputs). All threads of the block call it.
template <Nonlinearity phi, int L, int C, class E>
__device__ __forceinline__ void small_drift(const SmallWeights& w, const E& e, const float (&z)[C][E::max_K],
                                            float (&drift)[C][E::max_D]) {
  // The lowest levels of the tree are code, the others a loop, as 32 times the code of a partial sum is too much.
  constexpr int levels = L == 1 ? 5 : L == 2 ? 4 : L == 4 ? 3 : L == 8 ? 2 : L == 16 ? 1 : 0;
  constexpr int low = C * E::max_D < 32 ? 2 : 1;  // each holds a sum more in registers
  constexpr int below = levels < low ? levels : low, above = levels - below;
  if constexpr (above == 0) {
    sum_of_partials<below, phi, L, C, E>(w, 0, z, drift);
  } else {
    float stack[above][C][E::max_D];  // entry l holds a finished subtree of 2^(below + l) partial sums
#pragma unroll 1
    for (int i = 0; i < 1 << above; ++i) {
      sum_of_partials<below, phi, L, C, E>(w, i << below, z, drift);
      close_subtrees<0>(i, stack, drift);
    }
  }
  const SmallNetworkArgs& net = w.net;
#pragma unroll
  for (int c = 0; c < C; ++c) {
#pragma unroll
    for (int d = 0; d < E::max_D; ++d) {
      if (d >= e.D()) break;
#pragma unroll
      for (int mask = 1; mask < L; mask *= 2)
        drift[c][d] = add(drift[c][d], __shfl_xor_sync(0xffffffffu, drift[c][d], mask));
      drift[c][d] = sub(drift[c][d], z[c][d]);
      if (net.c) drift[c][d] = add(drift[c][d], net.c[d]);
    }
  }
  if (!net.M) return;
#pragma unroll
  for (int c = 0; c < C; ++c) {
    float f[E::max_D];
#pragma unroll
    for (int d = 0; d < E::max_D; ++d) f[d] = drift[c][d];
#pragma unroll
    for (int d = 0; d < E::max_D; ++d) {
      if (d >= e.D()) break;
      const float* row = net.M + d * e.D();
      float g = mul(f[0], row[0]);
#pragma unroll
      for (int i = 1; i < E::max_D; ++i) {
        if (i >= e.D()) break;
        g = fma(f[i], row[i], g);
      }
      drift[c][d] = g;
    }
  }
}

}  // namespace tarn::cuda
