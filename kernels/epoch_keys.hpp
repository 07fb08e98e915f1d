// The keys by which an epoch's order is sorted.
#pragma once

#include <cstdint>

#include "handles.hpp"
#include "tarn/core/stream.hpp"

namespace tarn::cuda {

/// `keys[i]` `[n]` = the two words of (seed, stream, chain i, step `epoch`), the first above the second; `rows[i]` `[n]` = i. Sorted by `sort_by_key` they
/// are the host's `epoch_order`. Asynchronous.
void launch_epoch_keys(std::uint64_t seed, Stream stream, std::int64_t n, std::int64_t epoch, std::uint64_t* keys,
                       std::int64_t* rows, StreamHandle handle);

}  // namespace tarn::cuda
