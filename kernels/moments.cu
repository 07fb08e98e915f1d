// count, mean = sum x / count and variance = sum (x - mean)^2 / (count - 1) of the finite values of each column.
//
// x [n, D] row-major, read twice: the mean first, then the squares about it, both in double. A block has `width` neighbouring columns
// (a power of 2, up to 32) and 512 / width rows at a time; a thread adds every (512 / width)th row, and a tree in shared memory adds the
// threads of a column: one order whatever the card, deterministic. 512 threads and 8 KiB of shared memory a block; 8 bytes moved a value.
#include "moments.hpp"
#include "platform.cuh"
#include "tarn/core/host_device.hpp"

namespace tarn::cuda {
namespace {

constexpr int block_threads = 512;

// Sum over the threads of a column; all threads of the block take part, all get it.
template <class T>
__device__ T column_sum(T* shared, T mine, int width) {
  const int at = static_cast<int>(threadIdx.x);
  shared[at] = mine;
  __syncthreads();
  for (int half = block_threads / 2; half >= width; half /= 2) {
    if (at < half) shared[at] += shared[at + half];
    __syncthreads();
  }
  const T total = shared[at % width];
  __syncthreads();
  return total;
}

__global__ void __launch_bounds__(block_threads)
    moments_kernel(const float* __restrict__ x, std::int64_t n, std::int64_t D,
                   const std::int64_t* __restrict__ first_bad_step, int width, double* __restrict__ mean,
                   double* __restrict__ variance, std::int64_t* __restrict__ count) {
  TARN_SHARED(double, sums, block_threads);
  TARN_SHARED(std::int64_t, counts, block_threads);
  const int column = static_cast<int>(threadIdx.x) % width, first = static_cast<int>(threadIdx.x) / width;
  const int rows = block_threads / width;
  const std::int64_t d = static_cast<std::int64_t>(blockIdx.x) * width + column;

  double sum = 0.0, center = 0.0;
  std::int64_t finite = 0;
  for (int pass = 0; pass < 2; ++pass) {
    sum = 0.0;
    finite = 0;
    for (std::int64_t i = first; d < D && i < n; i += rows) {
      if (first_bad_step && first_bad_step[i] >= 0) continue;
      const float value = x[i * D + d];
      if (!(abs(value) <= 3.40282347e38f)) continue;
      const double away = static_cast<double>(value) - center;
      sum += pass == 0 ? away : away * away;
      ++finite;
    }
    sum = column_sum(sums, sum, width);
    finite = column_sum(counts, finite, width);
    if (pass == 0) center = finite > 0 ? sum / static_cast<double>(finite) : __builtin_nan("");
  }
  if (first != 0 || d >= D) return;
  count[d] = finite;
  mean[d] = center;
  variance[d] = finite > 1 ? sum / static_cast<double>(finite - 1) : __builtin_nan("");
}

}  // namespace

void launch_moments(const float* x, std::int64_t n, std::int64_t D, const std::int64_t* first_bad_step, double* mean,
                    double* variance, std::int64_t* count, StreamHandle stream) {
  if (D == 0) return;
  int width = 1;
  while (width < 32 && width < D) width *= 2;
  const std::int64_t blocks = (D + width - 1) / width;
  launch(moments_kernel, {dim3(static_cast<unsigned>(blocks)), dim3(block_threads), 0, stream}, x, n, D, first_bad_step,
         width, mean, variance, count);
}

}  // namespace tarn::cuda
