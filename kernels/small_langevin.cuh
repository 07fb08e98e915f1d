// Small-D Langevin chains, all steps of a call in one launch:
//   x <- x + dt f(x) + scale * normals,  f(x) = (-x + phi([x u] W_in^T + b) W_out^T + c) M^T
// or, where `v` `[n, D]` is given, x and v by momentum_step.hpp; v overwritten, 0 where x is held.
// `x` `[n, D]`, overwritten; `u` `[n, K - D]` and `clamp` `[n, D]` read only; `first_bad_step` `[n]` set where a chain goes bad. Where
// `drift` `[n, D]` is given, f at the rows [x u] is written there and nothing else. State, noise and sums are in registers, weights in
// shared memory. L lanes of a warp share a chain, a thread carries C chains; blocks of whole warps, up to `max_block`. Deterministic, and
// the same bits as the CPU for every L, C and block. Moves 8 D bytes a chain and a call, beside the weights.
#pragma once

#include "normals.cuh"
#include "small_langevin.hpp"
#include "small_network.cuh"

namespace tarn::cuda {

template <Nonlinearity phi, int L, int C, int max_block, bool has_momentum, class E>
__global__ void __launch_bounds__(max_block, 1) small_langevin_kernel(SmallLangevinArgs a) {
  TARN_DYNAMIC_SHARED(float4, shared);
  const E e{a.network.layout.D, a.network.layout.K};
  const int lane = L == 1 ? 0 : static_cast<int>(threadIdx.x) % L;
  const int groups = static_cast<int>(blockDim.x) / L, group = static_cast<int>(threadIdx.x) / L;
  std::int64_t chain[C];
  std::uint64_t subsequence[C];
  float z[C][E::max_K] = {};
  float momentum[C][has_momentum ? E::max_D : 1] = {};
#pragma unroll
  for (int c = 0; c < C; ++c) {
    chain[c] = (static_cast<std::int64_t>(blockIdx.x) * C + c) * groups + group;
    subsequence[c] = a.subsequence + static_cast<std::uint64_t>(chain[c]);
    if (chain[c] < a.n) {
#pragma unroll
      for (int k = 0; k < E::max_K; ++k) {
        if (k < e.D())
          z[c][k] = a.x[chain[c] * a.x_stride + k];
        else if (k < e.K())
          z[c][k] = a.u[chain[c] * a.u_stride + k - e.D()];
      }
      if constexpr (has_momentum) {
#pragma unroll
        for (int d = 0; d < E::max_D; ++d) {
          if (d < e.D()) momentum[c][d] = a.v[chain[c] * e.D() + d];
        }
      }
    }
  }
  if (a.resident) {
    stage_records<L, E::pieces>(a.network, 0, small_partials / L * a.network.layout.n_rows, shared);
    __syncthreads();
  }

  const SmallWeights weights{a.network, shared, a.resident, a.rows_at_once};
  NoiseReader<C, E::max_D> noise;
  float drift[C][E::max_D], normal[C][E::max_D] = {}, next[C][E::max_D] = {};
  if (a.midpoint) noise.read(a.seed, subsequence, e.D(), a.first_step, next);
#pragma unroll 1
  for (std::int64_t t = 0; t < a.n_steps; ++t) {
    small_drift<phi, L, C>(weights, e, z, drift);
    if (a.drift) break;
    const std::uint64_t step = a.first_step + static_cast<std::uint64_t>(t);
    // Leimkuhler and Matthews (2013): each normal serves two steps at half weight.
    if (a.midpoint) {
#pragma unroll
      for (int c = 0; c < C; ++c) {
#pragma unroll
        for (int d = 0; d < E::max_D; ++d) normal[c][d] = next[c][d];
      }
      noise.read(a.seed, subsequence, e.D(), step + 1, next);
#pragma unroll
      for (int c = 0; c < C; ++c) {
#pragma unroll
        for (int d = 0; d < E::max_D; ++d) normal[c][d] = add(normal[c][d], next[c][d]);
      }
    } else {
      noise.read(a.seed, subsequence, e.D(), step, normal);
    }
#pragma unroll
    for (int c = 0; c < C; ++c) {
      float square = 0.0f;
#pragma unroll
      for (int d = 0; d < E::max_D; ++d) {
        if (d >= e.D()) break;
        if constexpr (has_momentum) {
          take_momentum_step(a.momentum, drift[c][d], normal[c][d], z[c][d], momentum[c][d]);
        } else {
          z[c][d] = fma(a.scale, normal[c][d], fma(a.dt, drift[c][d], z[c][d]));
        }
        if (a.clamp && chain[c] < a.n) {
          const float held = a.clamp[chain[c] * e.D() + d];
          z[c][d] = held == held ? held : z[c][d];  // NaN leaves it free
          if constexpr (has_momentum) momentum[c][d] = held == held ? 0.0f : momentum[c][d];
        }
        square = d == 0 ? mul(z[c][0], z[c][0]) : fma(z[c][d], z[c][d], square);
      }
      if (square <= a.limit) continue;
        // Not finite or beyond the bound: the chain reads NaN from here on; the first such step is kept.
#pragma unroll
      for (int d = 0; d < E::max_D; ++d) {
        if (d < e.D()) z[c][d] = __builtin_nanf("");
        if (has_momentum && d < e.D()) momentum[c][has_momentum ? d : 0] = __builtin_nanf("");
      }
      if (lane == 0 && chain[c] < a.n && a.first_bad_step[chain[c]] < 0)
        a.first_bad_step[chain[c]] = static_cast<std::int64_t>(step);
    }
  }
#pragma unroll
  for (int c = 0; c < C; ++c) {
    if (lane != 0 || chain[c] >= a.n) continue;
#pragma unroll
    for (int d = 0; d < E::max_D; ++d) {
      if (d >= e.D()) break;
      if (a.drift)
        a.drift[chain[c] * e.D() + d] = drift[c][d];
      else
        a.x[chain[c] * a.x_stride + d] = z[c][d];
      if constexpr (has_momentum) a.v[chain[c] * e.D() + d] = momentum[c][d];
    }
  }
}

/// Launches the kernel where it is the one that `variant` means.
template <Nonlinearity phi, int L, int C, int max_block, class E>
void try_small_langevin(const SmallLangevinArgs& args, const SmallVariant& variant, std::int64_t shared_bytes,
                        bool only_ask, StreamHandle stream, SmallVariantLimits& limits) {
  if (variant.lanes != L || variant.chains != C) return;
  limits = {true, max_block};
  if (only_ask || variant.block > max_block) return;
  const std::int64_t chains_a_block = std::int64_t{variant.block} / L * C;
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>((args.n + chains_a_block - 1) / chains_a_block));
  config.block = dim3(static_cast<unsigned>(variant.block));
  config.shared_bytes = static_cast<std::size_t>(shared_bytes);
  config.stream = stream;
  if (args.v) {
    launch(small_langevin_kernel<phi, L, C, max_block, true, E>, config, args);
  } else {
    launch(small_langevin_kernel<phi, L, C, max_block, false, E>, config, args);
  }
}

