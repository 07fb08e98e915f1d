// a = phi(u), in place, and g = back phi'(u) with phi' from a alone, in place. Arrays [n], n a multiple of 4, aligned to 16 bytes; pads of rows are
// worked on like everything else. Four values a thread. Deterministic, the CPU's bits for the same u and back. Moves 8 bytes a value forward,
// 12 backward.
#include "dsm_backward.hpp"
#include "platform.cuh"
#include "tarn/core/activations.hpp"

namespace tarn::cuda {
namespace {

constexpr int threads = 256;

template <Nonlinearity phi>
__global__ void dsm_activate_kernel(float4* values, std::int64_t n) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (i >= n) return;
  float4 v = values[i];
  v.x = activate<phi>(v.x);
  v.y = activate<phi>(v.y);
  v.z = activate<phi>(v.z);
  v.w = activate<phi>(v.w);
  values[i] = v;
}

template <Nonlinearity phi>
__global__ void dsm_slope_kernel(float4* back, const float4* activations, std::int64_t n) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (i >= n) return;
  const float4 a = activations[i];
  float4 v = back[i];
  v.x = mul(v.x, derivative_of_value<phi>(a.x));
  v.y = mul(v.y, derivative_of_value<phi>(a.y));
  v.z = mul(v.z, derivative_of_value<phi>(a.z));
  v.w = mul(v.w, derivative_of_value<phi>(a.w));
  back[i] = v;
}

LaunchConfig flat_config(std::int64_t n, StreamHandle stream) {
  return {dim3(static_cast<unsigned>((n + threads - 1) / threads)), dim3(threads), 0, stream};
}

}  // namespace

void launch_dsm_activate(Nonlinearity phi, float* values, std::int64_t n, StreamHandle stream) {
  if (n <= 0) return;
  dispatch(phi, [&](auto kind) {
    launch(dsm_activate_kernel<kind.value>, flat_config(n / 4, stream), reinterpret_cast<float4*>(values), n / 4);
  });
}

void launch_dsm_slope(Nonlinearity phi, float* back, const float* activations, std::int64_t n, StreamHandle stream) {
  if (n <= 0) return;
  dispatch(phi, [&](auto kind) {
    launch(dsm_slope_kernel<kind.value>, flat_config(n / 4, stream), reinterpret_cast<float4*>(back),
           reinterpret_cast<const float4*>(activations), n / 4);
  });
}

}  // namespace tarn::cuda
