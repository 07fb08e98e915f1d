// The configuration of a run: plain structs, one a TOML table. Keys, defaults and ranges are listed in
// config_schema.hpp.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace tarn {

/// `[run]`
struct RunConfig {
  std::string name;                ///< names the run folder; the config file's stem where it is left out
  std::uint64_t seed = 3407;       ///< key of all random numbers, below 2^63
  std::string device = "auto";     ///< auto, cpu, cuda, cuda:K
  std::string precision = "fp32";  ///< fp32, tf32, bf16
  bool autotune = false;           ///< choose among the GPU's ways by measurement
  double tau_ms = 10.0;            ///< one unit of time in milliseconds, wherever a person reads a time
  bool operator==(const RunConfig&) const = default;
};

/// `[data]`. A key that has no meaning for the kind is refused where given and keeps its initial value otherwise.
struct DataConfig {
  std::string
      kind;  ///< gaussian_mixture, laplace_mixture, ring, two_moons, checkerboard, idx, cifar10, npy, png_folder, patches

  // Mixtures. K components.
  std::vector<std::vector<double>> means;                     ///< `[K][D]`; a laplace_mixture may leave it out (zero)
  std::vector<double> std;                                    ///< one for all components or `[K]`; isotropic
  std::vector<std::vector<std::vector<double>>> covariances;  ///< `[K][D][D]`, in place of `std`
  std::vector<double> weights;                                ///< `[K]`, normalised; empty = equal
  // Other synthetic laws.
  double radius = 1.0;              ///< ring
  double width = 0.1;               ///< ring: standard deviation across it
  double noise = 0.1;               ///< two_moons: standard deviation of the noise on both arcs
  std::int64_t cells = 4;           ///< checkerboard: fields a side
  double side = 4.0;                ///< checkerboard: length of a side; centred at 0
  std::int64_t epoch_size = 10000;  ///< synthetic laws, patches: fresh draws that count as one epoch

  std::int64_t inputs = 0;  ///< U: the last so many coordinates are inputs u, not outputs

  // Files. Relative paths start at the working directory.
  std::string path;                   ///< file or folder
  std::string labels;                 ///< idx, npy: file of labels, or "": the one beside idx images, if any
  std::vector<std::int64_t> classes;  ///< keep items with these labels; empty = all
  std::int64_t max_items = 0;         ///< the first so many items; 0 = all
  std::string condition;              ///< `.npy` `[n_items, U]` of inputs that go with the items, or ""

  // Patches of images; `path` is a `.npy` file `[n_images, rows, cols]`.
  std::int64_t patch_size = 12;  ///< pixels a side
  std::int64_t border = 4;       ///< pixels along the edges of an image that no patch touches
  bool unit_variance = true;     ///< the stack over its standard deviation
  bool subtract_mean = true;     ///< of each patch
  bool whiten = false;           ///< raw photographs: by f exp(-(f / cutoff)^4)
  double whiten_cutoff = 0.4;    ///< cycles a pixel
  bool whiten_log = false;       ///< of log(1 + pixel)

  std::string scaling = "auto";  ///< auto, none, unit_norm, divide_255, standardise
  bool operator==(const DataConfig&) const = default;
};

/// `[filter]`
struct FilterConfig {
  std::string kind = "none";              ///< none, pca, sparse_code, autoencoder, features
  std::int64_t components = 100;          ///< D of pca, sparse_code (its atoms), autoencoder (its code)
  double penalty = 1e-3;                  ///< sparse_code: lambda
  std::string solver = "ista";            ///< sparse_code: ista, fista
  std::int64_t iterations = 100;          ///< sparse_code
  std::vector<std::int64_t> hidden{512};  ///< autoencoder: units of the encoder's hidden layers
  std::string nonlinearity = "relu";      ///< autoencoder: relu, tanh
  std::int64_t epochs = 20;               ///< of the training of sparse_code, autoencoder
  std::int64_t batch_size = 128;          ///< likewise
  double lr = 1e-3;                       ///< autoencoder
  std::string features;                   ///< features: `.npy` `[n_items, D]`
  std::string decoder = "linear";         ///< features: linear, or `.npy` `[D, P]` or `[D + 1, P]`
  bool operator==(const FilterConfig&) const = default;
};