/// All variants of a nonlinearity.
template <Nonlinearity phi>
SmallVariantLimits small_langevin(const SmallLangevinArgs& args, const SmallVariant& v, std::int64_t shared_bytes,
                                  bool only_ask, StreamHandle stream) {
  SmallVariantLimits limits;
  // L, C and the largest block, which bounds the registers of a thread: 128 at 512, 255 at 256.
  const auto with = [&]<int index, int L, int C, int max_block>() {
    try_small_langevin<phi, L, C, max_block, SmallExtents<index>>(args, v, shared_bytes, only_ask, stream, limits);
  };
  constexpr bool cheap = is_cheap(phi);
  switch (args.network.layout.size_class) {
    case 0:
      with.template operator()<0, 1, 4, 512>();
      if constexpr (phi == Nonlinearity::relu) with.template operator()<0, 1, 8, 512>();
      with.template operator()<0, 8, cheap ? 4 : 1, 512>();
      with.template operator()<0, 32, 1, 512>();
      break;
    case 1:
      with.template operator()<1, 1, cheap ? 4 : 2, 512>();
      with.template operator()<1, 8, cheap ? 4 : 1, 512>();
      with.template operator()<1, 32, 1, 512>();
      break;
    case 2:
      with.template operator()<2, 1, 2, 512>();
      if constexpr (cheap) with.template operator()<2, 8, 2, 512>();
      with.template operator()<2, 32, 1, 512>();
      break;
    case 3:
      with.template operator()<3, 1, 2, 256>();
      with.template operator()<3, 32, 1, 512>();
      break;
    case 4:
      with.template operator()<4, 1, cheap ? 2 : 1, 256>();
      with.template operator()<4, 32, 1, 512>();
      break;
    case 5:
      with.template operator()<5, 1, 1, 256>();
      if constexpr (cheap) with.template operator()<5, 1, 2, 256>();
      if constexpr (cheap) with.template operator()<5, 8, 1, 256>();
      with.template operator()<5, 32, 1, 256>();
      break;
    case 6:
      with.template operator()<6, 1, 1, 256>();
      if constexpr (cheap) with.template operator()<6, 1, 2, 256>();
      if constexpr (cheap) with.template operator()<6, 8, 1, 256>();
      with.template operator()<6, 32, 1, 256>();
      break;
    case 7:
      with.template operator()<7, 1, 1, 256>();
      with.template operator()<7, 32, 1, 256>();
      break;
    default:
      with.template operator()<8, 1, 1, 256>();
      with.template operator()<8, 32, 1, 256>();
  }
  return limits;
}

}  // namespace tarn::cuda
