// sums[i, d] = sum_j W_out[d, j] phi(sum_k W_in[j, k] state[i, k] + b[j]), then a Langevin step of the chains, again and again.
//
// A block of 256 threads has `Shape::chains` chains for the whole launch. Their operand (rounded state) lies in shared memory; tiles of
// W_in and W_out pass by in a ring of slots, copied ahead of their use, and whichever warp is the last to be done with a tile starts
// the copy that takes its place, so that nobody waits for another group of warps. The accumulators of the first product, after phi, are the
// lane's own A operand of the second: the hidden layer lives in registers. A group of four warps has 64 rows, a warp 16 of them
// and all columns. At the end of a step the sums go through the operand's memory, a part of the rows at a time, and a warp takes a chain:
// langevin_chain.cuh. The next step's first tiles are on their way meanwhile.
//
// State float32 in global memory, read and written once a step. Deterministic: sums over the neurons run in one order, whatever
// the number of chains.
#pragma once

#include "fused_langevin.hpp"
#include "langevin_chain.cuh"
#include "platform.cuh"
#include "tarn/core/activations.hpp"
#include "warpgroup.cuh"

namespace tarn::cuda {
namespace fused {

constexpr int block_threads = 256, n_warps = 8;

/// phi for an operand that is rounded afterwards.
template <Precision type, Nonlinearity phi>
__device__ __forceinline__ float quick(float u) {
  constexpr float log2_e = 1.44269504f, ln_2 = 0.693147181f;
  if constexpr (phi == Nonlinearity::tanh) {
    if constexpr (type == Precision::bf16) return quick_tanh(u);
    return fma(-2.0f, quick_reciprocal(add(quick_exp2(mul(u, 2.0f * log2_e)), 1.0f)), 1.0f);
  } else if constexpr (phi == Nonlinearity::sigmoid) {
    return quick_reciprocal(add(quick_exp2(mul(u, -log2_e)), 1.0f));
  } else if constexpr (phi == Nonlinearity::softplus) {
    return fma(quick_log2(add(quick_exp2(mul(abs(u), -log2_e)), 1.0f)), ln_2, positive_part(u));
  } else {
    return activate<phi>(u);
  }
}

/// The A operand of the second product from the accumulators of the first.
template <class Shape, Nonlinearity phi>
__device__ __forceinline__ void activate_tile(const float (&s)[Shape::neurons / 2],
                                              unsigned (&a)[Shape::neurons * Shape::element / 8]) {
  constexpr Precision type = Shape::precision;
#pragma unroll
  for (int j = 0; j < Shape::neurons / 8; ++j) {
    const float* const c = s + 4 * j;
    if constexpr (type == Precision::tf32) {  // tf32_neuron_at
      a[4 * j] = tf32_bits(quick<type, phi>(c[0]));
      a[4 * j + 1] = tf32_bits(quick<type, phi>(c[2]));
      a[4 * j + 2] = tf32_bits(quick<type, phi>(c[1]));
      a[4 * j + 3] = tf32_bits(quick<type, phi>(c[3]));
    } else if constexpr (phi == Nonlinearity::relu) {
      a[2 * j] = bf16_pair_of_positive_parts(c[0], c[1]);
      a[2 * j + 1] = bf16_pair_of_positive_parts(c[2], c[3]);
    } else {
      a[2 * j] = bf16_pair(quick<type, phi>(c[0]), quick<type, phi>(c[1]));
      a[2 * j + 1] = bf16_pair(quick<type, phi>(c[2]), quick<type, phi>(c[3]));
    }
  }
}

/// The same, for a nonlinearity known when it runs: a branch that all threads take alike.
template <class Shape>
__device__ __forceinline__ void activate_tile(Nonlinearity phi, const float (&s)[Shape::neurons / 2],
                                              unsigned (&a)[Shape::neurons * Shape::element / 8]) {
  switch (phi) {
    case Nonlinearity::relu:
      return activate_tile<Shape, Nonlinearity::relu>(s, a);
    case Nonlinearity::leaky_relu:
      return activate_tile<Shape, Nonlinearity::leaky_relu>(s, a);
    case Nonlinearity::tanh:
      return activate_tile<Shape, Nonlinearity::tanh>(s, a);
    case Nonlinearity::softplus:
      return activate_tile<Shape, Nonlinearity::softplus>(s, a);
    case Nonlinearity::sigmoid:
      return activate_tile<Shape, Nonlinearity::sigmoid>(s, a);
  }
}

/// The ring of tiles. Item 2 t of a step is its tile t of W_in and the biases, item 2 t + 1 that of W_out; items are counted on over all steps.
template <class Shape>
struct Ring {
  static constexpr int n_users = Shape::share == Share::neurons ? n_warps / 2 : n_warps;  // warps that read an item
  unsigned char* slots;
  TileBarrier* filled;
  unsigned* uses;
  const unsigned char* packed;
  unsigned n_tiles, n_items;

