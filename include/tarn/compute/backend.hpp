// The backend seam: few, coarse operations, so that each device may fuse as it likes (docs/architecture.md).
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tarn/compute/dsm.hpp"
#include "tarn/compute/network_view.hpp"
#include "tarn/compute/watch.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/precision.hpp"
#include "tarn/core/stream.hpp"

namespace tarn {

/// The first two integrate the plain dynamics; `baoab` that with momentum (docs/models.md), which needs `friction` and `ChainBlock::v`.
enum class Integrator : std::uint8_t { euler_maruyama, leimkuhler_matthews, baoab };

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
  float friction = 0.0f;                                 ///< gamma > 0, a unit of time; `baoab` only
};

/// The state of a block of chains. A quarantined chain reads NaN from its first bad step on and never touches another.
struct ChainBlock {
  MatrixView<float> x;          ///< `[n_chains, D]`, advanced in place
  MatrixView<const float> u{};  ///< `[n_chains, U]` inputs, constant over the call; empty where U = 0
  MatrixView<const float>
      clamp{};  ///< `[n_chains, D]`: finite entries hold the output there, NaN leaves it free; or empty
  std::int64_t* first_bad_step =
      nullptr;  ///< `[n_chains]`: -1 while well, else the number of the first bad step; required
  /// `[n_chains, D]` momentum, advanced in place with `x`; 0 where an output is held, NaN where the chain is. Required by `baoab`, else
  /// not looked at.
  MatrixView<float> v{};
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

class PreparedNetwork;
class HeeSession;  // compute/hee.hpp
struct HeeParameters;
struct HeeOptimizer;
struct Tuning;  // compute/tuning.hpp
struct TuningSummary;

/// What is taken of the chains' state as a draw.
struct DrawRequest {
  const PreparedNetwork* score = nullptr;  ///< null: `x` itself; else `x + variance f(x)`, clamped outputs left alone
  float variance = 0.0f;
  bool rates = false;  ///< `r` too, in reservoir mode
};

/// The chains as they were when the draw was begun.
struct ChainDraw {
  MatrixView<const float> x;  ///< `[n_chains, D]`
  MatrixView<const float> r;  ///< `[n_chains, N]`, where asked for
};

/// A block of chains that stays where the backend computes. What it is told may be done after a call returns; calls that hand something
/// out wait for it.
class Chains {
 public:
  virtual ~Chains() = default;
  /// As `Backend::advance` or `advance_reservoir` on these chains. `network` must live until the next call that waits.
  virtual void advance(const PreparedNetwork& network, const LangevinSteps& steps) = 0;
  /// Inputs `[n_chains, U]` from here on.
  virtual void set_inputs(MatrixView<const float> u) = 0;
  /// Takes a draw of the present state, which may travel while the chains go on. One at a time.
  virtual void begin_draw(const DrawRequest& request) = 0;
  /// Waits for the draw that was begun; its memory is good until the next one begins.
  virtual ChainDraw finish_draw() = 0;
  /// Copies state and first bad steps to a block of the same shape; `x`, `v` and `r` where there is room, other parts are not looked at.
  /// Waits.
  virtual void store(const ReservoirBlock& block) = 0;
  /// First bad steps `[n_chains]` as of some recent step, without waiting for the last ones.
  virtual void look(std::span<std::int64_t> first_bad_step) = 0;

  /// From here on `observe` adds to sums of what `plan` names, going on from `from` where given. Throws `Error` where that is of another shape.
  virtual void watch(const WatchPlan& plan, const WatchState* from = nullptr) = 0;
  /// Looks at the present state, where the chains are. For the same states the same bits on every device and thread count.
  virtual void observe() = 0;
  /// The sums so far. Waits.
  virtual WatchState read_watch() = 0;
};

/// Weights laid out as a backend wants them; immutable, shared by many calls.
class PreparedNetwork {
 public:
  virtual ~PreparedNetwork() = default;
  virtual const NetworkView& view() const = 0;
};

/// How many chains of a network the device's memory takes at a time.
struct ChainMemory {
  std::int64_t needed = 0;  ///< bytes for all chains at a time, weights included
  std::int64_t free = 0;    ///< bytes; 0 where chains live in the host's memory
  std::int64_t tile = 0;    ///< most chains at a time
};

class Backend {
 public:
  virtual ~Backend() = default;
  /// "cpu", and what of it is in use: "x86-64-v4, 2 threads".
  virtual std::string name() const = 0;
  virtual std::string description() const = 0;
  /// Host threads that take part; 0 where the host does not compute.
  virtual int n_threads() const { return 0; }
  /// What the operands of large products are rounded to while chains run.
  virtual Precision precision() const { return Precision::fp32; }

