// Hierarchical exponential-family energy-based models (arXiv 2310.08431): what inference and local learning are, whatever device runs
// them. Equations in docs/hee.md; time is in units of the neurons' time constant tau throughout.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tarn/compute/backend.hpp"
#include "tarn/compute/dsm.hpp"
#include "tarn/compute/training_state.hpp"
#include "tarn/compute/watch.hpp"
#include "tarn/core/family.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn {

/// One layer: its units' family given the layer above, and the nonlinearity through which they drive the layer below.
struct HeeLayer {
  std::int64_t size = 0;  ///< n_l > 0
  Family family = Family::gaussian;
  FamilyParameters parameters{};
  std::optional<Nonlinearity> nonlinearity{};  ///< f; none is the identity. Layer 0 has none.
};

/// A model of L >= 1 latent layers: `a_{l-1} = f_l(x_l) W_l^T + b_{l-1}`, `eta_{l-1} = g(a_{l-1})`, and `eta_L = g(b_L)` at the top.
struct HeeParameters {
  std::vector<HeeLayer> layers;  ///< L + 1 of them, the observation first
  std::vector<Matrix<float>> W;  ///< `W[l - 1]` `[n_{l-1}, n_l]`, l = 1..L
  std::vector<Matrix<float>> b;  ///< `b[l]` `[1, n_l]`, l = 0..L

  int n_latent_layers() const { return static_cast<int>(layers.size()) - 1; }  ///< L
};

/// Throws `Error` unless sizes fit together, there is a latent layer, and all numbers are finite and in the families' ranges.
void check_hee_parameters(const HeeParameters& parameters);

/// Units of layers `first` and above.
std::int64_t n_units_from(const HeeParameters& parameters, int first);

enum class Interneurons : std::uint8_t { exact, sampled };

/// The dynamics of inference. One step of length `dt`, with all right-hand sides at the step's beginning unless said otherwise:
///   1. `a`, `eta` of all layers from the present `x`;
///   2. sampled interneurons: each takes `substeps` steps of `dt / (substeps tau_ratio)` tau_e given that `eta` (Gaussian ones the exact
///      Ornstein-Uhlenbeck step, others Euler-Maruyama); `T(e)` is averaged over the substeps' ends and the unit's interneurons;
///      exact: `A'(eta)` in its place;
///   3. errors `(T(x) - T(e)) g'(a)` of layers 0..L-1, with the `e` that was just made;
///   4. drift `F_l = f'(x_l) (error_{l-1} W_l) + T'(x_l) eta_l + (log h)'(x_l)` of all moving layers, and the integrator's update.
struct HeeDynamics {
  /// `euler_maruyama` and `leimkuhler_matthews`: `dx = F dt + sqrt(2) dB`. `baoab`: `dx = v dt`, `dv = (F - friction v) dt + sqrt(2 friction)
  /// dB` in the leapfrog form of BAOAB (the two half kicks between positions as one), so that `x` runs through BAOAB's positions.
  Integrator integrator = Integrator::euler_maruyama;
  float dt = 0.006f;  ///< > 0, units of tau
  Interneurons interneurons = Interneurons::exact;
  float tau_ratio = 0.1f;  ///< tau_e / tau, in (0, 1); sampled only
  int per_unit = 1;        ///< interneurons a unit, >= 1; sampled only
  int substeps = 1;        ///< of the interneurons in a neuron step, >= 1; sampled only
  float friction = 0.5f;   ///< gamma > 0 in 1/tau; `baoab` only
  /// Activity-driven adaptation `tau_v dv = -v + strength x`, `dx = (F - v) dt + ...`; 0 is none. It alters the law that is sampled. Not
  /// together with `baoab`.
  float adaptation_strength = 0.0f;
  float adaptation_tau = 10.0f;   ///< tau_v / tau > 0
  bool free_observation = false;  ///< `x_0` moves too: generation (docs/hee.md, section 8)
  /// Generation: `x_0` is held for K >= 1 steps of the latents, over which `eta_0` is averaged, and moves at the end of the last of them by one step
  /// of the integrator with drift ``T'(x_0) mean(eta_0) + (log h)'(x_0)``. 1: with the latents, joint generation; more: marginal.
  int observation_every = 1;
  float observation_dt = 0.0f;  ///< generation: length of that step, units of tau; 0: `dt`
  /// Generation layer by layer: l >= 0 lets layer l alone move, given the layer above as it stands and without what the layer below says: drift
  /// ``T'(x_l) eta_l + (log h)'(x_l)``, the dynamics of interneurons. `eta_l` costs one matrix product a call. -1: all layers move.
  int only_layer = -1;

