// Small-D chains on the device: weights arranged for the fused kernels, and which kernel runs for how many chains.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "context.hpp"
#include "device_chains.hpp"
#include "memory.hpp"
#include "small_langevin.hpp"
#include "tarn/compute/backend.hpp"

namespace tarn::cuda {

/// A copy of the weights in device memory, in the records of `SmallLayout`.
struct SmallDeviceNetwork {
  /// Waits until the copies are done. Throws `Error` for sizes that the fused kernels do not take, and where memory is short.
  SmallDeviceNetwork(const NetworkView& network, StreamHandle stream);

  Nonlinearity phi;
  SmallLayout layout;
  DeviceBuffer<float> records;
  DeviceBuffer<float> c;  ///< `[D]` or empty
  DeviceBuffer<float> M;  ///< `[D, D]` or empty
};

/// All kernels that take this network, each with its largest block.
std::vector<SmallVariant> small_variants(const SmallDeviceNetwork& network);
/// Those worth a trial with `n` chains, best first by the model: each kernel in the best of its blocks, and the best kernel in all of them.
std::vector<SmallVariant> ranked_small_variants(const SmallDeviceNetwork& network, std::int64_t n,
                                                const DeviceInfo& device);
/// Whether it can run here.
bool is_small_variant(const SmallDeviceNetwork& network, const SmallVariant& variant);
/// The one that is expected to take `n` chains along fastest.
SmallVariant choose_small_variant(const SmallDeviceNetwork& network, std::int64_t n, const DeviceInfo& device);

/// Advances the chains in place, in output mode, by one launch: a launch should stay under a second, which is the caller's matter. The
/// result is the same bits for every variant, and the CPU's. Asynchronous. Throws `Error` for a variant that does not exist.
void advance_small(const SmallDeviceNetwork& network, const LangevinSteps& steps, const DeviceChains& chains,
                   const DeviceInfo& device, StreamHandle stream, std::optional<SmallVariant> variant = {});

/// Drift at `points` `[n, D+U]`, to `out` `[n, D]`, both on the device. Asynchronous.
void drift_small(const SmallDeviceNetwork& network, const float* points, std::int64_t n, float* out,
                 const DeviceInfo& device, StreamHandle stream, std::optional<SmallVariant> variant = {});

}  // namespace tarn::cuda
