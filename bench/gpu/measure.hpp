// Times of work on a GPU.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "context.hpp"

namespace tarn::bench {

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Median seconds of `work`, which puts what it does into the context's stream, by events; `times` of it between two. One turn before the first is not counted.
template <class Work>
double device_seconds(const cuda::Context& context, int repeats, int times, Work&& work) {
  cuda::CudaEvent start(true), stop(true);
  std::vector<double> seconds;
  for (int i = 0; i < repeats + 1; ++i) {
    start.record(context.stream.handle());
    for (int k = 0; k < times; ++k) work();
    stop.record(context.stream.handle());
    stop.synchronize();
    if (i > 0) seconds.push_back(1e-3 * static_cast<double>(stop.milliseconds_since(start)) / times);
  }
  return median(seconds);
}

}  // namespace tarn::bench