  /// How chains of this network run here, and why so, in a line: "fused kernel, bf16 products, ...".
  virtual std::string path(const NetworkView& network, bool reservoir) const = 0;

  /// Copies and arranges the weights. Throws `Error` for shapes it cannot run.
  virtual std::unique_ptr<PreparedNetwork> prepare(const NetworkView& network) = 0;

  /// Advances all chains of a block by `steps.n_steps` Langevin steps in output mode. Chains are independent: the result for a
  /// chain does not depend on the others. For D <= 16 the result is the same bits on every device, tiling and thread count.
  virtual void advance(const PreparedNetwork& network, const LangevinSteps& steps, const ChainBlock& block) = 0;

  /// The same in reservoir mode; `block.chains.x` holds `r W_out^T` on return. There is no momentum there.
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

  /// Inference and learning of a hierarchical exponential-family model. Throws `Error` for parameters that do not fit together, and on
  /// devices that do not offer it.
  virtual std::unique_ptr<HeeSession> make_hee_session(const HeeParameters& initial, const HeeOptimizer& optimizer);

  /// Takes a block of chains in; shapes as in `advance_reservoir`, or as in `advance` where `r` is empty. The block is copied, but for
  /// `P` and `private_noise`, which must outlive the chains.
  virtual std::unique_ptr<Chains> hold(const NetworkView& network, const ReservoirBlock& block);

  /// Chains in one tile of `advance` that use the machine well, for a network of this size.
  virtual std::int64_t preferred_tile(const NetworkView& network) const = 0;
  /// Most steps worth one call of `advance` with so many chains: long enough to keep the machine busy, short enough for a lively
  /// progress bar and for prompt answers to signals. A function of the sizes alone, so that a run that goes on cuts its steps as before.
  virtual std::int64_t steps_a_call(const NetworkView& network, std::int64_t n_chains, bool reservoir) const;

  /// What `n_chains` chains of this network need. Throws `Error` where the device's memory does not take a single one.
  virtual ChainMemory chain_memory(const NetworkView& network, std::int64_t n_chains, bool reservoir) const;

  /// Limits what a GPU profiler captures to some calls after the first ones. Throws `UsageError` where there is no GPU.
  virtual void capture_profile();

  /// Kind of device and versions of libraries that choices by measurement hold for; empty where there is nothing to choose.
  virtual std::string tuning_scope() const { return {}; }
  /// From here on ways that differ in speed, and at most in rounding, are chosen by measurement at the first call of a shape. Where there is nothing
  /// to choose, nothing happens.
  virtual void tune(const Tuning& tuning);
  virtual TuningSummary tuned() const;
};

/// The CPU backend. `n_threads` 0 = all cores; `isa` "" = the best this machine has, or "x86-64", "x86-64-v3", "x86-64-v4". `why` it
/// is this one, if that needs saying, becomes part of the description.
/// Throws `UsageError` for an unknown instruction set and `Error` for one this machine lacks.
std::unique_ptr<Backend> make_cpu_backend(int n_threads = 0, const std::string& isa = "", const std::string& why = "");

/// "auto", "cpu", "cuda", "cuda:1". Auto is the first GPU, or the CPU where there is none; its description says why. `n_threads` is the CPU
/// backend's. Precisions other than fp32 are a GPU's. Throws `UsageError` for anything else, `Error` where the device is not to be had.
std::unique_ptr<Backend> make_backend(const std::string& device, int n_threads = 0,
                                      Precision precision = Precision::fp32);

/// A line for each GPU that this build can use (name, compute capability, memory, versions), or one that says why there is none.
std::vector<std::string> describe_gpus();

}  // namespace tarn
