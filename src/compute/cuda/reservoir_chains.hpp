// Reservoir mode on the device, for any D: r is carried, and x = r W_out^T is formed anew each step.
#pragma once

#include "large_chains.hpp"

namespace tarn::cuda {

/// Advances r and x in place; x holds `r W_out^T` on return, also where there are no steps. Asynchronous, in `context.stream`.
void advance_reservoir(const LargeDeviceNetwork& network, const LangevinSteps& steps, const DeviceChains& chains,
                       LargeWorkspace& workspace, Context& context);

}  // namespace tarn::cuda
