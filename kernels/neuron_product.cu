// Two products of a training step: forward, c = phi(a b^T), and back, c = (a b) phi'(u), of n_rows by n_neurons with some hundred terms each. c is
// overwritten, up to the next multiple of four columns by 0. 64 rows by `tile` neurons a block of 128 threads, 4 rows by tile / 8 neurons a thread; 16 terms at a
// time lie in shared memory while the next 16 are on their way through registers. Any number of rows, neurons and terms; offsets are 64 bits wide.
// Deterministic: a sum runs over its terms in their order, in one chain of fused multiply-adds, whatever the tile and however many the rows.
// Lanes: neighbours share their neurons, those two apart their rows, so that a read of 16 bytes a lane takes shared memory two cycles and not four; beneath 40
// multiply-adds of a thread (tile 80), 40 cycles of its scheduler, stand 3.5 reads, 7 of the 10 cycles that are its share of the memory.
// Moves 4 n_neurons (n_terms + n_rows) bytes, back 4 n_rows n_neurons more; the rows come from the cache.
#include <cstddef>
#include <iterator>
#include <type_traits>

#include "neuron_product.hpp"
#include "platform.cuh"
#include "tarn/core/activations.hpp"

namespace tarn::cuda {
namespace {

constexpr int threads = 128, tile_rows = neuron_tile_rows, terms = 16;
constexpr int row_pitch = terms + 4;  // an odd number of quads: eight rows read at once lie in different banks
constexpr int rows_a_thread = 4, row_lanes = 4, neuron_lanes = 8;

__device__ __forceinline__ float4 zeros() { return make_float4(0.0f, 0.0f, 0.0f, 0.0f); }
__device__ __forceinline__ float4 load4(const float* from) { return *reinterpret_cast<const float4*>(from); }
__device__ __forceinline__ void store4(float* to, const float4& v) { *reinterpret_cast<float4*>(to) = v; }

__device__ __forceinline__ float4 masked(const float4& v, std::int64_t n) {
  return make_float4(n > 0 ? v.x : 0.0f, n > 1 ? v.y : 0.0f, n > 2 ? v.z : 0.0f, n > 3 ? v.w : 0.0f);
}

// An operand's next 16 terms: fetched into registers, and stored in shared memory when what lies there is done with. Rows and neurons beyond the last
// are read as if they were the last: what becomes of them is not stored. Terms beyond the last are zero.
template <int Quads>
struct Coming {
  static constexpr int loads = (Quads + threads - 1) / threads;
  const float* from[loads];
  float4 values[loads];

  // Number `i` of the quads that are this thread's; the last may be somebody else's, too.
  __device__ __forceinline__ static int quad(int i) {
    const int at = i * threads + static_cast<int>(threadIdx.x);
    return at < Quads ? at : Quads - 1;
  }
  __device__ __forceinline__ static bool is_mine(int i) {
    return Quads % threads == 0 || i * threads + static_cast<int>(threadIdx.x) < Quads;
  }
  __device__ __forceinline__ void fetch(std::int64_t step) {
#pragma unroll
    for (int i = 0; i < loads; ++i) {
      values[i] = load4(from[i]);
      from[i] += step;
    }
  }
};

// Of `Rows` rows that lie along their terms, a's, and b's on the way forward: [Rows, row_pitch] in shared memory.
template <int Rows>
struct AlongTerms : Coming<Rows*(terms / 4)> {
  static_assert(Rows % 8 == 0);
  using Base = Coming<Rows*(terms / 4)>;
  static constexpr int size = Rows * row_pitch;

