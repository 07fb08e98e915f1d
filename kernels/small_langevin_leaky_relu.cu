// Small-D chains with phi = leaky_relu: small_langevin.cuh says what the kernel does.
#include "small_langevin.cuh"

namespace tarn::cuda {

SmallVariantLimits small_langevin_leaky_relu(const SmallLangevinArgs& args, const SmallVariant& variant,
                                             std::int64_t shared_bytes, bool only_ask, StreamHandle stream) {
  return small_langevin<Nonlinearity::leaky_relu>(args, variant, shared_bytes, only_ask, stream);
}

}  // namespace tarn::cuda
