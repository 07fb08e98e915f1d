// A network prepared for the device, and the choice between the ways to run it.
#pragma once

#include <memory>
#include <mutex>

#include "context.hpp"
#include "device_chains.hpp"
#include "large_chains.hpp"
#include "small_chains.hpp"
#include "tarn/compute/backend.hpp"

namespace tarn::cuda {

class CudaNetwork final : public PreparedNetwork {
 public:
  CudaNetwork(const NetworkView& network, const Context& context);
  const NetworkView& view() const override { return view_; }
  /// Null where matrix products are the way.
  const SmallDeviceNetwork* small() const { return small_.get(); }
  /// Small networks, which need it in reservoir mode only, get it at the first call.
  const LargeDeviceNetwork& large() const;

  /// `network` as one of this context. Throws `Error` where it was prepared for another device.
  static const CudaNetwork& of(const PreparedNetwork& network, const Context& context);

 private:
  NetworkView view_;
  const Context& context_;
  std::unique_ptr<SmallDeviceNetwork> small_;
  mutable std::once_flag made_;
  mutable std::unique_ptr<LargeDeviceNetwork> large_;
};

/// Advances chains in reservoir mode where they have an `r`, else in output mode. Asynchronous, in `context.stream`.
void advance_chains(const CudaNetwork& network, const LangevinSteps& steps, const DeviceChains& chains,
                    LargeWorkspace& workspace, Context& context);

/// Drift at `points` `[n, D+U]`, to `out` `[n, D]`, both on the device. Asynchronous, in `context.stream`.
void drift_at(const CudaNetwork& network, const float* points, std::int64_t n, float* out, LargeWorkspace& workspace,
              Context& context);

}  // namespace tarn::cuda