  // Of each eight rows the fifth comes after the first, and so on: those lie in other banks.
  __device__ __forceinline__ static int row_of(int i) {
    const int r = Base::quad(i) / 4;
    return (r & ~7) | (r >> 1 & 3) | (r & 1) << 2;
  }
  __device__ __forceinline__ AlongTerms(const float* matrix, std::int64_t pitch, std::int64_t first, std::int64_t n) {
#pragma unroll
    for (int i = 0; i < Base::loads; ++i) {
      const std::int64_t row = first + row_of(i), real = row < n ? row : n - 1;
      Base::from[i] = matrix + real * pitch + Base::quad(i) % 4 * 4;
    }
  }
  __device__ __forceinline__ void fetch() { Base::fetch(terms); }
  __device__ __forceinline__ void fetch_last(std::int64_t n_terms) {
#pragma unroll
    for (int i = 0; i < Base::loads; ++i) {
      const std::int64_t n = n_terms - Base::quad(i) % 4 * 4;
      Base::values[i] = n > 0 ? masked(load4(Base::from[i]), n) : zeros();
    }
  }
  __device__ __forceinline__ void store(float* shared) const {
#pragma unroll
    for (int i = 0; i < Base::loads; ++i) {
      if (Base::is_mine(i)) store4(shared + row_of(i) * row_pitch + Base::quad(i) % 4 * 4, Base::values[i]);
    }
  }
};

// Of `Neurons` neurons that lie along a row, which is a term, b's on the way back: [16, Neurons] in shared memory.
template <int Neurons>
struct AlongNeurons : Coming<terms*(Neurons / 4)> {
  using Base = Coming<terms*(Neurons / 4)>;
  static constexpr int size = terms * Neurons;
  std::int64_t pitch;