/// `[[model.layers]]`: one layer of an HEE model, the observation first (docs/hee.md). A parameter that the family does not have is refused
/// where given and keeps its initial value otherwise.
struct LayerConfig {
  std::int64_t size = 0;            ///< units; 0 stands for "auto": the data's dimension (observation only)
  std::string family = "gaussian";  ///< gaussian, laplace, gaussian_scale, laplace_scale, quartic, rectified
  double s = 1.0;                   ///< gaussian, rectified: standard deviation
  double rate = 4.0;                ///< laplace
  double width = 0.1;               ///< laplace, laplace_scale: d of sqrt(x^2 + d^2)
  double c = 1.0;                   ///< quartic
  double eta = 0.0;                 ///< natural parameter at zero input before training (1 for the scale families)
  std::string nonlinearity = "identity";  ///< f by which it drives the layer below; not for the observation
  double lr = 1.0;  ///< factor of training.optimizer.lr for the weights by which it does; 0 = they stay
  bool operator==(const LayerConfig&) const = default;
};

/// `[model]`
struct ModelConfig {
  std::string kind = "reservoir_sampler";  ///< reservoir_sampler, sampler_only_sc, sampler_only_fr, hee, rbm, ebm
  std::int64_t neurons = 0;                ///< N; recipe. Sampler-only networks have N = D
  std::string nonlinearity = "relu";
  double s = 0.0;                   ///< rbm, ebm: standard deviation of an output given the hidden units (recipe)
  double irreversible = 0.0;        ///< |J|_F of a skew-symmetric J trained in with the weights; 0 = none
  std::vector<LayerConfig> layers;  ///< of an HEE model, from the observation up
  bool operator==(const ModelConfig&) const = default;
};

/// `[inference]`: how the latent layers of an HEE model follow their data. Times in units of tau.
struct InferenceConfig {
  double dt = 0.006;
  std::int64_t steps = 100;                   ///< for each batch
  std::int64_t window = 0;                    ///< the last so many of them teach; 0 stands for "auto": half of them
  std::string integrator = "euler_maruyama";  ///< euler_maruyama, leimkuhler_matthews
  std::string interneurons = "exact";         ///< exact, sampled
  double tau_ratio = 0.1;                     ///< tau_e / tau
  std::int64_t per_unit = 1;                  ///< interneurons a unit, averaged
  std::int64_t substeps = 1;                  ///< of the interneurons in one step of the neurons, averaged
  std::string adaptation = "none";            ///< none, momentum (keeps the law), activity (alters it)
  double friction = 0.5;                      ///< momentum: gamma
  double adaptation_time = 10.0;              ///< activity: tau_v
  double adaptation_strength = 1.0;           ///< activity: m
  std::int64_t chains_per_datum = 1;
  std::string latents = "reset";  ///< reset, persistent, continual
  double spread = 0.0;            ///< standard deviation of latents that are drawn anew
  bool operator==(const InferenceConfig&) const = default;
};

/// `[training.schedule]` of an HEE model: values that move geometrically from here to their own. 0 = constant.
struct ScheduleConfig {
  double noise_scale_first = 0.0;  ///< s of the observation
  double dt_first = 0.0;           ///< inference.dt
  double tau_ratio_first = 0.0;    ///< inference.tau_ratio
  double share = 1.0;              ///< of the training steps, after which the values stay
  bool operator==(const ScheduleConfig&) const = default;
};

