// F = f'(x) message + T'(x) eta + (log h)'(x), and one step of the integrator:
//   plain        x = x + dt (F - v) + scale (xi [+ xi_next]),  v = v + v_rate (strength x - v)       v: adaptation, where there is one
//   momentum     v = v + dt F,  x = x + dt/2 v,  v = decay v + scale xi,  x = x + dt/2 v             BAOAB from position to position
// Positions that leave the family's domain are reflected, with their momentum. Then fx = f(x).
//
// A thread has four neighbouring units of a chain: one Philox block, where the layer's first component lies on one. Arrays row-major, read and
// written once: 16 bytes a unit and step, 8 more with f, 8 more with v. 128 threads a block, no shared memory, no sums: deterministic.
#include "hee_normals.cuh"
#include "hee_update.hpp"
#include "platform.cuh"
#include "tarn/core/activations.hpp"
#include "tarn/core/stream.hpp"

namespace tarn::cuda {
namespace {

constexpr int threads = 128;

__device__ __forceinline__ float value_of(Nonlinearity f, float x) {
  switch (f) {
    case Nonlinearity::leaky_relu:
      return activate<Nonlinearity::leaky_relu>(x);
    case Nonlinearity::tanh:
      return activate<Nonlinearity::tanh>(x);
    case Nonlinearity::softplus:
      return activate<Nonlinearity::softplus>(x);
    case Nonlinearity::sigmoid:
      return activate<Nonlinearity::sigmoid>(x);
    case Nonlinearity::relu:
      break;
  }
  return activate<Nonlinearity::relu>(x);
}
__device__ __forceinline__ float slope_of(Nonlinearity f, float x, float fx) {
  switch (f) {
    case Nonlinearity::leaky_relu:
      return activate_derivative<Nonlinearity::leaky_relu>(x, fx);
    case Nonlinearity::tanh:
      return activate_derivative<Nonlinearity::tanh>(x, fx);
    case Nonlinearity::softplus:
      return activate_derivative<Nonlinearity::softplus>(x, fx);
    case Nonlinearity::sigmoid:
      return activate_derivative<Nonlinearity::sigmoid>(x, fx);
    case Nonlinearity::relu:
      break;
  }
  return activate_derivative<Nonlinearity::relu>(x, fx);
}

/// Moves by half a step of momentum; where that leaves the domain, position and momentum are reflected.
template <class Law>
__device__ __forceinline__ void glide(const Law& law, float half, float& x, float& v) {
  const float free = fma(half, v, x);
  x = law.confine(free);
  v = select(x == free, v, sub(0.0f, v));
}

template <bool aligned, class Law>
__global__ void __launch_bounds__(threads)
    hee_update_kernel(Law law, Nonlinearity f, HeeUpdateCall q, const HeeClock* __restrict__ clock,
                      std::uint64_t step_offset) {
  const std::int64_t groups = (q.n_units + 3) / 4;
  const std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (item >= q.n_rows * groups) return;
  const std::int64_t row = item / groups, first = item % groups * 4;
  if (q.first_bad_step[row] >= 0) return;
  const std::int64_t at = row * q.stride + first;
  const std::uint64_t subsequence =
      static_cast<std::uint64_t>(Stream::dynamics) << 48 | (clock->first_chain + static_cast<std::uint64_t>(row));
  const auto stride = static_cast<std::uint64_t>(step_stride(q.n_components));
  const std::uint64_t offset = (clock->step + step_offset) * stride + static_cast<std::uint64_t>(q.component + first);

  float x[4], eta[4], message[4] = {0.0f, 0.0f, 0.0f, 0.0f}, fx[4], v[4], normal[4];
  load_four(q.x + at, x);
  load_four(q.eta + (q.shared_eta ? first : at), eta);
  if (q.message) load_four(q.message + at, message);
  if (q.fx) load_four(q.fx + at, fx);
  if (q.v) load_four(q.v + at, v);
  if (q.mean_sum) {
    float sum[4];
    load_four(q.mean_sum + at, sum);
#pragma unroll
    for (int k = 0; k < 4; ++k) sum[k] = add(sum[k], x[k]);
    store_four(q.mean_sum + at, sum);
  }
  four_normals<aligned>(clock->seed, subsequence, offset, normal);
  if (q.noise_shared_with > 0) {
    float next[4];
    four_normals<aligned>(clock->seed, subsequence, offset + static_cast<std::uint64_t>(q.noise_shared_with) * stride,
                          next);
#pragma unroll
    for (int k = 0; k < 4; ++k) normal[k] = add(normal[k], next[k]);
  }

  bool finite = true;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    if (first + k >= q.n_units) break;  // padding is written back as it is
    float drift = fma(law.statistic_derivative(x[k]), eta[k], law.log_base_derivative(x[k]));
    if (q.message) drift = add(q.fx ? mul(message[k], slope_of(f, x[k], fx[k])) : message[k], drift);
    if (q.momentum) {
      v[k] = fma(q.dt, drift, v[k]);
      const float half = 0.5f * q.dt;
      glide(law, half, x[k], v[k]);
      v[k] = fma(q.scale, normal[k], mul(q.decay, v[k]));
      glide(law, half, x[k], v[k]);
    } else {
      if (q.v) {
        const float before = v[k];
        v[k] = fma(q.v_rate, fma(q.strength, x[k], sub(0.0f, before)), before);
        drift = sub(drift, before);
      }
      x[k] = law.confine(fma(q.scale, normal[k], fma(q.dt, drift, x[k])));
    }
    finite = finite && abs(x[k]) <= largest_state && (!q.v || abs(v[k]) <= largest_state);
    if (q.fx) fx[k] = value_of(f, x[k]);
  }
  store_four(q.x + at, x);
  if (q.fx) store_four(q.fx + at, fx);
  if (q.v) store_four(q.v + at, v);
  if (!finite) q.bad[row] = 1;
}

}  // namespace

void launch_hee_update(const HeeLaw& law, std::optional<Nonlinearity> f, const HeeUpdateCall& call,
                       const HeeClock* clock, std::uint64_t step_offset, StreamHandle stream) {
  const std::int64_t items = call.n_rows * ((call.n_units + 3) / 4);
  if (items == 0) return;
  const LaunchConfig config{dim3(static_cast<unsigned>((items + threads - 1) / threads)), dim3(threads), 0, stream};
  const bool aligned = step_stride(call.n_components) % 4 == 0 && call.component % 4 == 0;
  const Nonlinearity phi = f.value_or(Nonlinearity::relu);  // not looked at without fx
  std::visit(
      [&](const auto& its) {
        using Law = std::decay_t<decltype(its)>;
        if (aligned) {
          launch(hee_update_kernel<true, Law>, config, its, phi, call, clock, step_offset);
        } else {
          launch(hee_update_kernel<false, Law>, config, its, phi, call, clock, step_offset);
        }
      },
      law);
}

}  // namespace tarn::cuda
