// Sizes of what live diagnostics keep of a chain, for host and device.
#pragma once

#include <cstdint>

namespace tarn {

struct WatchSizes {
  static constexpr std::int64_t capacity = 16;  ///< batches
  static constexpr std::int64_t n_lags = 4;     ///< 1, 2, 4 and 8 looks
  static constexpr std::int64_t n_recent = 8;   ///< values
  static constexpr std::int64_t n_bins = 65536;
};

}  // namespace tarn