/// `[training.contrastive]`: particles of persistent contrastive divergence (rbm, ebm).
struct ContrastiveConfig {
  std::int64_t particles = 0;  ///< recipe
  std::int64_t steps = 0;      ///< between two updates (recipe)
  double dt = 0.0;             ///< of a Langevin step; ebm (recipe)
  std::int64_t renewed = 0;    ///< before each batch
  bool operator==(const ContrastiveConfig&) const = default;
};

/// `[training.noise]`. In scaled filter space. `noise_levels` lists the levels.
struct NoiseConfig {
  std::int64_t levels = 0;             ///< L; 0 stands for "auto", until `resolve` has chosen
  double first = 1.0;                  ///< largest sigma
  double last = 0.1;                   ///< smallest sigma (recipe)
  std::string schedule = "geometric";  ///< geometric, single
  std::string ending = "inclusive";    ///< inclusive, exclusive
  bool antithetic = false;             ///< recipe
  bool operator==(const NoiseConfig&) const = default;
};

/// `[training.optimizer]`
struct OptimizerConfig {
  std::string kind = "adam";  ///< adam, adamw; plain for an HEE model
  double lr = 2e-3;
  std::string lr_schedule = "cosine";  ///< constant, cosine (from lr to 0 within each level)
  double weight_decay = 0.0;
  bool amsgrad = false;
  double ema = 0.999;      ///< 0 = none
  double clip_norm = 0.0;  ///< 0 = off
  bool restart_per_level = true;
  bool operator==(const OptimizerConfig&) const = default;
};

/// `[training.quality]`
struct QualityConfig {
  std::string output_scaling = "none";  ///< none, inverse_sigma, inverse_sigma2
  std::int64_t confinement = 0;         ///< confinement points added to each batch
  double confinement_pull = 0.0;
  std::vector<double> confinement_radius{1.3, 13.0};  ///< two factors of (largest data norm + sigma sqrt(D))
  double input_gain = 1.0;                            ///< multiplies the initial W_in
  double bias_gain = 1.0;                             ///< multiplies the initial b
  std::string start = "random";                       ///< random, noise_score, pairs
  bool operator==(const QualityConfig&) const = default;
};

/// `[training]`
struct TrainingConfig {
  std::string recipe = "recommended";  ///< recommended, published
  std::int64_t epochs = 0;             ///< in all; their steps are shared evenly by the levels (recipe)
  std::int64_t batch_size = 0;         ///< recipe
  std::string init;                    ///< weights to start from, or ""
  bool biases = false;                 ///< HEE: biases are learned too
  bool normalise_columns = false;      ///< HEE: columns of W_1 keep unit norm
  NoiseConfig noise;
  ContrastiveConfig contrastive;
  ScheduleConfig schedule;
  OptimizerConfig optimizer;
  QualityConfig quality;
  bool operator==(const TrainingConfig&) const = default;
};

/// `[sampling.initial]`: where chains start, in scaled filter space.
struct InitialConfig {
  std::string kind = "normal";  ///< uniform, normal, data, file
  std::string space = "x";      ///< x, r (each neuron; x = r W_out^T)
  double low = -2.0;            ///< uniform
  double high = 2.0;            ///< uniform
  double std = 1.0;             ///< normal (recipe)
  std::string path;             ///< file: `.npy` `[n_chains, D]` (or `[n_chains, N]` for r)
  bool operator==(const InitialConfig&) const = default;
};

/// `[sampling.annealed]`, with `schedule = "annealed"`: each level's weights in turn, `dt = dt0 sigma^2`, or `dt0 sigma` by baoab.
struct AnnealedConfig {
  std::int64_t steps_per_level = 5;
  double dt0 = 0.1;
  std::int64_t then_steps = 0;  ///< further steps at the last level
  bool denoise = true;          ///< one step `x + sigma^2 s(x)` at the end
  bool operator==(const AnnealedConfig&) const = default;
};

