// Denoising-score-matching steps of a small network, all of a launch in one kernel (docs/gpu.md):
//   rows       x~, targets: dsm_rows.cu                         every block makes all rows, those of the next step while it waits for other blocks
//   forward    sums[r, d] = sum over j of V[d, j] phi(u[r, j])  lanes are rows, warps share the block's neurons, blocks share all
//   residual   dsm_residual.cu                                  every block, all rows
//   backward   gradients of the block's neurons                 threads are neurons, groups of threads share the rows
//   optimiser  adam_math.hpp                                    weights and moments stay in shared memory from the first step to the last
// Overwrites weights, moments and mean at the end of the launch. One barrier over all blocks a step, two with clipping: the sums of the blocks go through
// global memory, in two buffers by turns, so that nobody overwrites what another still reads.
// Deterministic: neurons of a warp, then warps, then blocks, then rows in groups, each in their order. Up to SmallDsmPlan's sizes.
// Moves 4 n_blocks D rows bytes a step and block, from the cache.
#pragma once

#include "adam_math.hpp"
#include "dsm_rows.cuh"
#include "platform.cuh"
#include "small_dsm.hpp"
#include "tarn/core/activations.hpp"

namespace tarn::cuda {

/// D and D + U up to these, or exactly these.
template <int max_D_, int max_K_, bool exact>
struct SmallDsmExtents {
  static constexpr int max_D = max_D_, max_K = max_K_;
  static constexpr int rows_at_a_time = max_K_ <= 2 ? 4 : 1;  // backward, as far as registers go
  __device__ static int D(const SmallDsmPlan& p) { return exact ? max_D_ : p.n_outputs; }
  __device__ static int K(const SmallDsmPlan& p) { return exact ? max_K_ : p.n_columns; }
};

/// A block's shared memory. Parameters are `[K + 1 + D, block_neurons]`: columns of W_in, b, rows of V.
struct SmallDsmShared {
  float *weights, *first, *second, *largest, *average;
  float* gradients;  ///< `[row_groups]` times as many
  float*
      rows;  ///< `[2]` for this step and the next: points `[K, padded_rows]`, targets (then deltas) `[D, padded_rows]`,
             ///< scales `[padded_rows]`
  float* sums;         ///< `[forward_groups, D, padded_rows]`
  double* warps;       ///< `[3, warps]`
  DsmRecord* records;  ///< `[4]`: step t's at t mod 4, there a step before its rows are made

