// Trials of the fused kernel's variants, for choices by measurement.
#pragma once

#include <optional>

#include "small_chains.hpp"

namespace tarn::cuda {

/// The variant that took chains like these along fastest, where the context chooses by measurement; measured at the first call of a shape, on a copy of
/// their state. Nothing where it does not: the model's choice then. All variants give the same bits.
std::optional<SmallVariant> measured_small_variant(const SmallDeviceNetwork& network, const LangevinSteps& steps,
                                                   const DeviceChains& chains, Context& context);

}  // namespace tarn::cuda
