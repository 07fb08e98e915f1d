// The order of an epoch, worked out on the device.
#pragma once

#include <cstdint>
#include <vector>

#include "context.hpp"
#include "memory.hpp"
#include "tarn/core/batch_source.hpp"

namespace tarn::cuda {

/// Keeps the order of one epoch of a table of n rows: equal to the host's `epoch_order`.
class EpochSorter {
 public:
  EpochSorter() = default;
  /// Takes 32 bytes a row, and what the sort needs; `n` < 2^31.
  explicit EpochSorter(std::int64_t n);

  /// Puts the sort into `stream`, unless this order is there already.
  void sort(const EpochOrder& rule, std::int64_t epoch, StreamHandle stream);
  const std::int64_t* order() const { return order_.data(); }  ///< `[n]`, on the device

 private:
  std::int64_t n_ = 0, epoch_ = -1;
  EpochOrder rule_;
  DeviceBuffer<std::uint64_t> keys_, sorted_keys_;
  DeviceBuffer<std::int64_t> rows_, order_;
  DeviceBuffer<unsigned char> temporary_;
};

/// `epoch_order` by the device, on the host. Waits.
std::vector<std::int64_t> epoch_order_on_device(Context& context, const EpochOrder& rule, std::int64_t n,
                                                std::int64_t epoch);

}  // namespace tarn::cuda
