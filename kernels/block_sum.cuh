// Sums over the threads of a block, in one order whatever the machine.
#pragma once

#include "platform.cuh"

namespace tarn::cuda {

/// The sum of `value` over the block, for every thread of it. `shared`: room for one value a thread; the number of threads is a power of two.
/// All threads of the block take part.
__device__ inline double block_sum(double value, double* shared) {
  const unsigned i = threadIdx.x;
  shared[i] = value;
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (i < half) shared[i] += shared[i + half];
    __syncthreads();
  }
  const double sum = shared[0];
  __syncthreads();
  return sum;
}

}  // namespace tarn::cuda