  __device__ __forceinline__ AlongNeurons(const float* matrix, std::int64_t pitch_, std::int64_t first, std::int64_t n)
      : pitch(pitch_) {
    const std::int64_t last = (n - 1) / 4 * 4;
#pragma unroll
    for (int i = 0; i < Base::loads; ++i) {
      const std::int64_t neuron = first + Base::quad(i) % (Neurons / 4) * 4;
      Base::from[i] = matrix + Base::quad(i) / (Neurons / 4) * pitch + (neuron < last ? neuron : last);
    }
  }
  __device__ __forceinline__ void fetch() { Base::fetch(terms * pitch); }
  __device__ __forceinline__ void fetch_last(std::int64_t n_terms) {
#pragma unroll
    for (int i = 0; i < Base::loads; ++i)
      Base::values[i] = Base::quad(i) / (Neurons / 4) < n_terms ? load4(Base::from[i]) : zeros();
  }
  __device__ __forceinline__ void store(float* shared) const {
#pragma unroll
    for (int i = 0; i < Base::loads; ++i) {
      if (Base::is_mine(i)) store4(shared + 4 * Base::quad(i), Base::values[i]);
    }
  }
};

// Which of the tile's neurons is number j of a thread's: forward one in eight, back quads and then a pair, as they lie.
template <bool is_back, int Neurons>
__device__ __forceinline__ int neuron_of(int lane, int j) {
  if (!is_back) return neuron_lanes * j + lane;
  return j / 4 * 4 < Neurons / neuron_lanes / 4 * 4 ? j / 4 * 32 + 4 * lane + j % 4 : j / 4 * 32 + 2 * lane + j % 4;
}

// sums += a b over 16 terms; a [64, row_pitch], b [Neurons, row_pitch].
template <int N>
__device__ __forceinline__ void multiply_along_terms(const float* a, const float* b, float (&sums)[rows_a_thread][N]) {
#pragma unroll
  for (int k = 0; k < terms; k += 4) {
    float4 left[rows_a_thread];
#pragma unroll
    for (int i = 0; i < rows_a_thread; ++i) left[i] = load4(a + i * row_lanes * row_pitch + k);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float4 right = load4(b + j * neuron_lanes * row_pitch + k);
#pragma unroll
      for (int i = 0; i < rows_a_thread; ++i) sums[i][j] = fma(left[i].x, right.x, sums[i][j]);
#pragma unroll
      for (int i = 0; i < rows_a_thread; ++i) sums[i][j] = fma(left[i].y, right.y, sums[i][j]);
#pragma unroll
      for (int i = 0; i < rows_a_thread; ++i) sums[i][j] = fma(left[i].z, right.z, sums[i][j]);
#pragma unroll
      for (int i = 0; i < rows_a_thread; ++i) sums[i][j] = fma(left[i].w, right.w, sums[i][j]);
    }
  }
}

// The same with b [16, Neurons]; `b` points at the thread's first quad, or pair, of neurons.
template <int N>
__device__ __forceinline__ void multiply_along_neurons(const float* a, const float* b, int lane,
                                                       float (&sums)[rows_a_thread][N]) {
#pragma unroll
  for (int k = 0; k < terms; k += 4) {
    float left[rows_a_thread][4];
#pragma unroll
    for (int i = 0; i < rows_a_thread; ++i) {
      const float4 v = load4(a + i * row_lanes * row_pitch + k);
      left[i][0] = v.x, left[i][1] = v.y, left[i][2] = v.z, left[i][3] = v.w;
    }
#pragma unroll
    for (int t = 0; t < 4; ++t) {
      const float* const row = b + (k + t) * neuron_lanes * N;
      float right[N];
#pragma unroll
      for (int j = 0; j + 4 <= N; j += 4) {
        const float4 v = load4(row + j * neuron_lanes + 4 * lane);
        right[j] = v.x, right[j + 1] = v.y, right[j + 2] = v.z, right[j + 3] = v.w;
      }
      if constexpr (N % 4 == 2) {
        const float2 v = *reinterpret_cast<const float2*>(row + (N - 2) * neuron_lanes + 2 * lane);
        right[N - 2] = v.x, right[N - 1] = v.y;
      }
#pragma unroll
      for (int i = 0; i < rows_a_thread; ++i) {
#pragma unroll
        for (int j = 0; j < N; ++j) sums[i][j] = fma(left[i][t], right[j], sums[i][j]);
      }
    }
  }
}

template <Nonlinearity phi, bool is_back>
__device__ __forceinline__ float finished(float sum, float activation) {
  return is_back ? mul(sum, derivative_of_value<phi>(activation)) : activate<phi>(sum);
}

// phi of the tile's sums, or its slope times them, from shared memory [64, Neurons + 4] to c.
template <Nonlinearity phi, bool is_back, int Neurons>
__device__ __forceinline__ void finish(const NeuronProductCall& q, const float* sums, std::int64_t row,
                                       std::int64_t neuron) {
#pragma unroll 1
  for (int at = static_cast<int>(threadIdx.x); at < tile_rows * (Neurons / 4); at += threads) {
    const int i = at / (Neurons / 4), j = at % (Neurons / 4) * 4;
    const std::int64_t column = neuron + j;
    if (row + i >= q.n_rows || column >= q.n_neurons) continue;
    const std::int64_t to = (row + i) * q.ldc + column;
    const float4 s = load4(sums + i * (Neurons + 4) + j), a = is_back ? load4(q.activations + to) : zeros();
    const float4 v = make_float4(finished<phi, is_back>(s.x, a.x), finished<phi, is_back>(s.y, a.y),
                                 finished<phi, is_back>(s.z, a.z), finished<phi, is_back>(s.w, a.w));
    reinterpret_cast<float4*>(q.c)[to / 4] = masked(v, q.n_neurons - column);
  }
}

using Left = AlongTerms<tile_rows>;
template <bool is_back, int Neurons>
using RightOf = std::conditional_t<is_back, AlongNeurons<Neurons>, AlongTerms<Neurons>>;

template <bool is_back, int Neurons>
constexpr std::size_t shared_bytes() {
  const std::size_t stages = 2 * (Left::size + RightOf<is_back, Neurons>::size), sums = tile_rows * (Neurons + 4);
  return (stages > sums ? stages : sums) * sizeof(float);
}

template <bool is_back, int Neurons>
__global__ void __launch_bounds__(threads, Neurons > 64 ? 2 : 3)
    neuron_product_kernel(NeuronProductCall q, unsigned row_tiles) {
  using Right = RightOf<is_back, Neurons>;
  constexpr int N = Neurons / neuron_lanes, stage = Left::size + Right::size;
  TARN_DYNAMIC_SHARED(float, shared);
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x % row_tiles) * tile_rows,
                     neuron = static_cast<std::int64_t>(blockIdx.x / row_tiles) * Neurons;
  const int thread = static_cast<int>(threadIdx.x), lane = thread / 2 % neuron_lanes,
            first_row = thread / 32 * (rows_a_thread * row_lanes) + (thread & 1) + (thread >> 3 & 2);
  Left left(q.a, q.lda, row, q.n_rows);
  Right right(q.b, q.ldb, neuron, q.n_neurons);
  const auto fetch = [&](std::int64_t term) {
    if (term + terms <= q.n_terms) {
      left.fetch();
      right.fetch();
    } else {
      left.fetch_last(q.n_terms - term);
      right.fetch_last(q.n_terms - term);
    }
  };
  const auto store = [&](float* to) {
    left.store(to);
    right.store(to + Left::size);
  };
  float sums[rows_a_thread][N] = {};
  fetch(0);
  store(shared);
  __syncthreads();
  int now = 0;
  for (std::int64_t term = 0; term < q.n_terms; term += terms, now ^= 1) {
    const bool more = term + terms < q.n_terms;
    if (more) fetch(term + terms);
    const float* const a = shared + now * stage;
    if constexpr (is_back) {
      multiply_along_neurons(a + first_row * row_pitch, a + Left::size, lane, sums);
    } else {
      multiply_along_terms(a + first_row * row_pitch, a + Left::size + lane * row_pitch, sums);
    }
    if (more) store(shared + (now ^ 1) * stage);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < rows_a_thread; ++i) {
#pragma unroll
    for (int j = 0; j < N; ++j)
      shared[(first_row + i * row_lanes) * (Neurons + 4) + neuron_of<is_back, Neurons>(lane, j)] = sums[i][j];
  }
  __syncthreads();
  switch (q.phi) {
    case Nonlinearity::relu:
      return finish<Nonlinearity::relu, is_back, Neurons>(q, shared, row, neuron);
    case Nonlinearity::leaky_relu:
      return finish<Nonlinearity::leaky_relu, is_back, Neurons>(q, shared, row, neuron);
    case Nonlinearity::tanh:
      return finish<Nonlinearity::tanh, is_back, Neurons>(q, shared, row, neuron);
    case Nonlinearity::softplus:
      return finish<Nonlinearity::softplus, is_back, Neurons>(q, shared, row, neuron);
    case Nonlinearity::sigmoid:
      return finish<Nonlinearity::sigmoid, is_back, Neurons>(q, shared, row, neuron);
  }
}

