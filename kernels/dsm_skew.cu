// J = strength K / |K|, K = A - A^T [D, D]; map M = (I + J)^-1 [D, stride] by Gauss-Jordan in double without pivoting (every pivot is positive,
// see src/compute/trained_skew.cpp); and d loss / d A = strength / |K| (dJ - dJ^T - 2 (dJ . K^) K^), K^ = K / |K|, zero where A is symmetric. Outputs
// are overwritten. One block each, any D: D^3 operations by 1024 threads, in shared memory up to D = 104, beyond that in `scratch`
// through the caches (on an H200 0.4 ms a step at D = 100 and 7 ms at D = 300 are the price of training J in there). Deterministic; sums in another order than the CPU's.
#include "block_sum.cuh"
#include "dsm_skew.hpp"
#include "platform.cuh"

namespace tarn::cuda {
namespace {

constexpr unsigned threads = 1024;
constexpr std::int64_t largest_in_shared = 104;  // with the sums less than 99 KiB, which every card has

__device__ double difference(const float* A, std::int64_t D, std::int64_t i, std::int64_t j) {
  return static_cast<double>(A[i * D + j]) - static_cast<double>(A[j * D + i]);
}

// Calls f(i, j) for each entry of a [D, D] matrix, a row a warp.
template <class F>
__device__ void each_entry(std::int64_t D, F&& f) {
  for (std::int64_t i = threadIdx.x / 32; i < D; i += blockDim.x / 32) {
    for (std::int64_t j = threadIdx.x % 32; j < D; j += 32) f(i, j);
  }
}

__device__ double skew_size(const float* A, std::int64_t D, double* shared) {
  double square = 0.0;
  each_entry(D, [&](std::int64_t i, std::int64_t j) {
    const double k = difference(A, D, i, j);
    square += k * k;
  });
  return ::sqrt(block_sum(square, shared));
}

__global__ void skew_map_kernel(const float* A, std::int64_t D, double strength, bool in_shared, double* scratch,
                                float* map, std::int64_t stride) {
  TARN_SHARED(double, sums, threads);
  TARN_DYNAMIC_SHARED(double, room);
  double* const a = in_shared ? room : scratch;
  double* const column = a + D * D;
  const double size = skew_size(A, D, sums), factor = size == 0.0 ? 0.0 : strength / size;
  each_entry(D, [&](std::int64_t i, std::int64_t j) {
    a[i * D + j] = factor * difference(A, D, i, j) + (i == j ? 1.0 : 0.0);
  });
  __syncthreads();
  for (std::int64_t k = 0; k < D; ++k) {
    for (std::int64_t i = threadIdx.x; i < D; i += blockDim.x) column[i] = a[i * D + k];
    __syncthreads();
    const double pivot = 1.0 / column[k];
    for (std::int64_t j = threadIdx.x; j < D; j += blockDim.x) a[k * D + j] = (j == k ? 1.0 : a[k * D + j]) * pivot;
    __syncthreads();
    each_entry(D, [&](std::int64_t i, std::int64_t j) {
      if (i != k) a[i * D + j] = (j == k ? 0.0 : a[i * D + j]) - column[i] * a[k * D + j];
    });
    __syncthreads();
  }
  each_entry(D, [&](std::int64_t i, std::int64_t j) { map[i * stride + j] = static_cast<float>(a[i * D + j]); });
}

__global__ void skew_gradient_kernel(const float* A, std::int64_t D, double strength, const float* pulled,
                                     std::int64_t stride, double output_scale, float* dA) {
  TARN_SHARED(double, sums, threads);
  const double size = skew_size(A, D, sums);
  const auto dJ = [&](std::int64_t i, std::int64_t j) {
    return -static_cast<double>(pulled[i * stride + j]) / output_scale;
  };
  double along = 0.0;  // the length of K does not matter: what points along it is taken out
  if (size > 0.0)
    each_entry(D, [&](std::int64_t i, std::int64_t j) { along += difference(A, D, i, j) / size * dJ(i, j); });
  along = block_sum(along, sums);
  const double factor = strength / size;
  each_entry(D, [&](std::int64_t i, std::int64_t j) {
    const double slope = dJ(i, j) - dJ(j, i) - 2.0 * along * (difference(A, D, i, j) / size);
    dA[i * D + j] = size == 0.0 ? 0.0f : static_cast<float>(factor * slope);
  });
}

}  // namespace

void launch_skew_map(const float* A, std::int64_t D, double strength, double* scratch, float* map, std::int64_t stride,
                     StreamHandle stream) {
  const bool in_shared = D <= largest_in_shared;
  const std::size_t bytes = in_shared ? static_cast<std::size_t>(skew_scratch(D)) * sizeof(double) : 0;
  launch(skew_map_kernel, {dim3(1), dim3(threads), bytes, stream}, A, D, strength, in_shared, scratch, map, stride);
}

void launch_skew_gradient(const float* A, std::int64_t D, double strength, const float* pulled, std::int64_t stride,
                          float output_scale, float* dA, StreamHandle stream) {
  launch(skew_gradient_kernel, {dim3(1), dim3(threads), 0, stream}, A, D, strength, pulled, stride,
         static_cast<double>(output_scale), dA);
}

}  // namespace tarn::cuda
