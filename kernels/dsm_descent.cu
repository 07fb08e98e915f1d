// Gradients and optimiser in one pass, so that gradients never see memory:
//   d[W_in b][j, k] = sum over rows r of back[r, j] phi'(u[r, j]) points[r, k]       phi' from activations = phi(u) alone
//   dV[d, j]        = sum over rows r of deltas[r, d] activations[r, j]              then Adam's step (adam_math.hpp), in place
// A block takes 128 neurons by 64 columns of [W_in b], or by 64 rows of V: 64 training rows at a time go through shared memory (48 KiB), a thread keeps
// 4 x 8 sums in registers, and ends with the parameters that belong to them. The last block to end adds up the losses and moves the clock.
// Deterministic: a sum runs over rows in their order, in one chain of fused multiply-adds; the ticket by which blocks find the last one is
// an integer. Moves 24 bytes a parameter (8 more with AMSGrad, 8 more with a mean); the operands come from the cache.
#include "adam.cuh"
#include "dsm_descent.hpp"
#include "dsm_finish.cuh"
#include "platform.cuh"
#include "tarn/core/activations.hpp"

namespace tarn::cuda {
namespace {

constexpr int threads = 256, chunk = 64;  // training rows in shared memory
constexpr int neuron_tile = 128, other_tile = 64;
constexpr int tile_rows = 4, tile_cols = 8;  // of a thread; columns in two quads half a tile apart
constexpr std::size_t shared_bytes = chunk * (neuron_tile + other_tile) * sizeof(float);

__device__ inline float4 zeros() { return make_float4(0.0f, 0.0f, 0.0f, 0.0f); }
__device__ inline float4 load4(const float* from) { return *reinterpret_cast<const float4*>(from); }

// A matrix of training rows, four columns at a time; those from `n_columns` on count for nothing, whatever pads hold.
struct Operand {
  const float* values;
  int pitch, n_columns;

  __device__ __forceinline__ float4 operator()(int row, int column) const {
    const int real = n_columns - column;
    if (real <= 0) return zeros();
    const float4 v = load4(values + row * pitch + column);
    return make_float4(v.x, real > 1 ? v.y : 0.0f, real > 2 ? v.z : 0.0f, real > 3 ? v.w : 0.0f);
  }
};

// back phi'(u)
template <Nonlinearity phi>
struct Slopes {
  Operand back, activations;

