// Small-D Langevin chains and drifts on the device: what the fused kernel takes, and who launches it for which nonlinearity.
#pragma once

#include <cstdint>

#include "handles.hpp"
#include "momentum_step.hpp"
#include "small_network.hpp"

namespace tarn::cuda {

/// One call: `n` chains advanced by `n_steps`, or the drift at `n` points where `drift` is given (then one step, and `x` is only read).
struct SmallLangevinArgs {
  SmallNetworkArgs network;
  std::int64_t n = 0;
  float* x = nullptr;  ///< rows of D, `x_stride` apart
  std::int64_t x_stride = 0;
  const float* u = nullptr;  ///< rows of K - D, `u_stride` apart
  std::int64_t u_stride = 0;
  const float* clamp = nullptr;            ///< `[n, D]` or null
  std::int64_t* first_bad_step = nullptr;  ///< `[n]`
  float* drift = nullptr;                  ///< `[n, D]` or null

  std::uint64_t seed = 0, subsequence = 0;  ///< of the first chain
  std::uint64_t first_step = 0;
  std::int64_t n_steps = 0;
  float dt = 0.0f, scale = 0.0f;  ///< step size; factor of a normal
  float limit = 0.0f;             ///< largest |x|^2 of a good chain
  bool midpoint = false;          ///< Leimkuhler-Matthews: the normals of two steps are added
  float* v = nullptr;             ///< `[n, D]` where the chains have a momentum, else null
  MomentumStep momentum;          ///< ... and then its step, in place of `dt`, `scale` and `midpoint`

  bool resident = true;  ///< all records fit into shared memory
  int rows_at_once = 0;  ///< records of one partial sum that are brought in together; all where `resident`
};

/// How chains are laid over threads. The result is the same bits for every choice.
struct SmallVariant {
  int lanes = 0;   ///< lanes that share a chain: 1, 8 or 32
  int chains = 0;  ///< chains that a thread carries
  int block = 0;   ///< threads of a block, a multiple of 32
  bool operator==(const SmallVariant&) const = default;
};

/// Whether there is a kernel for it: `lanes` and `chains`, and the largest block it may run with.
struct SmallVariantLimits {
  bool exists = false;
  int max_block = 0;
};

/// Launches the kernel of this variant, or, with `only_ask`, only tells about it. One function a nonlinearity, each in a file of its own,
/// since they take long to compile.
using SmallLangevinLauncher = SmallVariantLimits (*)(const SmallLangevinArgs& args, const SmallVariant& variant,
                                                     std::int64_t shared_bytes, bool only_ask, StreamHandle stream);
SmallVariantLimits small_langevin_relu(const SmallLangevinArgs&, const SmallVariant&, std::int64_t, bool, StreamHandle);
SmallVariantLimits small_langevin_leaky_relu(const SmallLangevinArgs&, const SmallVariant&, std::int64_t, bool,
                                             StreamHandle);
SmallVariantLimits small_langevin_tanh(const SmallLangevinArgs&, const SmallVariant&, std::int64_t, bool, StreamHandle);
SmallVariantLimits small_langevin_softplus(const SmallLangevinArgs&, const SmallVariant&, std::int64_t, bool,
                                           StreamHandle);
SmallVariantLimits small_langevin_sigmoid(const SmallLangevinArgs&, const SmallVariant&, std::int64_t, bool,
                                          StreamHandle);

}  // namespace tarn::cuda
