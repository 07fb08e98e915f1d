// Thrust and CUB, for the whole program. Sorts are CUB's radix sort (stable), counts and histograms are of integers: all deterministic.
// Bytes moved: a sort passes over keys and values about eight times; the others read their input once or twice.
#include <cuda_runtime.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>

#include <cub/device/device_for.cuh>
#include <cub/device/device_histogram.cuh>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_reduce.cuh>

#include "algorithms.hpp"
#include "check.hpp"

namespace tarn::cuda {
namespace {

struct NonNegative {
  __host__ __device__ std::int64_t operator()(std::int64_t value) const { return value >= 0 ? 1 : 0; }
};

// The bin of a value; n_bins, which has no bin, for values outside.
struct BinOf {
  double low, high, scale;
  int n_bins;
  __host__ __device__ int operator()(float value) const {
    const double x = value;
    if (!(x >= low && x < high)) return n_bins;
    const int bin = static_cast<int>((x - low) * scale);
    return bin < n_bins ? bin : n_bins - 1;
  }
};

struct Widen {
  const int* from;
  std::int64_t* to;
  __device__ void operator()(int i) const { to[i] = from[i]; }
};

// Device memory that is freed whatever happens.
class Temporary {
 public:
  explicit Temporary(std::size_t bytes) { TARN_CUDA_CHECK(cudaMalloc(&data_, bytes < 256 ? 256 : bytes)); }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() { TARN_CUDA_NOTE(cudaFree(data_)); }
  void* get() const { return data_; }

 private:
  void* data_ = nullptr;
};

auto counted(const std::int64_t* values) { return thrust::make_transform_iterator(values, NonNegative{}); }

}  // namespace

std::size_t sort_by_key_bytes(std::int64_t n) {
  std::size_t bytes = 0;
  TARN_CUDA_CHECK(cub::DeviceRadixSort::SortPairs(
      nullptr, bytes, static_cast<const std::uint64_t*>(nullptr), static_cast<std::uint64_t*>(nullptr),
      static_cast<const std::int64_t*>(nullptr), static_cast<std::int64_t*>(nullptr), static_cast<int>(n)));
  return bytes > 0 ? bytes : 1;
}

std::size_t count_non_negative_bytes(std::int64_t n) {
  std::size_t bytes = 0;
  TARN_CUDA_CHECK(cub::DeviceReduce::Sum(nullptr, bytes, counted(nullptr), static_cast<std::int64_t*>(nullptr),
                                         static_cast<int>(n)));
  return bytes > 0 ? bytes : 1;
}

void sort_by_key(const std::uint64_t* keys, std::uint64_t* sorted_keys, const std::int64_t* values,
                 std::int64_t* sorted_values, std::int64_t n, void* temporary, std::size_t temporary_bytes,
                 StreamHandle stream) {
  TARN_CUDA_CHECK(cub::DeviceRadixSort::SortPairs(temporary, temporary_bytes, keys, sorted_keys, values, sorted_values,
                                                  static_cast<int>(n), 0, 64, stream));
}

void count_non_negative(const std::int64_t* values, std::int64_t n, std::int64_t* count, void* temporary,
                        std::size_t temporary_bytes, StreamHandle stream) {
  TARN_CUDA_CHECK(
      cub::DeviceReduce::Sum(temporary, temporary_bytes, counted(values), count, static_cast<int>(n), stream));
}

void histogram(const float* values, std::int64_t n, double low, double high, std::int64_t n_bins, std::int64_t* counts,
               StreamHandle stream) {
  const int bins = static_cast<int>(n_bins), size = static_cast<int>(n);
  const BinOf bin_of{low, high, static_cast<double>(n_bins) / (high - low), bins};
  const auto samples = thrust::make_transform_iterator(values, bin_of);
  const Temporary counters(static_cast<std::size_t>(n_bins) * sizeof(int));
  auto* narrow = static_cast<int*>(counters.get());
  std::size_t bytes = 0;
  TARN_CUDA_CHECK(
      cub::DeviceHistogram::HistogramEven(nullptr, bytes, samples, narrow, bins + 1, 0, bins, size, stream));
  const Temporary room(bytes);
  TARN_CUDA_CHECK(
      cub::DeviceHistogram::HistogramEven(room.get(), bytes, samples, narrow, bins + 1, 0, bins, size, stream));
  TARN_CUDA_CHECK(cub::DeviceFor::Bulk(bins, Widen{narrow, counts}, stream));
  TARN_CUDA_CHECK(cudaStreamSynchronize(stream));
}

}  // namespace tarn::cuda
