#include "cuda_network.hpp"

#include "reservoir_chains.hpp"
#include "small_networks.hpp"
#include "small_trial.hpp"
#include "tarn/core/error.hpp"

namespace tarn::cuda {

CudaNetwork::CudaNetwork(const NetworkView& network, const Context& context) : view_(network), context_(context) {
  if (is_small(network)) {
    small_ = std::make_unique<SmallDeviceNetwork>(network, context.stream.handle());
  } else {
    large();  // now, so that the memory of all levels is taken before chains are given the rest
  }
}

const LargeDeviceNetwork& CudaNetwork::large() const {
  std::call_once(made_, [&] {
    large_ = std::make_unique<LargeDeviceNetwork>(view_, context_.stream.handle(), context_.precision,
                                                  large_plan(view_, context_), engine_of(context_.info));
  });
  return *large_;
}

const CudaNetwork& CudaNetwork::of(const PreparedNetwork& network, const Context& context) {
  const auto* cuda = dynamic_cast<const CudaNetwork*>(&network);
  require(cuda != nullptr && &cuda->context_ == &context, "this network was prepared for another device");
  return *cuda;
}

void advance_chains(const CudaNetwork& network, const LangevinSteps& steps, const DeviceChains& chains,
                    LargeWorkspace& workspace, Context& context) {
  if (chains.n == 0) return;
  if (chains.r) return advance_reservoir(network.large(), steps, chains, workspace, context);
  if (steps.n_steps == 0) return;
  if (network.small()) {
    const std::optional<SmallVariant> variant = measured_small_variant(*network.small(), steps, chains, context);
    return advance_small(*network.small(), steps, chains, context.info, context.stream.handle(), variant);
  }
  advance_large(network.large(), steps, chains, workspace, context);
}

void drift_at(const CudaNetwork& network, const float* points, std::int64_t n, float* out, LargeWorkspace& workspace,
              Context& context) {
  if (n == 0) return;
  if (network.small()) return drift_small(*network.small(), points, n, out, context.info, context.stream.handle());
  drift_large(network.large(), points, n, out, workspace, context);
}

}  // namespace tarn::cuda