  __device__ SmallDsmShared(float* memory, const SmallDsmCall& q) {
    const SmallDsmPlan& p = q.plan;
    const auto take = [&memory](int n) {
      float* const taken = memory;
      memory += n;
      return taken;
    };
    weights = take(p.block_params());
    first = take(p.block_params());
    second = take(p.block_params());
    largest = q.amsgrad ? take(p.block_params()) : nullptr;
    average = q.averages ? take(p.block_params()) : nullptr;
    gradients = take(p.row_groups * p.block_params());
    rows = take(2 * p.row_floats());
    sums = take(p.forward_groups * p.n_sums());
    warps = reinterpret_cast<double*>(take(2 * 3 * (small_dsm_threads / 32)));
    records = reinterpret_cast<DsmRecord*>(memory);
  }
};

/// Calls `f(at, index)` for every parameter of the block's neurons: its place in shared memory, and in the arrays.
template <class F>
__device__ void each_small_parameter(const SmallDsmCall& q, const F& f) {
  const SmallDsmPlan& p = q.plan;
  const int begin = static_cast<int>(blockIdx.x) * p.block_neurons, real = min(p.block_neurons, p.n_neurons - begin);
  for (int row = 0; row < p.n_params(); ++row) {
    for (int j = static_cast<int>(threadIdx.x); j < real; j += small_dsm_threads) {
      const std::int64_t neuron = begin + j;
      f(row * p.block_neurons + j,
        row <= p.n_columns ? neuron * q.in_width + row : q.v_begin + (row - p.n_columns - 1) * q.hidden_width + neuron);
    }
  }
}

/// Brings the record of step `first + t` into its place.
__device__ inline void fetch_record(const SmallDsmCall& q, const SmallDsmShared& s, std::int64_t t) {
  if (threadIdx.x >= sizeof(DsmRecord) / 4) return;
  reinterpret_cast<std::uint32_t*>(s.records + (t & 3))[threadIdx.x] =
      reinterpret_cast<const std::uint32_t*>(q.records + q.first + t)[threadIdx.x];
}

/// Rows of step `first + t`, whose record is in place. Threads take a row each, or a data row's quad of components.
template <class E>
__device__ void make_small_rows(const SmallDsmCall& q, const SmallDsmShared& s, std::int64_t t) {
  const SmallDsmPlan& p = q.plan;
  const DsmRecord& record = s.records[t & 3];
  const std::uint64_t step = record.step;
  const std::int64_t offset = record.row_offset;
  float* const points = s.rows + (t & 1) * p.row_floats();
  float* const targets = points + E::K(p) * p.padded_rows;
  float* const scales = targets + E::D(p) * p.padded_rows;
  const int quads = (E::K(p) + 3) / 4, n_data = static_cast<int>(q.rows.batch_size);
  for (int item = static_cast<int>(threadIdx.x); item < n_data * quads; item += small_dsm_threads) {
    const int quad = E::max_K <= 4 ? 0 : item / n_data, row = item - quad * n_data;
    const float* const x = data_of_row(q.rows, offset, row);
    float xi[4] = {};
    if (4 * quad < E::D(p)) noise_of_row(q.rows, step, row, quad, xi);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int k = 4 * quad + i;
      if (k >= E::K(p)) break;
      float value = x[k];
      if (k < E::D(p)) {
        value = add(value, mul(q.rows.sigma, xi[i]));
        targets[k * p.padded_rows + row] = mul(q.rows.inverse_sigma, xi[i]);
      }
      points[k * p.padded_rows + row] = value;
    }
    if (quad == 0) scales[row] = 1.0f;
  }
  for (int row = n_data + static_cast<int>(threadIdx.x); row < p.n_rows; row += small_dsm_threads) {
    const auto chain = static_cast<std::uint64_t>(row - n_data);
    float normal[4];
    double square = 0.0;
    float last = 0.0f;
    for (int quad = 0; 4 * quad <= E::D(p); ++quad) {
      normals_of_quad(q.rows.seed, Stream::confinement, chain, step, E::D(p) + 1, quad, normal);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if (4 * quad + i < E::D(p)) square += static_cast<double>(normal[i]) * normal[i];
        if (4 * quad + i == E::D(p)) last = normal[i];
      }
    }
    const double R = confinement_radius(q.rows, last);
    for (int quad = 0; 4 * quad < E::D(p); ++quad) {
      if (E::D(p) > 3) normals_of_quad(q.rows.seed, Stream::confinement, chain, step, E::D(p) + 1, quad, normal);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int k = 4 * quad + i;
        if (k >= E::D(p)) break;
        const double direction = confinement_direction(normal[i], square, k);
        points[k * p.padded_rows + row] = static_cast<float>(R * direction);
        targets[k * p.padded_rows + row] = static_cast<float>(q.rows.pull * direction);
      }
    }
    const float* const x = data_of_row(q.rows, offset, row);
    for (int k = E::D(p); k < E::K(p); ++k) points[k * p.padded_rows + row] = x[k];
    scales[row] = static_cast<float>(q.rows.sigma_squared / R);
  }
}

/// This block's part of the sums of every row, into `s.sums`.
template <Nonlinearity phi, class E>
__device__ void small_forward(const SmallDsmPlan& p, const SmallDsmShared& s, const float* points) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int tiles = p.padded_rows / 32, quads = p.block_neurons / 4;
  // more tiles of rows than warps: each takes several; more warps than tiles: several share a tile, those left over rest
  for (int tile = warp % tiles; tile < tiles; tile += small_dsm_threads / 32) {
    const int group = warp / tiles, row = 32 * tile + lane;
    if (group >= p.forward_groups) break;
    float x[E::max_K], sums[E::max_D];
#pragma unroll
    for (int k = 0; k < E::max_K; ++k) x[k] = k < E::K(p) ? points[k * p.padded_rows + row] : 0.0f;
#pragma unroll
    for (int d = 0; d < E::max_D; ++d) sums[d] = 0.0f;
    for (int quad = group; quad < quads; quad += p.forward_groups) {
      const float* const of = s.weights + 4 * quad;
      const auto load = [&](int param) { return *reinterpret_cast<const float4*>(of + param * p.block_neurons); };
      float4 u = load(E::K(p));
#pragma unroll
      for (int k = 0; k < E::max_K; ++k) {
        if (k >= E::K(p)) break;
        const float4 w = load(k);
        u = make_float4(fma(w.x, x[k], u.x), fma(w.y, x[k], u.y), fma(w.z, x[k], u.z), fma(w.w, x[k], u.w));
      }
      const float4 a = make_float4(activate<phi>(u.x), activate<phi>(u.y), activate<phi>(u.z), activate<phi>(u.w));
#pragma unroll
      for (int d = 0; d < E::max_D; ++d) {
        if (d >= E::D(p)) break;
        const float4 v = load(E::K(p) + 1 + d);
        sums[d] = fma(v.w, a.w, fma(v.z, a.z, fma(v.y, a.y, fma(v.x, a.x, sums[d]))));
      }
    }
#pragma unroll
    for (int d = 0; d < E::max_D; ++d) {
      if (d < E::D(p)) s.sums[group * p.n_sums() + d * p.padded_rows + row] = sums[d];
    }
  }
}