/// `[sampling.irreversible]`: drift `s (I + J)^T`, J skew-symmetric.
struct IrreversibleConfig {
  double strength = 0.0;  ///< Frobenius norm of J; 0 = reversible, or the given matrix as it is
  std::string matrix;     ///< `.npy` `[D, D]`, or "": drawn from the seed
  bool operator==(const IrreversibleConfig&) const = default;
};

/// `[sampling.record]`: neural activity beside the outputs.
struct RecordConfig {
  bool reservoir = false;       ///< run in reservoir mode and keep activity
  std::string neurons = "all";  ///< "all", "random:K" or a list "0,3,17"
  std::int64_t every = 1;       ///< every so many kept draws
  std::string projections;      ///< `.npy` `[n, N]` of vectors to project rates on, or ""
  bool operator==(const RecordConfig&) const = default;
};

/// `[sampling.diagnostics]`: live diagnostics.
struct DiagnosticsConfig {
  std::int64_t outputs = 8;  ///< the first so many are watched; 0 = none
  std::int64_t every = 0;    ///< steps between looks; 0 = chosen by size
  bool operator==(const DiagnosticsConfig&) const = default;
};

/// `[sampling]`
struct SamplingConfig {
  std::string mode = "posterior";             ///< HEE: posterior, joint, marginal, layerwise, ancestral
  std::int64_t inner_steps = 10;              ///< HEE, marginal: steps of the latents for each of the observation
  double observation_dt = 0.0;                ///< HEE, marginal: the observation's own step; 0 = that of [inference]
  std::string start = "noise";                ///< HEE, joint and marginal: noise, prior
  std::int64_t chains = 0;                    ///< recipe
  std::int64_t steps = 0;                     ///< last_level (recipe)
  double dt = 0.0;                            ///< last_level, in units of tau (recipe)
  std::string schedule = "annealed";          ///< last_level, annealed
  std::string integrator = "euler_maruyama";  ///< euler_maruyama, leimkuhler_matthews, baoab
  double friction = 1.0;                      ///< baoab: gamma; annealed: gamma sigma
  std::string noise = "output";               ///< output, private
  std::string drift = "circuit";              ///< circuit, score: what runs of a network with a trained J
  std::int64_t thin = 0;                      ///< every so many steps a draw is kept; 0 = the final state only
  std::int64_t burn_in = 0;                   ///< steps before the first kept draw
  double bound = 3.0;     ///< factor of sqrt(R^2 + D sigma^2) beyond which a chain is quarantined; 0 = no bound
  std::string until;      ///< "rhat < 1.01 and ess > 400", or ""
  bool denoise = false;   ///< last_level: one step `x + sigma^2 s(x)` at the end
  std::string condition;  ///< `.npy` `[chains, U]` or `[T, chains, U]`, or ""
  std::string clamp;      ///< `.npy` `[D]` or `[chains, D]`: finite entries hold an output, NaN leaves it free, or ""
  bool merge = true;      ///< write samples.nc at the end; otherwise only the segments
  InitialConfig initial;
  AnnealedConfig annealed;
  IrreversibleConfig irreversible;
  RecordConfig record;
  DiagnosticsConfig diagnostics;
  bool operator==(const SamplingConfig&) const = default;
};

/// `[checkpoint]`
struct CheckpointConfig {
  double minutes = 10.0;
  std::int64_t keep = 3;
  bool operator==(const CheckpointConfig&) const = default;
};