template <bool is_back, int Neurons>
void launch_tile(const NeuronProductCall& q, StreamHandle stream) {
  const auto row_tiles = static_cast<unsigned>((q.n_rows + neuron_tile_rows - 1) / neuron_tile_rows),
             across = static_cast<unsigned>((q.n_neurons + Neurons - 1) / Neurons);
  launch(neuron_product_kernel<is_back, Neurons>,
         {dim3(row_tiles * across), dim3(threads), shared_bytes<is_back, Neurons>(), stream}, q, row_tiles);
}

// The first of the tiles, from number `i` on, that is as wide as `tile`, or the last.
template <bool is_back, std::size_t i = 0>
void launch_product(const NeuronProductCall& q, int tile, StreamHandle stream) {
  if (q.n_rows <= 0 || q.n_neurons <= 0) return;
  if constexpr (i + 1 < std::size(neuron_tiles)) {
    if (tile > neuron_tiles[i]) return launch_product<is_back, i + 1>(q, tile, stream);
  }
  launch_tile<is_back, neuron_tiles[i]>(q, stream);
}

}  // namespace

void launch_neuron_forward(const NeuronProductCall& call, int tile, StreamHandle stream) {
  launch_product<false>(call, tile, stream);
}

void launch_neuron_back(const NeuronProductCall& call, int tile, StreamHandle stream) {
  launch_product<true>(call, tile, stream);
}

}  // namespace tarn::cuda