  /// Begins the copy of an item into its slot, which must be free. A whole warp.
  __device__ __forceinline__ void fill(unsigned item) const {
    if (item >= n_items) return;
    const unsigned slot = item % Shape::n_slots;
    const bool is_out = item % 2 != 0;
    copy_tile(
        filled + slot, slots + slot * Shape::slot_bytes,
        packed + static_cast<std::size_t>(item / 2 % n_tiles) * Shape::tile_bytes + (is_out ? Shape::in_bytes : 0),
        is_out ? Shape::out_bytes : Shape::in_bytes);
  }
  /// Waits until the item is there.
  __device__ __forceinline__ const unsigned char* wait(unsigned item) const {
    const unsigned slot = item % Shape::n_slots;
    wait_for_tile(filled + slot, item / Shape::n_slots);
    return slots + slot * Shape::slot_bytes;
  }
  /// This warp has read the item. The last one to say so fills the slot again.
  __device__ __forceinline__ void release(unsigned item) const {
    unsigned before = 0;
    __syncwarp();
    if (threadIdx.x % 32 == 0) {
      __threadfence_block();
      before = atomicAdd(uses + item % Shape::n_slots, 1u);
      __threadfence_block();
    }
    before = __shfl_sync(0xffffffffu, before, 0);
    if (before % n_users == n_users - 1) fill(item + Shape::n_slots);
  }
};

/// The two products of a tile, by one instruction or the other. `state` points to the group's first row, `in` and `out` to tiles.
template <class Shape, Engine engine>
struct Products;

template <class Shape>
struct Products<Shape, Engine::warpgroup> {
  static constexpr Precision type = Shape::precision;
  // As few instructions as the widths of warpgroup.cuh allow.
  static constexpr int first_piece = Shape::sums <= 160 ? Shape::sums : (Shape::sums < 304 ? 144 : 160);
  static constexpr int second_piece = Shape::sums - first_piece;

  static __device__ __forceinline__ void hidden(float (&s)[Shape::neurons / 2], const unsigned char* state,
                                                const unsigned char* in) {
    const SharedMatrix a = shared_matrix(state, Shape::chains), b = shared_matrix(in, Shape::neurons);
    begin_multiplying();
#pragma unroll
    for (int k = 0; k < Shape::width / Shape::k_step; ++k) {
      Warpgroup<type, Shape::neurons>::shared(s, part(a, Shape::chains, 0, k), part(b, Shape::neurons, 0, k));
    }
    end_group();
  }
  static __device__ __forceinline__ void outputs(float (&o)[Shape::sums / 2],
                                                 const unsigned (&p)[Shape::neurons * Shape::element / 8],
                                                 const unsigned char* out) {
    const SharedMatrix b = shared_matrix(out, Shape::width);
    begin_multiplying();
#pragma unroll
    for (int k = 0; k < Shape::neurons / Shape::k_step; ++k) {
      Warpgroup<type, first_piece>::registers(o, p + 4 * k, part(b, Shape::width, 0, k));
      if constexpr (second_piece > 0) {
        Warpgroup<type, second_piece>::registers(o + first_piece / 2, p + 4 * k, part(b, Shape::width, first_piece, k));
      }
    }
    end_group();
  }
  /// Waits for the products before the last one, or for all.
  static __device__ __forceinline__ void wait_for_last_but_one() { wait_for_groups<1>(); }
  static __device__ __forceinline__ void wait_for_all() { wait_for_groups<0>(); }
};

template <class Shape>
struct Products<Shape, Engine::warp> {
  static constexpr Precision type = Shape::precision;

