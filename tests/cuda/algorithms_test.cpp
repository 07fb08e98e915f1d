// Sorts, counts and histograms of whole arrays, and the epoch's order made from them, against the host.
#include "algorithms.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "context.hpp"
#include "cuda/device.hpp"
#include "cuda/memory.hpp"
#include "epoch_sorter.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/data/batches.hpp"

namespace tarn::cuda {
namespace {

template <class T>
DeviceBuffer<T> uploaded(const std::vector<T>& values, const Context& context) {
  DeviceBuffer<T> buffer(static_cast<std::int64_t>(values.size()));
  copy_async(buffer.data(), values.data(), buffer.size(), context.stream.handle());
  context.stream.synchronize();
  return buffer;
}
template <class T>
std::vector<T> downloaded(const DeviceBuffer<T>& buffer, const Context& context) {
  std::vector<T> values(static_cast<std::size_t>(buffer.size()));
  copy_async(values.data(), buffer.data(), buffer.size(), context.stream.handle());
  context.stream.synchronize();
  return values;
}

TEST(CudaAlgorithms, SortKeepsTheOrderOfEqualKeys) {
  TARN_NEEDS_DEVICE();
  Context context(0);
  for (const std::int64_t n : {1, 31, 33, 257, 5000}) {
    std::vector<std::uint64_t> keys(static_cast<std::size_t>(n));
    std::vector<std::int64_t> values(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      keys[i] = (i * 7919 % 13) << (i % 2 == 0 ? 0 : 60);  // many equal ones, in both ends of the word
      values[i] = static_cast<std::int64_t>(i) - 3;
    }
    const auto device_keys = uploaded(keys, context);
    const auto device_values = uploaded(values, context);
    DeviceBuffer<std::uint64_t> sorted_keys(n);
    DeviceBuffer<std::int64_t> sorted_values(n);
    DeviceBuffer<unsigned char> temporary(static_cast<std::int64_t>(sort_by_key_bytes(n)));
    sort_by_key(device_keys.data(), sorted_keys.data(), device_values.data(), sorted_values.data(), n, temporary.data(),
                temporary.bytes(), context.stream.handle());
    std::vector<std::size_t> order(keys.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });
    const auto found_keys = downloaded(sorted_keys, context);
    const auto found_values = downloaded(sorted_values, context);
    for (std::size_t i = 0; i < order.size(); ++i) {
      ASSERT_EQ(found_keys[i], keys[order[i]]) << n;
      ASSERT_EQ(found_values[i], values[order[i]]) << n;
    }
    EXPECT_EQ(downloaded(device_keys, context), keys);
    EXPECT_EQ(downloaded(device_values, context), values);
  }
}

TEST(CudaAlgorithms, CountsEntriesThatAreNotNegative) {
  TARN_NEEDS_DEVICE();
  Context context(0);
  for (const std::int64_t n : {1, 32, 257, 4099}) {
    std::vector<std::int64_t> values(static_cast<std::size_t>(n), -1);
    std::int64_t expected = 0;
    for (std::size_t i = 0; i < values.size(); i += 3, ++expected) values[i] = static_cast<std::int64_t>(i) << 33;
    const auto device = uploaded(values, context);
    DeviceBuffer<std::int64_t> count(1);
    DeviceBuffer<unsigned char> temporary(static_cast<std::int64_t>(count_non_negative_bytes(n)));
    count_non_negative(device.data(), n, count.data(), temporary.data(), temporary.bytes(), context.stream.handle());
    EXPECT_EQ(downloaded(count, context)[0], expected) << n;
  }
}

TEST(CudaAlgorithms, HistogramCountsWhatLiesWithin) {
  TARN_NEEDS_DEVICE();
  Context context(0);
  const double low = -1.7, high = 2.3;
  Matrix<float> normals(1, 10007);
  fill_normals(5, Stream::evaluation, 0, 1, 1, normals);
  std::vector<float> values(normals.data(), normals.data() + normals.size());
  for (const float special : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(), -1.7f, 2.3f, std::nextafter(2.3f, 0.0f)})
    values.push_back(special);
  const auto device = uploaded(values, context);
  for (const std::int64_t n_bins : {1, 7, 100, 3000}) {
    std::vector<std::int64_t> expected(static_cast<std::size_t>(n_bins), 0);
    for (const float v : values) {
      const double x = v;
      if (x >= low && x < high) {
        const auto bin = static_cast<std::int64_t>((x - low) * (static_cast<double>(n_bins) / (high - low)));
        ++expected[static_cast<std::size_t>(std::min(bin, n_bins - 1))];
      }
    }
    DeviceBuffer<std::int64_t> counts(n_bins);
    histogram(device.data(), device.size(), low, high, n_bins, counts.data(), context.stream.handle());
    EXPECT_EQ(downloaded(counts, context), expected) << n_bins;
  }
}

TEST(CudaAlgorithms, EpochOrderIsTheHosts) {
  TARN_NEEDS_DEVICE();
  Context context(0);
  for (const std::int64_t n : {1, 2, 31, 33, 257, 70001}) {
    for (const std::int64_t epoch : {0, 1, 2, 77}) {
      EXPECT_EQ(epoch_order_on_device(context, {0xfedcba9876543210u, Stream::batch_order}, n, epoch),
                epoch_order(0xfedcba9876543210u, Stream::batch_order, n, epoch))
          << n << " epoch " << epoch;
    }
  }
  EXPECT_EQ(epoch_order_on_device(context, {3, Stream::filter_order}, 100, 5),
            epoch_order(3, Stream::filter_order, 100, 5));
}

}  // namespace
}  // namespace tarn::cuda