/// `[evaluation]`
struct EvaluationConfig {
  std::vector<std::string> metrics;  ///< kl, w1, score_error, quadrature, moments, beyond (recipe)
  std::vector<std::string> compare;  ///< 1-D: other networks to train and show beside this one, "sampler_only_fr:tanh"
  std::vector<double> accelerate;    ///< plane: strengths of irreversible drifts run beside the reversible one
  double accelerate_time = 40.0;     ///< ... for so long at rest, for the autocorrelation times
  std::int64_t accelerate_chains = 2000;        ///< ... on so many chains
  std::vector<std::string> adaptation;          ///< HEE: laws on which dynamics with and without momentum are compared
  std::int64_t adaptation_data = 32;            ///< ... "posterior": those of the first so many data
  std::int64_t adaptation_chains = 256;         ///< ... by so many chains in all
  std::int64_t likelihood_data = 0;             ///< HEE, rbm, ebm: log likelihood of the first so many data; 0: none
  std::int64_t likelihood_chains = 32;          ///< ... so many importance weights (HEE: a datum)
  std::int64_t likelihood_temperatures = 1000;  ///< ... laws on the way
  std::vector<std::string> generation;    ///< HEE: ways to generate that are compared, "joint", "marginal:momentum"
  std::int64_t generation_budget = 4096;  ///< ... with up to so many matrix products a chain
  std::int64_t generation_chains = 2000;  ///< ... by so many chains each
  std::string inpaint;                ///< HEE: what is hidden and inferred: left, right, top, bottom, or a mask `.npy`
  std::vector<double> denoise;        ///< HEE: standard deviations of noise that is taken off again
  std::string restore_path;           ///< ... of these images; empty: the run's own data
  std::int64_t restore_data = 100;    ///< ... the first so many
  std::int64_t restore_chains = 4;    ///< ... by so many chains each
  std::int64_t restore_steps = 1000;  ///< ... of so many steps
  std::int64_t grid = 10;             ///< images: a grid of so many rows and columns
  std::int64_t mixture = 100;  ///< images: components of the Gaussian mixture that draws are read against; 0 = none
  std::string classifier;      ///< images with labels: "auto" trains one on half of them, else a file; empty = none
  std::int64_t last_level_steps = 0;  ///< images: further steps at the last level, reported beside the samples (recipe)
  std::int64_t last_level_chains = 1000;  ///< images: chains that take those further steps
  bool half_step = true;                  ///< chains once more with dt and dt/2 on one Brownian path
  bool neurons = true;                    ///< where activity was recorded: what the neurons do
  bool operator==(const EvaluationConfig&) const = default;
};

/// `[sweep]`: one experiment for each of several targets and seeds, `Config::targets`. `capacity`: of laws and network sizes
/// (docs/capacity.md); `learning`: of models on one data set (docs/rivals.md).
struct SweepConfig {
  std::string study = "capacity";   ///< capacity, learning
  std::int64_t looks = 8;           ///< learning: how often a model is judged on its way
  std::int64_t test_items = 2000;   ///< learning: the last so many items are held out
  std::vector<double> levels{0.0};  ///< learning: log likelihoods to be reached, above that of independent normals
  std::vector<std::int64_t> neurons{8, 16, 32, 64, 128, 256, 512, 1024};  ///< N of the reservoir
  std::int64_t seeds = 5;                                                 ///< from run.seed up
  std::vector<std::string> rivals{"sampler_only_sc", "sampler_only_fr"};  ///< classes compared with
  std::int64_t points = 20000;          ///< D > 1: exact draws over which a score error is averaged
  std::int64_t cells = 256;             ///< D > 1: cells of equal probability that a KL divergence sees; a power of two
  std::int64_t best_fit_points = 5000;  ///< D > 1: exact draws to which the best of a class is fitted
  std::int64_t best_fit_starts = 8;     ///< of which it is the best
  bool operator==(const SweepConfig&) const = default;
};

/// A whole run. Values that a recipe fills hold no meaning before `resolve` was called.
struct Config {
  RunConfig run;
  DataConfig data;
  FilterConfig filter;
  ModelConfig model;
  InferenceConfig inference;
  TrainingConfig training;
  SamplingConfig sampling;
  CheckpointConfig checkpoint;
  EvaluationConfig evaluation;
  SweepConfig sweep;
  std::vector<Config>
      targets;  ///< of a sweep: a config for each law, named by its run.name; of this one only run, checkpoint and sweep count

