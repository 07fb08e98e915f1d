// values = values + rate g, or a step of Adam up g;  g = share sums. One parameter a thread; 12 bytes a parameter, 28 with Adam.
// Columns: W[i, j] = W[i, j] / |W[:, j]|. A block has 32 columns and 8 threads for each, which add every 8th row in double; their sums are added in
// ascending order. Reads W twice, writes it once. Both deterministic.
#include "adam_math.hpp"
#include "hee_learn.hpp"
#include "platform.cuh"

namespace tarn::cuda {
namespace {

constexpr int threads = 256;
constexpr int block_columns = 32, column_threads = 8;

__global__ void hee_learn_kernel(HeeLearnCall q) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (i >= q.n) return;
  const float gradient = mul(q.share, q.sums[i]);
  if (!q.uses_adam) {
    q.values[i] = add(q.values[i], mul(q.rate, gradient));
    return;
  }
  AdamValues<float> at{q.values[i], q.first[i], q.second[i], q.largest ? q.largest[i] : 0.0f, 0.0f};
  adam_update_values(q.adam, gradient, at);
  q.values[i] = at.weight;
  q.first[i] = at.first;
  q.second[i] = at.second;
  if (q.largest) q.largest[i] = at.largest;
}

__global__ void normalise_columns_kernel(float* W, std::int64_t n_rows, std::int64_t n_cols, std::int64_t stride) {
  TARN_SHARED(double, partial, block_columns* column_threads);
  const int column = threadIdx.x % block_columns, part = threadIdx.x / block_columns;
  const std::int64_t j = static_cast<std::int64_t>(blockIdx.x) * block_columns + column;
  double square = 0.0;
  for (std::int64_t i = part; i < n_rows && j < n_cols; i += column_threads) {
    const auto value = static_cast<double>(W[i * stride + j]);
    square += value * value;
  }
  partial[part * block_columns + column] = square;
  __syncthreads();
  square = 0.0;
  for (int p = 0; p < column_threads; ++p) square += partial[p * block_columns + column];
  const float scale = square > 0.0 ? static_cast<float>(1.0 / ::sqrt(square)) : 1.0f;
  for (std::int64_t i = part; i < n_rows && j < n_cols; i += column_threads)
    W[i * stride + j] = mul(W[i * stride + j], scale);
}

}  // namespace

void launch_hee_learn(const HeeLearnCall& call, StreamHandle stream) {
  if (call.n == 0) return;
  launch(hee_learn_kernel, {dim3(static_cast<unsigned>((call.n + threads - 1) / threads)), dim3(threads), 0, stream},
         call);
}

void launch_normalise_columns(float* W, std::int64_t n_rows, std::int64_t n_cols, std::int64_t stride,
                              StreamHandle stream) {
  if (n_rows == 0 || n_cols == 0) return;
  const auto blocks = static_cast<unsigned>((n_cols + block_columns - 1) / block_columns);
  launch(normalise_columns_kernel, {dim3(blocks), dim3(block_columns * column_threads), 0, stream}, W, n_rows, n_cols,
         stride);
}

}  // namespace tarn::cuda