  /// Where this lane's row of the matrices of a load lies: of an A operand (rows 0-7 and 8-15 of the first 16-byte column, then of the second),
  /// and of two B operands one below the other (both columns of rows 0-7, then of 8-15).
  static __device__ __forceinline__ int a_place(int rows) {
    const int lane = threadIdx.x % 32;
    return 16 * (lane / 16 * rows + threadIdx.x / 32 % 4 * 16 + lane % 16);
  }
  static __device__ __forceinline__ int b_place(int rows) {
    const int lane = threadIdx.x % 32;
    return 16 * (lane / 8 % 2 * rows + lane / 16 * 8 + lane % 8);
  }

  static __device__ __forceinline__ void hidden(float (&s)[Shape::neurons / 2], const unsigned char* state,
                                                const unsigned char* in) {
    const unsigned char* const from = state + a_place(Shape::chains);
    const unsigned char* const weights = in + b_place(Shape::neurons);
#pragma unroll 1
    for (int k = 0; k < Shape::width / Shape::k_step; ++k) {
      unsigned a[4];
      load_matrices(a, from + 32 * k * Shape::chains);
#pragma unroll
      for (int j = 0; j < Shape::neurons / 16; ++j) {
        unsigned b[4];
        load_matrices(b, weights + 32 * k * Shape::neurons + 256 * j);
        multiply<type>(s + 8 * j, a, b[0], b[1]);
        multiply<type>(s + 8 * j + 4, a, b[2], b[3]);
      }
    }
  }
  static __device__ __forceinline__ void outputs(float (&o)[Shape::sums / 2],
                                                 const unsigned (&p)[Shape::neurons * Shape::element / 8],
                                                 const unsigned char* out) {
    const unsigned char* const weights = out + b_place(Shape::width);
#pragma unroll
    for (int k = 0; k < Shape::neurons / Shape::k_step; ++k) {
#pragma unroll
      for (int j = 0; j < Shape::sums / 16; ++j) {
        unsigned b[4];
        load_matrices(b, weights + 32 * k * Shape::width + 256 * j);
        multiply<type>(o + 8 * j, p + 4 * k, b[0], b[1]);
        multiply<type>(o + 8 * j + 4, p + 4 * k, b[2], b[3]);
      }
    }
  }
  static __device__ __forceinline__ void wait_for_last_but_one() {}
  static __device__ __forceinline__ void wait_for_all() {}
};

/// The operand of the block's chains from their state. Rows beyond the last chain, and columns beyond D + U, are 0.
template <class Shape>
__device__ __forceinline__ void load_state(const FusedSteps& q, std::int64_t first, unsigned char* operand) {
  const LangevinUpdate& u = q.update;
  for (int i = threadIdx.x; i < Shape::state_bytes / 16; i += block_threads) {
    const int row = i % Shape::chains, column = i / Shape::chains * Shape::column;
    float x[Shape::column] = {};
    if (first + row < u.n) {
      const float* const from = u.state + (first + row) * u.state_stride + column;
#pragma unroll
      for (int part = 0; part < Shape::column; part += 4) {
        if (column + part < u.state_stride) {  // the state's own padding is 0
          float four[4];
          load4(from + part, four);
          for (int k = 0; k < 4; ++k) x[part + k] = four[k];
        }
      }
    }
    unsigned word[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if constexpr (Shape::precision == Precision::bf16) {
        word[k] = bf16_pair(x[2 * k], x[2 * k + 1]);
      } else {
        word[k] = tf32_bits(x[k]);
      }
    }
    *reinterpret_cast<uint4*>(operand + 16 * i) = make_uint4(word[0], word[1], word[2], word[3]);
  }
}

/// The accumulators of this lane, from column `first_column` on, to a matrix whose row 0 is the first of this warp.
template <int sums>
__device__ __forceinline__ void put_sums(const float (&o)[sums / 2], float* to, int stride, bool adds) {
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int j = 0; j < sums / 8; ++j) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float2* const at = reinterpret_cast<float2*>(to + (g + 8 * half) * stride + 8 * j + 2 * t);
      float2 v = make_float2(o[4 * j + 2 * half], o[4 * j + 2 * half + 1]);
      if (adds) {
        const float2 other = *at;
        v = make_float2(add(v.x, other.x), add(v.y, other.y));
      }
      *at = v;
    }
  }
}

