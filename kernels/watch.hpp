// Live diagnostics: one look at all chains, on the device.
#pragma once

#include <cstdint>

#include "handles.hpp"
#include "watch_step.hpp"

namespace tarn::cuda {

/// Adds a look to the sums of `look.n` chains; all pointers are to device memory. `sketch` `[Q, WatchState::n_bins]` and `modes`
/// `[n_modes + 1]` (not looked at without modes) are counted up. The same bits in whatever order. Asynchronous.
void launch_watch(const WatchArrays& arrays, const WatchLook& look, std::uint64_t* sketch, std::uint64_t* modes,
                  StreamHandle stream);

}  // namespace tarn::cuda
