// The backend seam: few, coarse operations, so that each device may fuse as it likes (docs/architecture.md).
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>

#include "tarn/compute/dsm.hpp"
#include "tarn/compute/network_view.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/stream.hpp"

namespace tarn {

enum class Integrator : std::uint8_t { euler_maruyama, leimkuhler_matthews };

/// How a block of chains is advanced. Noise of chain `c` at step `n` is `normal(seed, Stream::dynamics, c, n, component)`.
struct LangevinSteps {
  Integrator integrator = Integrator::euler_maruyama;
  float dt = 0.0f;           ///< > 0, in units of tau
  float noise_scale = 1.0f;  ///< multiplies the noise; 0 gives the drift alone (denoising steps)
  std::uint64_t seed = 0;
  std::uint64_t first_chain = 0;  ///< global number of row 0; below 2^48
  std::uint64_t first_step = 0;   ///< step number of the first step's noise
  std::int64_t n_steps = 0;
  float bound = std::numeric_limits<float>::infinity();  ///< chains with |x| beyond it are quarantined
};

/// The state of a block of chains. A quarantined chain reads NaN from its first bad step on and never touches another.
struct ChainBlock {
  MatrixView<float> x;          ///< `[n_chains, D]`, advanced in place
  MatrixView<const float> u{};  ///< `[n_chains, U]` inputs, constant over the call; empty where U = 0
  MatrixView<const float>
      clamp{};  ///< `[n_chains, D]`: finite entries hold the output there, NaN leaves it free; or empty
  std::int64_t* first_bad_step =
      nullptr;  ///< `[n_chains]`: -1 while well, else the number of the first bad step; required
};

/// Reservoir mode carries the neurons' state as well: `r` `[n_chains, N]`, `x = r W_out^T`.
struct ReservoirBlock {
  ChainBlock chains;
  MatrixView<float> r;        ///< `[n_chains, N]`, advanced in place
  MatrixView<const float> P;  ///< `[N, D]`, `W_out P = I`
  /// `[1, N]` or empty. Where given, the noise is private to the neurons: each has its own, of this standard deviation, in
  /// place of output noise through P, and the normals of a step have N components.
  MatrixView<const float> private_noise{};
};

/// Weights laid out as a backend wants them; immutable, shared by many calls.
class PreparedNetwork {
 public:
  virtual ~PreparedNetwork() = default;
  virtual const NetworkView& view() const = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  /// "cpu", and what of it is in use: "x86-64-v4, 2 threads".
  virtual std::string name() const = 0;
  virtual std::string description() const = 0;
  /// Host threads that take part; 0 where the host does not compute.
  virtual int n_threads() const { return 0; }

  /// Copies and arranges the weights. Throws `Error` for shapes it cannot run.
  virtual std::unique_ptr<PreparedNetwork> prepare(const NetworkView& network) = 0;

  /// Advances all chains of a block by `steps.n_steps` Langevin steps in output mode. Chains are independent: the result for a
  /// chain does not depend on the others. For D <= 16 the result is the same bits on every device, tiling and thread count.
  virtual void advance(const PreparedNetwork& network, const LangevinSteps& steps, const ChainBlock& block) = 0;

  /// The same in reservoir mode; `block.chains.x` holds `r W_out^T` on return.
  virtual void advance_reservoir(const PreparedNetwork& network, const LangevinSteps& steps,
                                 const ReservoirBlock& block) = 0;

  /// Drift `f` at `points` `[n, D+U]`, written to `out` `[n, D]`.
  virtual void drift(const PreparedNetwork& network, MatrixView<const float> points, MatrixView<float> out) = 0;

  /// Denoising-score-matching loss and gradients of one given batch, for tests and diagnostics.
  virtual DsmLoss dsm_gradient(const DsmParameters& parameters, const DsmLevel& level, const DsmBatch& batch,
                               DsmParameters& gradient) = 0;

  /// A training state on the device: parameters, optimiser moments, EMA.
  virtual std::unique_ptr<DsmSession> make_dsm_session(const DsmParameters& initial,
                                                       const OptimizerSettings& optimizer) = 0;

  /// Chains in one tile of `advance` that use the machine well, for a network of this size.
  virtual std::int64_t preferred_tile(const NetworkView& network) const = 0;
};

/// The CPU backend. `n_threads` 0 = all cores; `isa` "" = the best this machine has, or "x86-64", "x86-64-v3", "x86-64-v4".
/// Throws `UsageError` for an unknown instruction set and `Error` for one this machine lacks.
std::unique_ptr<Backend> make_cpu_backend(int n_threads = 0, const std::string& isa = "");

/// "auto", "cpu", "cuda", "cuda:1". Throws `UsageError` for anything else, `Error` where the device is not to be had.
std::unique_ptr<Backend> make_backend(const std::string& device, int n_threads = 0);

}  // namespace tarn