/// The sums of the groups so far, kept by each lane for itself between two groups.
template <class Shape>
__device__ __forceinline__ void carry_sums(float (&o)[Shape::sums / 2], float* running, bool adds, bool goes_on) {
  float* const own = running + threadIdx.x;
  if (adds) {
#pragma unroll
    for (int i = 0; i < Shape::sums / 2; ++i) o[i] = add(own[i * block_threads], o[i]);
  }
  if (goes_on) {
#pragma unroll
    for (int i = 0; i < Shape::sums / 2; ++i) own[i * block_threads] = o[i];
  }
}

/// From the sums to the chains' next state, or to where the sums are wanted: `rows` chains at a time in `staged`, a warp a chain.
template <class Shape>
__device__ __forceinline__ void end_step(const FusedSteps& q, const LangevinCall& call, std::int64_t first,
                                         std::uint64_t step, const float (&o)[Shape::sums / 2], float* staged) {
  constexpr int rows = Shape::state_bytes / (4 * Shape::width);  // that fit
  static_assert(rows % 16 == 0);
  const int warp = threadIdx.x / 32, group = warp / 4, lane = threadIdx.x % 32;
  const int row = warp % 4 * 16 + (Shape::share == Share::rows ? 64 * group : 0);  // of this warp's accumulators
#pragma unroll 1
  for (int begin = 0; begin < Shape::chains; begin += rows) {
    const bool is_here = row >= begin && row < begin + rows;
    const int column = Shape::share == Share::columns ? group * Shape::sums : 0;
    float* const to = staged + (row - begin) * Shape::width + column;
    if constexpr (Shape::share == Share::neurons) {
      if (is_here && group == 1) put_sums<Shape::sums>(o, to, Shape::width, false);
      __syncthreads();
      if (is_here && group == 0) put_sums<Shape::sums>(o, to, Shape::width, true);
    } else {
      if (is_here) put_sums<Shape::sums>(o, to, Shape::width, false);
    }
    __syncthreads();
    for (int r = warp; r < rows; r += n_warps) {
      const std::int64_t i = first + begin + r;
      if (i >= q.update.n) break;
      const float* const sums = staged + r * Shape::width;
      if (q.sums) {
        float* const to_row = q.sums + ((q.splits ? blockIdx.y * q.update.n : 0) + i) * q.sums_stride;
        for (std::int64_t d = lane; d < q.sums_stride; d += 32) to_row[d] = sums[d];
      } else {
        step_chain(
            q.update, call, i, step, [&](std::int64_t g, float(&f)[4]) { load4(sums + 4 * g, f); }, lane);
      }
    }
    __syncthreads();
  }
}