  float dt_of(int layer) const { return layer == 0 && observation_dt > 0.0f ? observation_dt : dt; }
};

/// Throws `Error` naming the number that is out of its range.
void check_hee_dynamics(const HeeDynamics& dynamics);

/// Products of a batch with a matrix of the size of some `W_l` that `n_steps` of these dynamics take, in one call, of a model with L latent layers:
/// what generation is budgeted in.
std::int64_t n_matrix_products(const HeeDynamics& dynamics, int n_latent_layers, std::int64_t n_steps);

/// The rows of a batch are chains: chain `c` of datum `i` is row `i * chains_per_datum + c`, and its noise that of global chain
/// `first_chain + row`.
struct HeeRows {
  std::int64_t n_data = 0;
  std::int64_t chains_per_datum = 1;
  std::uint64_t first_chain = 0;
  std::int64_t n_rows() const { return n_data * chains_per_datum; }
};

/// A stretch of inference. Noise of step n: neurons `normal(seed, Stream::dynamics, chain, n, unit)`, units counted over layers 1..L in
/// order and those of layer 0 last where it moves; interneurons of layer l `normal(seed, Stream::interneurons + l, chain,
/// n * substeps + substep, unit * per_unit + m)`.
struct HeeSteps {
  std::uint64_t seed = 0;
  std::uint64_t first_step = 0;  ///< number of the first step; runs on over calls
  std::int64_t n_steps = 0;
  bool statistics = false;  ///< collect what `learn` needs, and `HeeStatistics`
  bool means = false;       ///< add the states before each step to the posterior means
};

/// Throws `Error` where these steps cannot be taken with these dynamics: a number of steps that is negative or no multiple of `observation_every`, a
/// layer that is not there, statistics or means of a layer that moves alone.
void check_hee_steps(const HeeParameters& parameters, const HeeDynamics& dynamics, const HeeSteps& steps);

/// What was seen over the steps with `statistics` since they were last cleared; chain-steps of quarantined chains are left out.
struct HeeStatistics {
  std::int64_t n_samples = 0;      ///< chain-steps
  std::vector<double> error;       ///< l = 0..L-1: mean over units of the squared error `(T(x_l) - T(e_l)) g'(a_l)`
  std::vector<double> activity;    ///< l = 1..L at [l - 1]: mean over units of `f(x_l)`
  std::vector<double> activity_2;  ///< likewise of its square
};

enum class HeeRule : std::uint8_t { plain, adam };

/// How `learn` uses the collected means `dW_l = <error_{l-1}^T f(x_l)>`, `db_l = <error_l>` (ascent on the expected log-likelihood).
struct HeeOptimizer {
  /// `plain`: `W_l += lr k_l dW_l`, `b_{l-1} += lr c_{l-1} db_{l-1}`, with `k_l = c_{l-1} / (Var f(x_l) + 1e-6)`, and `c_l` the inverse of the
  /// error's expected square: `s^2` for a Gaussian layer, the inverse of its mean as seen for others. So a rate of 1 is about a Newton
  /// step whatever the units of the layers.
  HeeRule rule = HeeRule::plain;
  OptimizerSettings adam{};  ///< betas, epsilon, decay and AMSGrad; `kind` tells Adam from AdamW; no EMA, no clipping
  std::vector<bool>
      normalise_columns{};  ///< `[L]` or empty (none): columns of `W_l` are scaled to norm 1 after each step
  bool learn_biases = true;
};

/// Chains as a checkpoint keeps them: exact at any step, on the same device and instruction set.
struct HeeChainState {
  /// `x.l` `[n_rows, n_l]` of all layers; `e.l` `[n_rows, n_l * per_unit]` for l = 0..L-1 with sampled interneurons; `momentum.l` or
  /// `adaptation.l` like `x.l` of the layers that move, where there is one.
  std::map<std::string, Matrix<float>> arrays;
  std::vector<std::int64_t> first_bad_step;  ///< `[n_rows]`
};