  __device__ __forceinline__ float4 operator()(int row, int column) const {
    const float4 g = back(row, column), a = activations(row, column);
    return make_float4(mul(g.x, derivative_of_value<phi>(a.x)), mul(g.y, derivative_of_value<phi>(a.y)),
                       mul(g.z, derivative_of_value<phi>(a.z)), mul(g.w, derivative_of_value<phi>(a.w)));
  }
};

// `n` rows of `Width` columns from (row, column) on into shared memory.
template <int Width, class Matrix>
__device__ __forceinline__ void fill(float* tile, const Matrix& from, int row, int column, int n) {
#pragma unroll 2
  for (int q = 0; q < chunk * Width / 4 / threads; ++q) {
    const int at = q * threads + static_cast<int>(threadIdx.x), i = at / (Width / 4), k = at % (Width / 4) * 4;
    *reinterpret_cast<float4*>(tile + i * Width + k) = i < n ? from(row + i, column + k) : zeros();
  }
}

// sums[i][c] += sum over rows of a[row, i of the thread] b[row, c of the thread]
template <int M, int N>
__device__ __forceinline__ void multiply(const float* a, const float* b, int n, int at_m, int at_n,
                                         float (&sums)[tile_rows][tile_cols]) {
#pragma unroll 2
  for (int row = 0; row < n; ++row) {
    const float4 left = load4(a + row * M + at_m), low = load4(b + row * N + at_n),
                 high = load4(b + row * N + N / 2 + at_n);
    const float l[tile_rows] = {left.x, left.y, left.z, left.w};
    const float r[tile_cols] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
    for (int i = 0; i < tile_rows; ++i) {
#pragma unroll
      for (int c = 0; c < tile_cols; ++c) sums[i][c] = fma(l[i], r[c], sums[i][c]);
    }
  }
}

// A tile of M by N parameters at (m, n): `n_rows` of them a column, `width` a row, the first at parameter `begin`, rows `pitch` apart.
template <int M, int N, class MatrixA, class MatrixB>
__device__ __forceinline__ void descend(const DsmDescentCall& q, float* shared, const MatrixA& left,
                                        const MatrixB& right, int m, int n, int n_rows, int width, std::int64_t begin,
                                        int pitch) {
  static_assert(M / tile_rows * (N / tile_cols) == threads);
  constexpr int warps_across = N / 64;
  // A warp is 4 by 8 threads. Neighbours share their columns, those two apart their rows: a read of 16 bytes a lane takes two cycles, not four.
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int at_m = tile_rows * (warp / warps_across * 4 + (lane & 1) + (lane >> 3 & 2)),
            at_n = 4 * (warp % warps_across * 8 + lane / 2 % 8);
  float* const a = shared;
  float* const b = shared + chunk * M;
  float sums[tile_rows][tile_cols] = {};
  for (int first = 0; first < q.n_rows; first += chunk) {
    const int rows = min(q.n_rows - first, chunk);
    if (first > 0) __syncthreads();
    fill<M>(a, left, first, m, rows);
    fill<N>(b, right, first, n, rows);
    __syncthreads();
    multiply<M, N>(a, b, rows, at_m, at_n, sums);
  }
  const AdamStep step = q.clock.records[*q.clock.now].adam;
#pragma unroll
  for (int i = 0; i < tile_rows; ++i) {
    const std::int64_t quads = (begin + static_cast<std::int64_t>(m + at_m + i) * pitch) / 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int column = n + at_n + half * (N / 2);
      if (m + at_m + i < n_rows && column < width) {
        const float* g = sums[i] + 4 * half;
        const std::int64_t quad = quads + column / 4;
        update_quad(q.adam, step, quad, make_float4(g[0], g[1], g[2], g[3]), load_quad(q.adam, step, quad));
      }
    }
  }
}

template <Nonlinearity phi>
__global__ void __launch_bounds__(threads, 3) dsm_descent_kernel(DsmDescentCall q) {
  TARN_DYNAMIC_SHARED(float, shared);
  // the tiles are all that a block may have without asking for more; the flag takes their place, behind the sums of the end
  int* const is_last = reinterpret_cast<int*>(shared) + 2 * threads;
  const Operand activations{q.activations, q.hidden_width, q.n_neurons}, back{q.back, q.hidden_width, q.n_neurons},
      points{q.points, q.in_width, q.in_width}, deltas{q.deltas, q.out_width, q.n_outputs};
  const int across = (q.in_width + other_tile - 1) / other_tile, down = (q.n_neurons + neuron_tile - 1) / neuron_tile,
            of_w = across * down;
  int block = static_cast<int>(blockIdx.x);
  if (block < of_w) {
    descend<neuron_tile, other_tile>(q, shared, Slopes<phi>{back, activations}, points, block / across * neuron_tile,
                                     block % across * other_tile, q.n_neurons, q.in_width, 0, q.in_width);
  } else {
    block -= of_w;
    const int d_tiles = (q.n_outputs + other_tile - 1) / other_tile;
    descend<other_tile, neuron_tile>(q, shared, deltas, activations, block % d_tiles * other_tile,
                                     block / d_tiles * neuron_tile, q.n_outputs, q.n_neurons, q.v_begin,
                                     q.hidden_width);
  }
  __syncthreads();  // everybody has read the clock
  if (threadIdx.x == 0) {
    __threadfence();
    *is_last = atomicAdd(q.ticket, 1u) == gridDim.x - 1 ? 1 : 0;
  }
  __syncthreads();
  if (*is_last == 0) return;
  finish_step(q.row_losses, q.batch_size, nullptr, q.losses, q.clock, reinterpret_cast<double*>(shared));
  if (threadIdx.x == 0) *q.ticket = 0;
}

}  // namespace

void launch_dsm_descent(const DsmDescentCall& q, StreamHandle stream) {
  const auto tiles = [](std::int64_t n, std::int64_t tile) { return (n + tile - 1) / tile; };
  const std::int64_t blocks =
      tiles(q.n_neurons, neuron_tile) * (tiles(q.in_width, other_tile) + tiles(q.n_outputs, other_tile));
  dispatch(q.phi, [&](auto phi) {
    launch(dsm_descent_kernel<phi.value>, {dim3(static_cast<unsigned>(blocks)), dim3(threads), shared_bytes, stream},
           q);
  });
}

}  // namespace tarn::cuda