template <class Shape, Engine engine>
__global__ void __launch_bounds__(block_threads, 1) fused_kernel(FusedSteps q) {
  TARN_DYNAMIC_SHARED(unsigned char, shared);
  TARN_SHARED(TileBarrier, filled, Shape::n_slots);
  TARN_SHARED(unsigned, uses, Shape::n_slots);
  unsigned char* const operand = shared;
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), group = warp / 4;
  const std::int64_t unit = q.first_unit + blockIdx.x, round = unit / q.n_blocks;
  const std::int64_t first = (unit - round * q.n_blocks) * Shape::chains, first_step = round * q.steps_a_round;
  // The groups of tiles that this block goes through, a step: all of them or one.
  const unsigned n_groups = static_cast<unsigned>(q.n_groups), first_group = q.splits ? blockIdx.y : 0;
  const unsigned n_own_groups = q.splits ? 1 : n_groups;
  const auto tiles_before = [&](unsigned n) { return static_cast<unsigned>(q.n_tiles) * n / n_groups; };
  const unsigned first_tile = tiles_before(first_group),
                 n_tiles = tiles_before(first_group + n_own_groups) - first_tile;
  const unsigned n_steps = static_cast<unsigned>(min(q.steps_a_round, q.n_steps - first_step));
  const Ring<Shape> ring{shared + Shape::state_bytes,
                         filled,
                         uses,
                         q.packed + static_cast<std::size_t>(first_tile) * Shape::tile_bytes,
                         n_tiles,
                         2 * n_tiles * n_steps};
  if (threadIdx.x == 0) {
    for (int slot = 0; slot < Shape::n_slots; ++slot) {
      begin_barrier(filled + slot);
      uses[slot] = 0;
    }
  }
  __syncthreads();
  if (warp == 0) {
    for (int item = 0; item < Shape::n_slots; ++item) ring.fill(item);
  }
  LangevinCall call;
  if (q.call) call = *q.call;
  call.step += static_cast<std::uint64_t>(first_step);

  using P = Products<Shape, engine>;
  const unsigned char* const rows = operand + (Shape::share == Share::rows ? 16 * 64 * group : 0);
  constexpr unsigned every = Shape::share == Share::neurons ? 2 : 1;
  // The second product of a tile runs on beside the first of the next one, and its tile is given back after that: where slots enough are left.
  constexpr bool overlaps = engine == Engine::warpgroup && Shape::n_slots > 2 * every;
  const int word = threadIdx.x % 4;
#pragma unroll 1
  for (unsigned step = 0; step < n_steps; ++step) {
    load_state<Shape>(q, first, operand);
    publish_to_multiplications();
    __syncthreads();
    float o[Shape::sums / 2];
#pragma unroll 1
    for (unsigned own = 0; own < n_own_groups; ++own) {
#pragma unroll
      for (int i = 0; i < Shape::sums / 2; ++i) o[i] = 0.0f;
      const unsigned from = tiles_before(first_group + own) - first_tile,
                     to = tiles_before(first_group + own + 1) - first_tile;
      const unsigned begin = 2 * (step * n_tiles + from + (every == 2 ? group : 0)), end = 2 * (step * n_tiles + to);
#pragma unroll 1
      for (unsigned item = begin; item < end; item += 2 * every) {
        const unsigned char* const in = ring.wait(item);
        float s[Shape::neurons / 2];
#pragma unroll
        for (int j = 0; j < Shape::neurons / 8; ++j) {
          const float4 b = *reinterpret_cast<const float4*>(in + Shape::bias_at + 64 * j + 16 * word);
          s[4 * j] = b.x;
          s[4 * j + 1] = b.y;
          s[4 * j + 2] = b.z;
          s[4 * j + 3] = b.w;
        }
        P::hidden(s, rows, in);
        if constexpr (overlaps) {
          P::wait_for_last_but_one();
          if (item > begin) ring.release(item + 1 - 2 * every);
        }
        P::wait_for_all();
        ring.release(item);
        unsigned p[Shape::neurons * Shape::element / 8];
        activate_tile<Shape>(q.phi, s, p);
        const unsigned char* const out = ring.wait(item + 1);
        P::outputs(o, p, out + (Shape::share == Share::columns ? 16 * group * Shape::sums : 0));
        if constexpr (!overlaps) {
          P::wait_for_all();
          ring.release(item + 1);
        }
      }
      P::wait_for_all();
      if (overlaps && begin < end) ring.release(begin + (end - begin - 1) / (2 * every) * (2 * every) + 1);
      if (n_own_groups > 1) carry_sums<Shape>(o, q.running + first * Shape::width, own > 0, own + 1 < n_own_groups);
    }
    __syncthreads();  // the sums take the operand's place
    end_step<Shape>(q, call, first, call.step + step, o, reinterpret_cast<float*>(operand));
  }
}

}  // namespace fused
}  // namespace tarn::cuda