/// Units `first ... first + n - 1` of a layer.
struct HeeUnits {
  int layer = 0;
  std::int64_t first = 0, n = 0;
  bool operator==(const HeeUnits&) const = default;
};
/// What live diagnostics see of a chain: layers `first` to `last`, their units in this order. In front are the first units of each layer, `n_front` in
/// all and as many of each as may be, one layer after another; behind them the others. Empty pieces are left out. Throws `Error` where there are no
/// such layers or fewer units.
std::vector<HeeUnits> watched_units(const HeeParameters& parameters, int first, int last, std::int64_t n_front);
std::int64_t n_units(const std::vector<HeeUnits>& units);

/// Inference on a block of chains, and learning from it. All layers advance together. A chain that is not finite is NaN in all its
/// state from its first bad step on, is counted, and is left out of statistics; it never touches another. A chain's result does not
/// depend on the others; nothing depends on the number of threads.
class HeeSession {
 public:
  virtual ~HeeSession() = default;

  /// Makes room for these chains with all state zero and none quarantined. Statistics stay; means are forgotten where the number of rows
  /// changes. Cheap where it does not.
  virtual void set_rows(const HeeRows& rows) = 0;
  /// Observations `[n_data, n_0]`, one a datum: `x_0` of its chains. Latents stay as they are.
  virtual void set_observations(MatrixView<const float> x0) = 0;
  /// Starts the chains anew: latents (and `x_0` where `dynamics.free_observation`) `spread` times `normal(seed, Stream::initial_law, chain, step,
  /// unit)`, confined to the family's range; momentum `normal(seed, Stream::dynamics_second, chain, step, unit)`; adaptation and
  /// interneurons zero. Units are numbered as in `HeeSteps`. Nobody is quarantined then.
  virtual void reset(const HeeDynamics& dynamics, std::uint64_t seed, std::uint64_t step, float spread) = 0;
  /// `x_l` `[n_rows, n_l]` in and out, l = 0..L. A chain that is given finite numbers in all layers is well again.
  virtual void write(int layer, MatrixView<const float> x) = 0;
  virtual void read(int layer, MatrixView<float> x) const = 0;

  /// Advances all chains. Interneurons, momentum or adaptation that `dynamics` asks for and the last call did not begin at zero.
  virtual void infer(const HeeDynamics& dynamics, const HeeSteps& steps) = 0;
  /// `[n_rows]`: -1 while well, else the number of the first bad step.
  virtual std::span<const std::int64_t> first_bad_step() const = 0;
  /// Posterior means `[n_rows, n_l]` over the steps with `means` since the last `clear`. NaN for a quarantined chain.
  virtual void read_mean(int layer, MatrixView<float> mean) const = 0;

  /// As `Chains::watch`, of layers `first` to `last`; the outputs of the plan are `watched_units`, D is their number. Lost chains are NaN. `set_rows`
  /// ends it.
  virtual void watch(int first, int last, const WatchPlan& plan, const WatchState* from = nullptr) = 0;
  virtual void observe() = 0;
  virtual WatchState read_watch() = 0;

  virtual HeeStatistics statistics() const = 0;
  /// Collected `dW` and `db` as means over the chain-steps, in the shape of the parameters. Throws `Error` where there are none.
  virtual HeeParameters gradient() const = 0;
  /// Forgets statistics and means.
  virtual void clear() = 0;
  /// One step of the local rule from the statistics collected so far, which are forgotten. `learning_rates` `[L]`, one a weight matrix with
  /// the biases below it (the top bias goes with `W_L`); 0 leaves them as they are. Throws `Error` where there are no statistics.
  virtual void learn(std::span<const double> learning_rates) = 0;

  virtual const HeeParameters& parameters() const = 0;
  /// Other parameters of a layer's family from here on (schedules of the noise scale).
  virtual void set_family_parameters(int layer, const FamilyParameters& parameters) = 0;

  /// Weights, biases and the optimiser's moments: `weights.W.1`, `weights.b.0`, `first_moment.W.1`, ... `restore` throws `Error` where they do
  /// not fit.
  virtual TrainingState training_state() const = 0;
  virtual void restore(const TrainingState& state) = 0;
  virtual HeeChainState chain_state() const = 0;
  virtual void restore(const HeeChainState& state) = 0;
};

}  // namespace tarn
