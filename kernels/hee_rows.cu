// Whole chains of a hierarchical model, rows of arrays [n_rows, stride]. Sums in double: a thread adds its elements in ascending order; where
// a row is longer than a warp, a lane has every 32nd, and the xor tree of the lanes follows: deterministic, the same for any number of chains. 128 threads a block; arrays are read once.
#include "hee_rows.hpp"
#include "platform.cuh"
#include "tarn/core/activations.hpp"

namespace tarn::cuda {
namespace {

constexpr int threads = 128;
constexpr int block_rows = threads / 32;

__global__ void hee_begin_kernel(HeeClock value, HeeClock* clock) { *clock = value; }
__global__ void hee_advance_kernel(HeeClock* clock, std::uint64_t n) { clock->step += n; }

__device__ __forceinline__ std::int64_t row_of_warp() {
  return static_cast<std::int64_t>(blockIdx.x) * block_rows + threadIdx.x / 32;
}

__global__ void hee_check_kernel(const float* __restrict__ x, std::int64_t n_rows, std::int64_t n_cols,
                                 std::int64_t stride, int* bad) {
  const std::int64_t row = row_of_warp();
  if (row >= n_rows) return;
  for (std::int64_t k = threadIdx.x % 32; k < n_cols; k += 32) {
    if (!(abs(x[row * stride + k]) <= largest_state)) bad[row] = 1;
  }
}

// A thread a row: rows are hardly ever lost.
__global__ void hee_quarantine_kernel(HeeArrays arrays, std::int64_t n_rows, int* bad, std::int64_t* first_bad_step,
                                      bool is_last, const HeeClock* __restrict__ clock, std::uint64_t step_offset) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (row >= n_rows || bad[row] == 0) return;
  for (int i = 0; i < arrays.n; ++i) {
    for (std::int64_t k = 0; k < arrays.stride[i]; ++k) arrays.data[i][row * arrays.stride[i] + k] = 0.0f;
  }
  if (is_last) bad[row] = 0;
  if (first_bad_step[row] < 0) first_bad_step[row] = static_cast<std::int64_t>(clock->step + step_offset);
}

__device__ __forceinline__ double warp_sum(double a) {
  for (int d = 16; d > 0; d /= 2) a += __shfl_xor_sync(0xffffffffu, a, d);
  return a;
}

/// `lanes` threads a row: a warp, or one where a row is short.
template <int lanes>
__global__ void hee_row_sums_kernel(const float* __restrict__ values, std::int64_t n_rows, std::int64_t n_cols,
                                    std::int64_t stride, const std::int64_t* __restrict__ first_bad_step, double* sums,
                                    double* squares) {
  const std::int64_t row = (static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x) / lanes;
  if (row >= n_rows || first_bad_step[row] >= 0) return;  // whole warps, where they shuffle
  double sum = 0.0, square = 0.0;
  for (std::int64_t k = threadIdx.x % lanes; k < n_cols; k += lanes) {
    const auto value = static_cast<double>(values[row * stride + k]);
    sum += value;
    square += value * value;
  }
  if constexpr (lanes == 32) {
    sum = warp_sum(sum);
    square = warp_sum(square);
    if (threadIdx.x % 32 != 0) return;
  }
  if (sums) sums[row] += sum;
  if (squares) squares[row] += square;
}

__global__ void hee_average_kernel(float* eta, float* sum, std::int64_t n, float share) {
  const std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (item >= n) return;
  const float total = add(sum[item], eta[item]);
  sum[item] = share > 0.0f ? 0.0f : total;
  if (share > 0.0f) eta[item] = mul(total, share);
}

template <class Map>
__global__ void hee_map_kernel(Map map, const float* __restrict__ x, std::int64_t n_rows, std::int64_t n_cols,
                               std::int64_t stride, const std::int64_t* __restrict__ first_bad_step, float* out) {
  const std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (item >= n_rows * stride) return;
  const bool lost = first_bad_step != nullptr && first_bad_step[item / stride] >= 0;
  out[item] = item % stride < n_cols && !lost ? map(x[item]) : 0.0f;
}

__global__ void hee_gather_kernel(const float* __restrict__ x, std::int64_t n_rows, std::int64_t stride,
                                  std::int64_t first, std::int64_t n, const std::int64_t* __restrict__ first_bad_step,
                                  float* out, std::int64_t width, std::int64_t column) {
  const std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (item >= n_rows * n) return;
  const std::int64_t row = item / n, k = item % n;
  out[row * width + column + k] = first_bad_step[row] >= 0 ? __builtin_nanf("") : x[row * stride + first + k];
}

template <Nonlinearity f>
struct Activate {
  TARN_HD float operator()(float x) const { return activate<f>(x); }
};
template <class Law>
struct Statistic {
  Law law;
  TARN_HD float operator()(float x) const { return law.statistic(x); }
};

LaunchConfig by_rows(std::int64_t n_rows, StreamHandle stream) {
  return {dim3(static_cast<unsigned>((n_rows + block_rows - 1) / block_rows)), dim3(threads), 0, stream};
}
LaunchConfig by_elements(std::int64_t n, StreamHandle stream) {
  return {dim3(static_cast<unsigned>((n + threads - 1) / threads)), dim3(threads), 0, stream};
}

}  // namespace