  std::string source;  ///< the file it came from, for messages
  std::map<std::string, std::string>
      given;                     ///< dotted names of the keys that were given, and where: "file:12", "--set"
  std::set<std::string> filled;  ///< those that `resolve` filled

  bool was_given(const std::string& key) const { return given.contains(key); }
  /// Compares the values, not where they came from.
  bool operator==(const Config& other) const {
    if (!targets.empty() || !other.targets.empty())
      return run == other.run && checkpoint == other.checkpoint && sweep == other.sweep && targets == other.targets;
    return run == other.run && data == other.data && filter == other.filter && model == other.model &&
           inference == other.inference && training == other.training && sampling == other.sampling &&
           checkpoint == other.checkpoint && evaluation == other.evaluation;
  }
};

/// What a recipe must know of the data, after the filter.
struct DataFacts {
  std::int64_t n_outputs = 0;  ///< D
  std::int64_t n_inputs = 0;   ///< U
  std::int64_t n_items = 0;    ///< items in the set; `data.epoch_size` for synthetic laws
  bool is_image = false;
};

/// Reads a TOML file and applies overrides ("training.epochs=50", in order, later ones win). Checks every key and
/// value; does not look at data. Throws `UsageError`: one line that names file and line (or "--set KEY"), what was
/// found and what is allowed; for an unknown key the nearest known one.
Config load_config(const std::string& path, const std::vector<std::string>& overrides = {});

/// The same from text; `source` stands in messages in place of the file.
Config parse_config(const std::string& text, const std::string& source, const std::vector<std::string>& overrides = {});

/// Fills every key that was left out by the recipe named in `training.recipe` and returns lines that say what was
/// chosen and why. Keys that were given stay as they are. Calling it again changes nothing. Throws `UsageError` where
/// given keys do not fit the data (a batch larger than the set, an output scaling for a sampler-only network, ...).
std::vector<std::string> resolve(Config& config, const DataFacts& facts);

/// Whether `data.kind` is a synthetic law (fresh draws) or a file.
bool is_synthetic(const DataConfig& data);
/// Whether batches are patches cut from images.
bool is_patches(const DataConfig& data);

/// Whether the model is a hierarchical exponential-family model; otherwise it is a sampling network.
bool is_hee(const ModelConfig& model);
/// Whether the model is trained by contrastive divergence: rbm, ebm.
bool is_energy_based(const ModelConfig& model);
/// Whether a layer's natural parameter is a precision, so that the layer above sets the scale of its units.
bool is_scale_family(const std::string& family);

/// Whether the config is one of many runs: it has `[[sweep.targets]]`.
bool is_sweep(const Config& config);

/// Throws one line that tells `--set data.path=...` where the data are a file and no path was given.
void require_data_path(const Config& config);

/// Whether a final denoising step is asked for, whichever the schedule.
bool final_denoise(const SamplingConfig& sampling);

/// The noise levels of a resolved config, largest first. Geometric: `sigma_i = first (last/first)^(i/(L-1))` where the
/// ending is inclusive, `first (last/first)^(i/L)` where it is exclusive (arXiv 2308.11809 uses both). Single: `last`
/// alone. Throws `UsageError` where the values make no schedule or `levels` is still "auto".
std::vector<double> noise_levels(const NoiseConfig& noise);

/// The smallest number of geometric levels from `first` to `last` whose neighbours overlap by at least one half in the
/// sense of technique 2 of Song and Ermon 2020 (arXiv 2006.09011), `Phi(sqrt(2D)(g-1)+3g) - Phi(sqrt(2D)(g-1)-3g) >=
/// 0.5`, g their ratio.
std::int64_t song_ermon_levels(std::int64_t n_outputs, double first, double last);

/// The config as TOML: every key with its value, in the order of the schema; `header` lines become comments at the top.
/// Reading it gives an equal Config.
std::string to_toml(const Config& config, const std::vector<std::string>& header = {});

}  // namespace tarn