/// Sums over all neurons at component-and-row `i`.
__device__ inline float total_of_groups(const SmallDsmPlan& p, const SmallDsmShared& s, int i) {
  float total = s.sums[i];
  for (int group = 1; group < p.forward_groups; ++group) total = add(total, s.sums[group * p.n_sums() + i]);
  return total;
}

/// Gradients of the block's neurons: each row group's, into `s.gradients`.
template <Nonlinearity phi, class E>
__device__ void small_backward(const SmallDsmCall& q, const SmallDsmShared& s, const float* points,
                               const float* deltas) {
  const SmallDsmPlan& p = q.plan;
  constexpr int R = E::rows_at_a_time;
  const int group = static_cast<int>(threadIdx.x) / p.neuron_threads;
  if (group >= p.row_groups) return;
  const int real = min(p.block_neurons, p.n_neurons - static_cast<int>(blockIdx.x) * p.block_neurons);
  for (int j = static_cast<int>(threadIdx.x) % p.neuron_threads; j < p.block_neurons; j += p.neuron_threads) {
    const float* const of = s.weights + j;
    float w[E::max_K], v[E::max_D], dw[E::max_K], dv[E::max_D], db = 0.0f;
#pragma unroll
    for (int k = 0; k < E::max_K; ++k) {
      w[k] = k < E::K(p) ? of[k * p.block_neurons] : 0.0f;
      dw[k] = 0.0f;
    }
    const float b = of[E::K(p) * p.block_neurons];
#pragma unroll
    for (int d = 0; d < E::max_D; ++d) {
      v[d] = d < E::D(p) ? of[(E::K(p) + 1 + d) * p.block_neurons] : 0.0f;
      dv[d] = 0.0f;
    }
    for (int first = R * group; first < p.padded_rows; first += R * p.row_groups) {
      // R rows of a component lie together
      const auto load = [&](const float* from, float(&to)[R]) {
        if constexpr (R == 4) {
          const float4 four = *reinterpret_cast<const float4*>(from + first);
          to[0] = four.x;
          to[1] = four.y;
          to[2] = four.z;
          to[3] = four.w;
        } else {
          to[0] = from[first];
        }
      };
      float x[E::max_K][R], delta[E::max_D][R];
#pragma unroll
      for (int k = 0; k < E::max_K; ++k) {
        if (k < E::K(p)) load(points + k * p.padded_rows, x[k]);
      }
#pragma unroll
      for (int d = 0; d < E::max_D; ++d) {
        if (d < E::D(p)) load(deltas + d * p.padded_rows, delta[d]);
      }
#pragma unroll
      for (int r = 0; r < R; ++r) {
        float u = b;
#pragma unroll
        for (int k = 0; k < E::max_K; ++k) {
          if (k < E::K(p)) u = fma(w[k], x[k][r], u);
        }
        const float a = activate<phi>(u);
        float back = mul(delta[0][r], v[0]);
#pragma unroll
        for (int d = 1; d < E::max_D; ++d) {
          if (d < E::D(p)) back = fma(delta[d][r], v[d], back);
        }
        if constexpr (phi == Nonlinearity::relu) {
          back = u > 0.0f ? back : 0.0f;
        } else {
          back = mul(back, activate_derivative<phi>(u, a));
        }
#pragma unroll
        for (int d = 0; d < E::max_D; ++d) {
          if (d < E::D(p)) dv[d] = fma(delta[d][r], a, dv[d]);
        }
        db = add(db, back);
#pragma unroll
        for (int k = 0; k < E::max_K; ++k) {
          if (k < E::K(p)) dw[k] = fma(back, x[k][r], dw[k]);
        }
      }
    }
    // pads stay zero
    float* const to = s.gradients + group * p.block_params() + j;
    const bool counts = j < real;
#pragma unroll
    for (int k = 0; k < E::max_K; ++k) {
      if (k < E::K(p)) to[k * p.block_neurons] = counts ? dw[k] : 0.0f;
    }
    to[E::K(p) * p.block_neurons] = counts ? db : 0.0f;
#pragma unroll
    for (int d = 0; d < E::max_D; ++d) {
      if (d < E::D(p)) to[(E::K(p) + 1 + d) * p.block_neurons] = counts ? dv[d] : 0.0f;
    }
  }
}