void launch_hee_begin(const HeeClock& value, HeeClock* clock, StreamHandle stream) {
  launch(hee_begin_kernel, {dim3(1), dim3(1), 0, stream}, value, clock);
}

void launch_hee_advance(HeeClock* clock, std::uint64_t n, StreamHandle stream) {
  launch(hee_advance_kernel, {dim3(1), dim3(1), 0, stream}, clock, n);
}

void launch_hee_check(const float* x, std::int64_t n_rows, std::int64_t n_cols, std::int64_t stride, int* bad,
                      StreamHandle stream) {
  if (n_rows > 0) launch(hee_check_kernel, by_rows(n_rows, stream), x, n_rows, n_cols, stride, bad);
}

void launch_hee_quarantine(const HeeArrays& arrays, std::int64_t n_rows, int* bad, std::int64_t* first_bad_step,
                           bool is_last, const HeeClock* clock, std::uint64_t step_offset, StreamHandle stream) {
  if (n_rows == 0) return;
  launch(hee_quarantine_kernel, by_elements(n_rows, stream), arrays, n_rows, bad, first_bad_step, is_last, clock,
         step_offset);
}

void launch_hee_row_sums(const float* values, std::int64_t n_rows, std::int64_t n_cols, std::int64_t stride,
                         const std::int64_t* first_bad_step, double* sums, double* squares, StreamHandle stream) {
  if (n_rows == 0) return;
  if (n_cols <= 32) {
    launch(hee_row_sums_kernel<1>, by_elements(n_rows, stream), values, n_rows, n_cols, stride, first_bad_step, sums,
           squares);
  } else {
    launch(hee_row_sums_kernel<32>, by_rows(n_rows, stream), values, n_rows, n_cols, stride, first_bad_step, sums,
           squares);
  }
}

void launch_hee_average(float* eta, float* sum, std::int64_t n, float share, StreamHandle stream) {
  if (n > 0) launch(hee_average_kernel, by_elements(n, stream), eta, sum, n, share);
}

void launch_hee_activate(Nonlinearity f, const float* x, std::int64_t n_rows, std::int64_t n_cols, std::int64_t stride,
                         float* fx, StreamHandle stream) {
  if (n_rows == 0) return;
  const std::int64_t* const none = nullptr;
  dispatch(f, [&](auto phi) {
    using Map = Activate<decltype(phi)::value>;
    launch(hee_map_kernel<Map>, by_elements(n_rows * stride, stream), Map{}, x, n_rows, n_cols, stride, none, fx);
  });
}

void launch_hee_statistic(const HeeLaw& law, const float* x, std::int64_t n_rows, std::int64_t n_cols,
                          std::int64_t stride, const std::int64_t* first_bad_step, float* out, StreamHandle stream) {
  if (n_rows == 0) return;
  std::visit(
      [&](const auto& its) {
        using Map = Statistic<std::decay_t<decltype(its)>>;
        launch(hee_map_kernel<Map>, by_elements(n_rows * stride, stream), Map{its}, x, n_rows, n_cols, stride,
               first_bad_step, out);
      },
      law);
}

void launch_hee_gather(const float* x, std::int64_t n_rows, std::int64_t stride, std::int64_t first, std::int64_t n,
                       const std::int64_t* first_bad_step, float* out, std::int64_t width, std::int64_t column,
                       StreamHandle stream) {
  if (n_rows * n > 0)
    launch(hee_gather_kernel, by_elements(n_rows * n, stream), x, n_rows, stride, first, n, first_bad_step, out, width,
           column);
}

}  // namespace tarn::cuda
