// kernels/algorithms.hpp by std:: algorithms, in Thrust's and CUB's place.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "algorithms.hpp"
#include "check.hpp"
#include "device_memory.hpp"
#include "simt.hpp"
#include "tarn/core/error.hpp"

namespace tarn::cuda {
namespace {

void check(std::int64_t n, const void* temporary, std::size_t given, std::size_t needed) {
  require(n >= 0 && n < (std::int64_t{1} << 31), "algorithms: {} entries", n);
  require(temporary && simt::is_device_pointer(temporary) && given >= needed,
          "algorithms: {} bytes of temporary memory; {} are needed, of the device", given, needed);
}

}  // namespace

std::size_t sort_by_key_bytes(std::int64_t n) { return static_cast<std::size_t>(n) * 16 + 1; }
std::size_t count_non_negative_bytes(std::int64_t) { return 1; }

void sort_by_key(const std::uint64_t* keys, std::uint64_t* sorted_keys, const std::int64_t* values,
                 std::int64_t* sorted_values, std::int64_t n, void* temporary, std::size_t temporary_bytes,
                 StreamHandle stream) {
  check(n, temporary, temporary_bytes, sort_by_key_bytes(n));
  simt::enqueue(stream, [=] {
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return keys[a] < keys[b]; });
    for (std::int64_t i = 0; i < n; ++i) {
      sorted_keys[i] = keys[order[static_cast<std::size_t>(i)]];
      sorted_values[i] = values[order[static_cast<std::size_t>(i)]];
    }
  });
}

void count_non_negative(const std::int64_t* values, std::int64_t n, std::int64_t* count, void* temporary,
                        std::size_t temporary_bytes, StreamHandle stream) {
  check(n, temporary, temporary_bytes, count_non_negative_bytes(n));
  simt::enqueue(stream, [=] { *count = std::count_if(values, values + n, [](std::int64_t v) { return v >= 0; }); });
}

void histogram(const float* values, std::int64_t n, double low, double high, std::int64_t n_bins, std::int64_t* counts,
               StreamHandle stream) {
  require(n >= 0 && n < (std::int64_t{1} << 31) && n_bins >= 1 && n_bins < (std::int64_t{1} << 20),
          "histogram of {} values in {} bins", n, n_bins);
  simt::enqueue(stream, [=] {
    std::fill_n(counts, n_bins, std::int64_t{0});
    const double scale = static_cast<double>(n_bins) / (high - low);
    for (std::int64_t i = 0; i < n; ++i) {
      const double x = values[i];
      if (!(x >= low && x < high)) continue;
      ++counts[std::min(n_bins - 1, static_cast<std::int64_t>((x - low) * scale))];
    }
  });
  TARN_CUDA_CHECK(cudaStreamSynchronize(stream));
}

}  // namespace tarn::cuda