/// The sum over the block, once all threads are past the next barrier: `total_of_warps`.
__device__ inline void sum_of_warp(double value, double* warps) {
  for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(0xffffffffu, value, lanes);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
}
__device__ inline double total_of_warps(const double* warps) {
  double total = 0.0;
  for (int warp = 0; warp < small_dsm_threads / 32; ++warp) total += warps[warp];
  return total;
}

template <Nonlinearity phi, class E>
__global__ void __launch_bounds__(small_dsm_threads, 1) small_dsm_kernel(SmallDsmCall q) {
  TARN_DYNAMIC_SHARED(float, memory);
  const SmallDsmPlan& p = q.plan;
  const SmallDsmShared s(memory, q);
  const int self = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x);
  constexpr int warps = small_dsm_threads / 32;
  unsigned barriers = 0;

  // pads of neurons and rows are zero from here on
  for (int i = self; i < p.copies * p.block_params(); i += small_dsm_threads) s.weights[i] = 0.0f;
  for (int i = self; i < 2 * p.row_floats(); i += small_dsm_threads) s.rows[i] = 0.0f;
  fetch_record(q, s, 0);
  __syncthreads();
  each_small_parameter(q, [&](int at, std::int64_t index) {
    s.weights[at] = q.adam.weights[index];
    s.first[at] = q.adam.first[index];
    s.second[at] = q.adam.second[index];
    if (q.amsgrad) s.largest[at] = q.adam.largest[index];
    if (q.averages) s.average[at] = q.adam.average[index];
  });

  for (std::int64_t t = -1; t < q.n_steps; ++t) {
    // the turn before the first makes rows, and no more
    const auto turn = static_cast<int>(t & 1);
    float* const partials = q.partials + turn * p.n_blocks * p.n_sums();
    const float* const points = s.rows + turn * p.row_floats();
    if (t >= 0) {
      small_forward<phi, E>(p, s, points);
      __syncthreads();
      if (p.n_blocks > 1) {
        for (int i = self; i < p.n_sums(); i += small_dsm_threads)
          partials[block * p.n_sums() + i] = total_of_groups(p, s, i);
        grid_arrive(q.arrived);
      }
    }
    if (t + 1 < q.n_steps) make_small_rows<E>(q, s, t + 1);
    if (t + 2 < q.n_steps) fetch_record(q, s, t + 2);
    if (t < 0) {
      __syncthreads();
      continue;
    }
    if (p.n_blocks > 1) grid_wait(q.arrived, ++barriers * static_cast<unsigned>(p.n_blocks));

    float* const targets = s.rows + turn * p.row_floats() + E::K(p) * p.padded_rows;
    const float* const scales = targets + E::D(p) * p.padded_rows;
    double loss = 0.0, excess = 0.0;
    for (int i = self; i < p.n_sums(); i += small_dsm_threads) {
      const int row = i % p.padded_rows;
      if (row >= p.n_rows) continue;
      float total = 0.0f;
      if (p.n_blocks > 1) {
#pragma unroll 8
        for (int other = 0; other < p.n_blocks; ++other)
          total = add(total, load_from_grid(partials + other * p.n_sums() + i));
      } else {
        total = total_of_groups(p, s, i);
      }
      const bool counts = row < q.constants.batch_size;
      const float scale = scales[row], target = targets[i];
      const float weight = counts ? q.constants.data_weight : mul(q.constants.confinement_weight, scale);
      const float score = fma(q.constants.output_scale, total, sub(0.0f, points[i]));
      const float residual = fma(scale, score, target);
      targets[i] = mul(weight, residual);
      if (counts) {
        loss += 0.5 * static_cast<double>(residual) * residual;
        excess += static_cast<double>(score) * (0.5 * static_cast<double>(score) + target);
      }
    }
    if (block == 0) {
      sum_of_warp(loss, s.warps);
      sum_of_warp(excess, s.warps + warps);
    }
    __syncthreads();

    small_backward<phi, E>(q, s, points, targets);
    __syncthreads();

    AdamStep step = s.records[t & 3].adam;
    double norm = 0.0;
    if (q.clip_norm > 0.0) {
      double square = 0.0;
      for (int i = self; i < p.block_params(); i += small_dsm_threads) {
        float g = s.gradients[i];
        for (int group = 1; group < p.row_groups; ++group) g = add(g, s.gradients[group * p.block_params() + i]);
        s.gradients[i] = g;
        square += static_cast<double>(g) * g;
      }
      sum_of_warp(square, s.warps + 2 * warps);
      __syncthreads();
      square = total_of_warps(s.warps + 2 * warps);
      if (p.n_blocks > 1) {
        double* const squares = q.squares + turn * p.n_blocks;
        if (self == 0) squares[block] = square;
        grid_arrive(q.arrived);
        grid_wait(q.arrived, ++barriers * static_cast<unsigned>(p.n_blocks));
        square = 0.0;
        for (int other = 0; other < p.n_blocks; ++other) square += load_from_grid(squares + other);
      }
      norm = ::sqrt(square);
      step.gradient_scale = norm > q.clip_norm ? static_cast<float>(q.clip_norm / norm) : 1.0f;
    }
    for (int i = self; i < p.block_params(); i += small_dsm_threads) {
      float g = s.gradients[i];
      if (!(q.clip_norm > 0.0)) {
        for (int group = 1; group < p.row_groups; ++group) g = add(g, s.gradients[group * p.block_params() + i]);
      }
      AdamValues<float> values{s.weights[i], s.first[i], s.second[i], q.amsgrad ? s.largest[i] : 0.0f,
                               q.averages ? s.average[i] : 0.0f};
      adam_update_values(step, g, values);
      s.weights[i] = values.weight;
      s.first[i] = values.first;
      s.second[i] = values.second;
      if (q.amsgrad) s.largest[i] = values.largest;
      if (q.averages) s.average[i] = values.average;
    }
    if (block == 0 && self == 0) {
      const auto B = static_cast<double>(q.constants.batch_size);
      q.losses[q.first + t] = {total_of_warps(s.warps) / B, total_of_warps(s.warps + warps) / B, norm};
    }
    __syncthreads();
  }

  each_small_parameter(q, [&](int at, std::int64_t index) {
    q.adam.weights[index] = s.weights[at];
    q.adam.first[index] = s.first[at];
    q.adam.second[index] = s.second[at];
    if (q.amsgrad) q.adam.largest[index] = s.largest[at];
    if (q.averages) q.adam.average[index] = s.average[at];
  });
}

/// The launcher of one nonlinearity.
template <Nonlinearity phi>
void launch_small_dsm_of(const SmallDsmCall& call, StreamHandle stream) {
  const SmallDsmPlan& p = call.plan;
  const LaunchConfig config{dim3(static_cast<unsigned>(p.n_blocks)), dim3(small_dsm_threads),
                            static_cast<std::size_t>(p.shared_bytes()), stream, p.n_blocks > 1};
  if (p.n_outputs == 1 && p.n_columns == 1)
    return launch(small_dsm_kernel<phi, SmallDsmExtents<1, 1, true>>, config, call);
  if (p.n_outputs == 2 && p.n_columns == 2)
    return launch(small_dsm_kernel<phi, SmallDsmExtents<2, 2, true>>, config, call);
  if (p.n_outputs <= 4 && p.n_columns <= 8)
    return launch(small_dsm_kernel<phi, SmallDsmExtents<4, 8, false>>, config, call);
  launch(small_dsm_kernel<phi, SmallDsmExtents<16, 32, false>>, config, call);
}

}  // namespace tarn::cuda
