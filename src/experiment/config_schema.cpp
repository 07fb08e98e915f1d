#include "tarn/experiment/config_schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tarn/core/family.hpp"
#include "tarn/core/nonlinearity.hpp"
#include "tarn/core/precision.hpp"

namespace tarn {
namespace {

// The member of Config that a key stands for; the name is the path, so a key cannot point elsewhere.
#define TARN_KEY(path) .name = #path, .slot = [](Config& config) -> KeySlot { return &config.path; }

#define TARN_LAYER_KEY(member) \
  .name = "model.layers." #member, .layer_slot = [](LayerConfig& layer) -> KeySlot { return &layer.member; }

constexpr double kMaxCount = 1099511627776.0;  // 2^40

std::string check_name(const std::string& name) {
  const bool fine = !name.empty() && name.size() <= 100 && name[0] != '.' && name[0] != '-' &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
                    });
  return fine ? ""
              : "letters, digits, '_', '-' and '.', 1 to 100 of them (it names the run folder), not starting with '.' "
                "or '-'";
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 9 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::string check_device(const std::string& device) {
  if (device == "auto" || device == "cpu" || device == "cuda") return "";
  if (device.starts_with("cuda:") && is_number(std::string_view(device).substr(5))) return "";
  return "auto, cpu, cuda or cuda:K with K a device number";
}

std::string check_neurons(const std::string& neurons) {
  const std::string allowed = "\"all\", \"random:K\" with K >= 1, or a list of neuron numbers as in \"0,3,17\"";
  if (neurons == "all") return "";
  if (neurons.starts_with("random:")) {
    const std::string_view count = std::string_view(neurons).substr(7);
    return is_number(count) && count.find_first_not_of('0') != std::string_view::npos ? "" : allowed;
  }
  std::string_view rest = neurons;
  while (true) {
    const std::size_t comma = rest.find(',');
    if (!is_number(rest.substr(0, comma))) return allowed;
    if (comma == std::string_view::npos) return "";
    rest.remove_prefix(comma + 1);
  }
}

std::vector<std::string_view> all_nonlinearities() { return {nonlinearity_names.begin(), nonlinearity_names.end()}; }

std::vector<KeySpec> make_schema() {
  const std::vector<std::string_view> synthetic{"gaussian_mixture", "laplace_mixture", "ring", "two_moons",
                                                "checkerboard"};
  const std::vector<std::string_view> mixtures{"gaussian_mixture", "laplace_mixture"};
  const std::vector<std::string_view> files{"idx", "cifar10", "npy", "png_folder"};
  const std::vector<std::string_view> networks{"reservoir_sampler", "sampler_only_sc", "sampler_only_fr"}, hee{"hee"};
  const std::vector<std::string_view> energies{"rbm", "ebm"}, with_likelihood{"hee", "rbm", "ebm"};
  // what runs as chains of one drift
  const std::vector<std::string_view> samplers{"reservoir_sampler", "sampler_only_sc", "sampler_only_fr", "rbm", "ebm"};
  const std::vector<std::string_view> items_or_patches{"idx", "cifar10", "npy", "png_folder", "patches"};
  const std::vector<std::string_view> fresh{"gaussian_mixture", "laplace_mixture", "ring",
                                            "two_moons",        "checkerboard",    "patches"};
  // clang-format off
  return {
      {TARN_KEY(run.name), .doc = "names the run folder; the config file's name without `.toml` where it is left out", .check = check_name},
      {TARN_KEY(run.seed), .doc = "key of all random numbers; the same seed gives the same run", .low = 0, .high = 9223372036854775808.0, .high_excluded = true},
      {TARN_KEY(run.device), .doc = "where to compute", .check = check_device},
      {TARN_KEY(run.precision), .doc = "what the operands of matrix products are rounded to, at D > 16, while chains run in output mode; training then rounds those of its products to tf32; other than `fp32` on a GPU only; state, weights, noise and sums are float32 always", .choices = {precision_names.begin(), precision_names.end()}},
      {TARN_KEY(run.autotune), .doc = "on a GPU: measure which algorithm of each matrix product, and which kernel of small chains, is the fastest, once for each device and shape; algorithms differ in rounding (docs/gpu.md)"},
      {TARN_KEY(run.tau_ms), .doc = "the membrane time constant, the unit of all times, wherever a person reads a time", .unit = "ms", .low = 0, .low_excluded = true},

      {TARN_KEY(data.kind), .doc = "a synthetic law, the format of a file, or `patches`: squares cut at random places from a stack of images",
       .choices = {"gaussian_mixture", "laplace_mixture", "ring", "two_moons", "checkerboard", "idx", "cifar10", "npy", "png_folder", "patches"}, .required = true},
      {TARN_KEY(data.means), .doc = "mean of each component, `[[...], ...]`; a Laplace mixture may leave it out: all zero", .kinds = mixtures},
      {TARN_KEY(data.std), .doc = "isotropic standard deviation: one number, or one for each component", .low = 0, .low_excluded = true, .kinds = mixtures, .one_or_many = true},
      {TARN_KEY(data.covariances), .doc = "covariance matrix of each component, in place of `data.std`", .kinds = mixtures},
      {TARN_KEY(data.weights), .doc = "weight of each component, need not sum to 1; empty: equal", .low = 0, .low_excluded = true, .kinds = mixtures},
      {TARN_KEY(data.radius), .doc = "radius of the ring", .low = 0, .low_excluded = true, .kinds = {"ring"}},
      {TARN_KEY(data.width), .doc = "standard deviation across the ring", .low = 0, .kinds = {"ring"}},
      {TARN_KEY(data.noise), .doc = "standard deviation of the noise on the two moons", .low = 0, .kinds = {"two_moons"}},
      {TARN_KEY(data.cells), .doc = "fields a side of the checkerboard", .low = 1, .high = 1024, .kinds = {"checkerboard"}},
      {TARN_KEY(data.side), .doc = "length of a side of the checkerboard, which is centred at 0", .low = 0, .low_excluded = true, .kinds = {"checkerboard"}},
      {TARN_KEY(data.epoch_size), .doc = "fresh draws that count as one epoch", .unit = "draws", .low = 1, .high = kMaxCount, .kinds = fresh},
      {TARN_KEY(data.path), .doc = "file or folder (`idx`: an image file, or the folder with `train-images-idx3-ubyte`, both `.gz` too; `cifar10`: a batch file, or the folder of them; `patches`: a `.npy` file `[n_images, rows, columns]`); must be set before a run", .kinds = items_or_patches},
      {TARN_KEY(data.labels), .doc = "file of labels that goes with the items; empty: for `idx` the labels file beside the images, if there is one", .kinds = {"idx", "npy"}},
      {TARN_KEY(data.classes), .doc = "keep the items with these labels only; empty: all", .low = 0, .high = 2147483647.0, .kinds = {"idx", "cifar10", "npy"}},
      {TARN_KEY(data.max_items), .doc = "keep the first so many items (`patches`: images); 0: all", .unit = "items", .low = 0, .high = kMaxCount, .kinds = items_or_patches},
      {TARN_KEY(data.inputs), .doc = "the last so many coordinates of the law are inputs u, on which the network is conditioned; U", .low = 0, .high = 1048576, .kinds = synthetic},
      {TARN_KEY(data.condition), .doc = "`.npy` file `[n_items, U]` of inputs that go with the items (conditional training); empty: none", .kinds = files},
      {TARN_KEY(data.patch_size), .doc = "side of a patch", .unit = "pixels", .low = 1, .high = 1024, .kinds = {"patches"}},
      {TARN_KEY(data.border), .doc = "no patch touches so many pixels along the edges of an image, where whitening wraps around", .unit = "pixels", .low = 0, .high = 32768, .kinds = {"patches"}},
      {TARN_KEY(data.unit_variance), .doc = "divide the images by the standard deviation of all their pixels", .kinds = {"patches"}},
      {TARN_KEY(data.subtract_mean), .doc = "of each patch", .kinds = {"patches"}},
      {TARN_KEY(data.whiten), .doc = "whiten raw photographs: multiply each image by f exp(-(f/cutoff)^4) in the frequency domain", .kinds = {"patches"}},
      {TARN_KEY(data.whiten_cutoff), .doc = "the cutoff of that filter", .unit = "cycles/pixel", .low = 0, .low_excluded = true, .kinds = {"patches"}},
      {TARN_KEY(data.whiten_log), .doc = "take log(1 + pixel) before, for pixels that are intensities of light", .kinds = {"patches"}},
      {TARN_KEY(data.scaling), .doc = "`auto`: centre and divide by the RMS norm, after the filter; before the filter, and nothing after it unless it is a `sparse_code`, an `autoencoder` or `features`, which have a size of their own and are centred and divided as well: `unit_norm`: each item to norm 1, `divide_255`: pixels to [0, 1], `standardise`: each component to mean 0 and variance 1; `none`",
       .choices = {"auto", "none", "unit_norm", "divide_255", "standardise"}, .recipe = true},

      {TARN_KEY(filter.kind), .doc = "the space in which the network lives: the data's own; principal components; a sparse code over learned atoms; the code of an autoencoder of dense layers; features read from a file", .choices = {"none", "pca", "sparse_code", "autoencoder", "features"}},
      {TARN_KEY(filter.components), .doc = "how many components, atoms (they may be more than the data's dimensions) or values of the code: the D of the network", .low = 1, .high = 1048576, .filters = {"pca", "sparse_code", "autoencoder"}},
      {TARN_KEY(filter.penalty), .doc = "lambda of the code's loss 1/2 |x - a A|^2 + lambda sum |a_k|", .low = 0, .filters = {"sparse_code"}},
      {TARN_KEY(filter.solver), .doc = "`ista`: iterative soft thresholding; `fista`: the same with momentum, far closer to the minimum after as many iterations", .choices = {"ista", "fista"}, .filters = {"sparse_code"}},
      {TARN_KEY(filter.iterations), .doc = "how many for a code", .unit = "iterations", .low = 1, .high = 1000000, .filters = {"sparse_code"}},
      {TARN_KEY(filter.hidden), .doc = "units of the encoder's hidden layers; the decoder has them in reverse; `[]`: a linear autoencoder", .low = 1, .high = 1048576, .filters = {"autoencoder"}},
      {TARN_KEY(filter.nonlinearity), .doc = "of the hidden layers; the code itself is linear", .choices = {"relu", "tanh"}, .filters = {"autoencoder"}},
      {TARN_KEY(filter.epochs), .doc = "passes over the data while the filter is trained", .unit = "epochs", .low = 1, .high = kMaxCount, .filters = {"sparse_code", "autoencoder"}},
      {TARN_KEY(filter.batch_size), .doc = "items in a batch of that training", .unit = "items", .low = 1, .high = 16777216, .filters = {"sparse_code", "autoencoder"}},
      {TARN_KEY(filter.lr), .doc = "Adam's learning rate in that training, falling to 0 along a cosine", .low = 0, .low_excluded = true, .filters = {"autoencoder"}},
      {TARN_KEY(filter.features), .doc = "`.npy` file `[n_items, D]` of features that go with the items; must be set", .filters = {"features"}},
      {TARN_KEY(filter.decoder), .doc = "the way back: `linear`: least squares from features to data; or a `.npy` file `[D, P]`, or `[D + 1, P]` with an offset as its last row", .filters = {"features"}},

      {TARN_KEY(model.kind), .doc = "which network: the reservoir-sampler, one of the two without a reservoir, the hierarchical exponential-family model of `[[model.layers]]`; or a rival (docs/rivals.md): `rbm`: Gaussian-Bernoulli restricted Boltzmann machine; `ebm`: an energy of one hidden layer", .choices = {"reservoir_sampler", "sampler_only_sc", "sampler_only_fr", "hee", "rbm", "ebm"}},
      {TARN_KEY(model.neurons), .doc = "neurons of the reservoir, hidden units of `rbm` and `ebm`, N; sampler-only networks have N = D", .low = 1, .high = 16777216, .models = samplers, .recipe = true},
      {TARN_KEY(model.nonlinearity), .doc = "phi; an `ebm` has sigmoid (where it is left out) or tanh, with which its energy always has a law", .choices = all_nonlinearities(), .models = {"reservoir_sampler", "sampler_only_sc", "sampler_only_fr", "ebm"}},
      {TARN_KEY(model.s), .doc = "standard deviation of an output given the hidden units", .unit = "scaled filter space", .low = 0, .low_excluded = true, .models = energies, .recipe = true},
      {TARN_KEY(model.irreversible), .doc = "a skew matrix J of this Frobenius norm is trained in with the weights: the circuit's own drift is f, its score f (I + J)^-T; 0: none, drift and score are one", .low = 0, .models = networks},

      {TARN_KEY(inference.dt), .doc = "step of the latent layers", .unit = "tau", .low = 0, .low_excluded = true, .models = hee},
      {TARN_KEY(inference.steps), .doc = "steps that the latents follow a batch before the weights change", .unit = "steps", .low = 1, .high = kMaxCount, .models = hee},
      {TARN_KEY(inference.window), .doc = "the last so many of these steps teach; `auto`: half of them", .unit = "steps", .low = 1, .high = kMaxCount, .models = hee, .automatic = true},
      {TARN_KEY(inference.integrator), .doc = "of the latents; `leimkuhler_matthews`: second order at the same price. Momentum takes BAOAB instead", .choices = {"euler_maruyama", "leimkuhler_matthews"}, .models = hee},
      {TARN_KEY(inference.interneurons), .doc = "where A'(eta) comes from: `exact`: its closed form; `sampled`: a second group of neurons, which heat the first", .choices = {"exact", "sampled"}, .models = hee},
      {TARN_KEY(inference.tau_ratio), .doc = "`sampled`: time constant of the interneurons over that of the neurons", .low = 0, .low_excluded = true, .models = hee},
      {TARN_KEY(inference.per_unit), .doc = "`sampled`: interneurons a unit, averaged", .low = 1, .high = 1024, .models = hee},
      {TARN_KEY(inference.substeps), .doc = "`sampled`: steps of the interneurons in one of the neurons, averaged", .low = 1, .high = 1024, .models = hee},
      {TARN_KEY(inference.adaptation), .doc = "`momentum`: adaptation that keeps the law (underdamped, BAOAB); `activity`: the textbook current, which alters the law", .choices = {"none", "momentum", "activity"}, .models = hee},
      {TARN_KEY(inference.friction), .doc = "`momentum`: gamma", .unit = "1/tau", .low = 0, .models = hee},
      {TARN_KEY(inference.adaptation_time), .doc = "`activity`: time constant of the current", .unit = "tau", .low = 0, .low_excluded = true, .models = hee},
      {TARN_KEY(inference.adaptation_strength), .doc = "`activity`: strength of the current", .low = 0, .models = hee},
      {TARN_KEY(inference.chains_per_datum), .doc = "latent states that follow each datum", .unit = "chains", .low = 1, .high = 1048576, .models = hee},
      {TARN_KEY(inference.latents), .doc = "before each batch: `reset`: drawn anew; `persistent`: as that datum left them (data sets); `continual`: as the last batch left them", .choices = {"reset", "persistent", "continual"}, .models = hee},
      {TARN_KEY(inference.spread), .doc = "standard deviation of the normal law that latents are reset to; 0: all at 0", .low = 0, .models = hee},

      {TARN_KEY(training.recipe), .doc = "what fills the keys that are left out: the best known settings, or those of arXiv 2308.11809", .choices = {"recommended", "published"}},
      {TARN_KEY(training.epochs), .doc = "passes over the data in all; their steps are shared evenly by the noise levels", .unit = "epochs", .low = 1, .high = kMaxCount, .recipe = true},
      {TARN_KEY(training.batch_size), .doc = "items in a batch", .unit = "items", .low = 1, .high = 16777216, .recipe = true},
      {TARN_KEY(training.init), .doc = "weights file (`.safetensors` or `.npz`) to train on from; empty: random initial weights"},
      {TARN_KEY(training.biases), .doc = "biases are learned too, by the same rule", .models = hee},
      {TARN_KEY(training.normalise_columns), .doc = "columns of W_1 are brought back to unit norm after each step, as in sparse coding", .models = hee},

      {TARN_KEY(training.noise.levels), .doc = "number of noise levels", .low = 1, .high = 100000, .models = networks, .recipe = true, .automatic = true},
      {TARN_KEY(training.noise.first), .doc = "largest sigma", .unit = "scaled filter space", .low = 0, .low_excluded = true, .models = networks, .recipe = true},
      {TARN_KEY(training.noise.last), .doc = "smallest sigma (with `exclusive`: the one that would come next)", .unit = "scaled filter space", .low = 0, .low_excluded = true, .models = networks, .recipe = true},
      {TARN_KEY(training.noise.schedule), .doc = "`geometric`: from first to last by a constant ratio; `single`: one level, `last`", .choices = {"geometric", "single"}, .models = networks},
      {TARN_KEY(training.noise.ending), .doc = "`inclusive`: sigma_i = first (last/first)^(i/(levels-1)); `exclusive`: sigma_i = first (last/first)^(i/levels); i from 0", .choices = {"inclusive", "exclusive"}, .models = networks, .recipe = true},
      {TARN_KEY(training.noise.antithetic), .doc = "each datum twice in a batch, with noise +xi and -xi", .models = networks, .recipe = true},

      {TARN_KEY(training.contrastive.particles), .doc = "states that follow the model through training and stand for its law in the gradient", .low = 1, .high = 16777216, .models = energies, .recipe = true},
      {TARN_KEY(training.contrastive.steps), .doc = "steps they take between two updates: sweeps of block Gibbs sampling (`rbm`), Langevin steps (`ebm`)", .unit = "steps", .low = 1, .high = 1000000, .models = energies, .recipe = true},
      {TARN_KEY(training.contrastive.dt), .doc = "their Langevin step", .unit = "tau", .low = 0, .low_excluded = true, .models = {"ebm"}, .recipe = true},
      {TARN_KEY(training.contrastive.renewed), .doc = "so many of them, in turn, restart at data before each batch", .unit = "particles a batch", .low = 0, .high = 16777216, .models = energies},

      {TARN_KEY(training.schedule.noise_scale_first), .doc = "the observation's s begins here and moves geometrically to its own; 0: constant", .low = 0, .models = hee},
      {TARN_KEY(training.schedule.dt_first), .doc = "`inference.dt` begins here, likewise: the neurons' time constant changes against the clock; 0: constant", .unit = "tau", .low = 0, .models = hee},
      {TARN_KEY(training.schedule.tau_ratio_first), .doc = "`inference.tau_ratio` begins here, likewise; 0: constant", .low = 0, .models = hee},
      {TARN_KEY(training.schedule.share), .doc = "share of the training steps after which these values have arrived", .low = 0, .high = 1, .low_excluded = true, .models = hee},

      {TARN_KEY(training.optimizer.kind), .doc = "`adam`: decay added to the gradient (L2); `adamw`: decay apart from it; `plain`: the bare local rule, for `hee`", .choices = {"adam", "adamw", "plain"}},
      {TARN_KEY(training.optimizer.lr), .doc = "learning rate", .low = 0, .low_excluded = true, .recipe = true},
      {TARN_KEY(training.optimizer.lr_schedule), .doc = "`cosine`: from lr to 0 within each level; `constant`", .choices = {"constant", "cosine"}, .recipe = true},
      {TARN_KEY(training.optimizer.weight_decay), .doc = "weight decay", .low = 0, .models = samplers, .recipe = true},
      {TARN_KEY(training.optimizer.amsgrad), .doc = "AMSGrad (Reddi et al. 2018)", .models = samplers, .recipe = true},
      {TARN_KEY(training.optimizer.ema), .doc = "decay of the running mean of the weights, which is what samples; 0: off", .low = 0, .high = 1, .high_excluded = true, .models = samplers, .recipe = true},
      {TARN_KEY(training.optimizer.clip_norm), .doc = "gradients are scaled down to this norm; 0: off", .low = 0, .models = samplers},
      {TARN_KEY(training.optimizer.restart_per_level), .doc = "the optimiser's moments and step counter start anew at each level", .models = networks, .recipe = true},

      {TARN_KEY(training.quality.output_scaling), .doc = "train V with W_out = V, V / sigma or V / sigma^2", .choices = {"none", "inverse_sigma", "inverse_sigma2"}, .models = networks, .recipe = true},
      {TARN_KEY(training.quality.confinement), .doc = "points far from the data, added to each batch, where the drift is pulled inward; 0: none", .unit = "points a batch", .low = 0, .high = 16777216, .models = networks, .recipe = true},
      {TARN_KEY(training.quality.confinement_pull), .doc = "how strong the pull is, the c of the loss 1/2 |sigma^2 s(R d)/R + c d|^2", .low = 0, .models = networks, .recipe = true},
      {TARN_KEY(training.quality.confinement_radius), .doc = "smallest and largest R, in units of (largest data norm + sigma sqrt(D))", .low = 0, .low_excluded = true, .models = networks},
      {TARN_KEY(training.quality.input_gain), .doc = "multiplies the initial W_in, uniform in +-1/sqrt(D+U)", .low = 0, .low_excluded = true, .models = networks, .recipe = true},
      {TARN_KEY(training.quality.bias_gain), .doc = "multiplies the initial b, uniform in +-1/sqrt(D+U)", .low = 0, .models = networks, .recipe = true},
      {TARN_KEY(training.quality.start), .doc = "initial weights: `random`; `noise_score`: pairs of neurons that read one output each make the first drift -x (1 + 1/sigma^2), the score of noise alone, which takes random weights long to learn where D is large; needs neurons >= 2 D, output_scaling = \"inverse_sigma2\", and relu, leaky_relu or softplus; `pairs`: neurons in pairs of opposite weights and no output weights yet, so that the first drift is -x and a straight line is learned without the error of random rectifiers; needs relu, leaky_relu or softplus", .choices = {"random", "noise_score", "pairs"}, .models = networks, .recipe = true},

      {TARN_KEY(sampling.chains), .doc = "parallel chains", .low = 1, .high = 281474976710656.0, .high_excluded = true, .recipe = true},
      {TARN_KEY(sampling.mode), .doc = "`posterior`: latents given data; the others generate, with nothing given (docs/hee.md, section 8): `joint`: all layers together; `marginal`: the observation by its marginal score; `layerwise`: from the top down, each layer at rest before the next; `ancestral`: exact draws. The last two give one draw a chain", .choices = {"posterior", "joint", "marginal", "layerwise", "ancestral"}, .models = hee},
      {TARN_KEY(sampling.inner_steps), .doc = "`marginal`: steps of the latents for each step of the observation, K; `steps`, `thin` and `burn_in` are multiples of it", .unit = "steps", .low = 1, .high = 1000000, .models = hee},
      {TARN_KEY(sampling.observation_dt), .doc = "`marginal`: the observation's own step; 0: `inference.dt`", .unit = "tau", .low = 0, .models = hee},
      {TARN_KEY(sampling.start), .doc = "`joint`, `marginal`: where chains start: `noise`: `inference.spread` times normals; `prior`: ancestral draws of the latents, the observation at its mean given them", .choices = {"noise", "prior"}, .models = hee},
      {TARN_KEY(sampling.schedule), .doc = "`last_level`: the network of the last level alone; `annealed`: the network of each level in turn", .choices = {"last_level", "annealed"}, .models = networks, .recipe = true},
      {TARN_KEY(sampling.integrator), .doc = "`leimkuhler_matthews`: second order at the same price, for a reversible drift; `baoab`: the outputs have a momentum (adaptation), which takes them along the law's long directions in fewer steps; dt is then of the order of its narrowest width, not of the square", .choices = {"euler_maruyama", "leimkuhler_matthews", "baoab"}, .models = samplers},
      {TARN_KEY(sampling.friction), .doc = "`baoab`: the momentum decays at this rate; `annealed`: at this rate over sigma", .unit = "1 / tau", .low = 0, .low_excluded = true, .models = samplers},
      {TARN_KEY(sampling.noise), .doc = "`output`: isotropic on the outputs; `private`: each neuron has its own (with `record.reservoir`), of one strength such that the outputs get as much in the mean; the drift s D_x^T keeps the law", .choices = {"output", "private"}, .models = networks},
      {TARN_KEY(sampling.drift), .doc = "what runs of a network with a trained J (`model.irreversible`): `circuit`: its own drift, which is irreversible; `score`: its score", .choices = {"circuit", "score"}, .models = networks},
      {TARN_KEY(sampling.steps), .doc = "`last_level`: steps a chain takes", .unit = "steps", .low = 1, .high = kMaxCount, .recipe = true},
      {TARN_KEY(sampling.dt), .doc = "`last_level`: step size", .unit = "tau", .low = 0, .low_excluded = true, .models = samplers, .recipe = true},
      {TARN_KEY(sampling.thin), .doc = "a draw is kept every so many steps; 0: the final state only", .unit = "steps", .low = 0, .high = kMaxCount, .recipe = true},
      {TARN_KEY(sampling.burn_in), .doc = "steps before the first draw may be kept", .unit = "steps", .low = 0, .high = kMaxCount},
      {TARN_KEY(sampling.bound), .doc = "a chain beyond so many times sqrt(R^2 + D sigma^2), R the largest norm in the training data, is counted and set aside; 0: no bound", .low = 0, .models = samplers},
      {TARN_KEY(sampling.until), .doc = "chains stop when this holds of what live diagnostics see, like `rhat < 1.01 and ess > 400`; `steps` is then the most they take. `rhat`, `nested_rhat`, `ess`, `mcse` (error of the mean over the deviation), of the worst quantity watched; empty: all steps"},
      {TARN_KEY(sampling.denoise), .doc = "`last_level`: one step x + sigma^2 s(x) without noise at the end", .models = networks},
      {TARN_KEY(sampling.condition), .doc = "`.npy` file of inputs, `[chains, U]` or `[T, chains, U]`; empty: those of the training data in turn", .models = networks},
      {TARN_KEY(sampling.clamp), .doc = "`.npy` file `[D]` or `[chains, D]`: finite entries hold an output there, NaN leaves it free; empty: all free", .models = samplers},
      {TARN_KEY(sampling.merge), .doc = "write `samples.nc` at the end; otherwise the segments stay"},

      {TARN_KEY(sampling.initial.kind), .doc = "law of the starting points", .choices = {"uniform", "normal", "data", "file"}, .models = samplers, .recipe = true},
      {TARN_KEY(sampling.initial.space), .doc = "`x`: of the outputs; `r`: of the neurons, so that x = r W_out^T", .choices = {"x", "r"}, .models = networks, .recipe = true},
      {TARN_KEY(sampling.initial.low), .doc = "`uniform`: lower end", .unit = "scaled filter space", .models = samplers},
      {TARN_KEY(sampling.initial.high), .doc = "`uniform`: upper end; equal to `low`: all chains start there", .unit = "scaled filter space", .models = samplers},
      {TARN_KEY(sampling.initial.std), .doc = "`normal`: standard deviation, about 0", .unit = "scaled filter space", .low = 0, .models = samplers, .recipe = true},
      {TARN_KEY(sampling.initial.path), .doc = "`file`: `.npy` file `[chains, D]`, or `[chains, N]` for `r`", .models = samplers},

      {TARN_KEY(sampling.annealed.steps_per_level), .doc = "steps with each level's network", .unit = "steps", .low = 1, .high = kMaxCount, .models = networks, .recipe = true},
      {TARN_KEY(sampling.annealed.dt0), .doc = "step size dt0 sigma^2 at each level, dt0 sigma by `baoab`", .unit = "tau", .low = 0, .low_excluded = true, .models = networks},
      {TARN_KEY(sampling.annealed.then_steps), .doc = "further steps at the last level", .unit = "steps", .low = 0, .high = kMaxCount, .models = networks},
      {TARN_KEY(sampling.annealed.denoise), .doc = "one step x + sigma^2 s(x) without noise at the end", .models = networks},

      {TARN_KEY(sampling.irreversible.strength), .doc = "drift s (I + J)^T with a skew matrix J of this Frobenius norm; 0: reversible, or `matrix` as it is", .low = 0, .models = samplers},
      {TARN_KEY(sampling.irreversible.matrix), .doc = "`.npy` file `[D, D]` of J; empty: drawn from the seed", .models = samplers},

      {TARN_KEY(sampling.record.reservoir), .doc = "run the reservoir's own dynamics and keep the activity of its neurons", .models = networks},
      {TARN_KEY(sampling.record.neurons), .doc = "which neurons", .models = networks, .check = check_neurons},
      {TARN_KEY(sampling.record.every), .doc = "activity is kept with every so many kept draws", .unit = "draws", .low = 1, .high = kMaxCount, .models = networks},
      {TARN_KEY(sampling.record.projections), .doc = "`.npy` file `[n, N]`: keep the activity's projections on these vectors instead; empty: none", .models = networks},

      {TARN_KEY(sampling.diagnostics.outputs), .doc = "live diagnostics watch the first so many outputs, and |x|^2 (`hee`: units of `x_0` where chains generate, of the latents where data are given); 0: none", .low = 0, .high = 64},
      {TARN_KEY(sampling.diagnostics.every), .doc = "steps between two looks at the chains; 0: chosen by the size of the network, so that looking costs about 1 % (docs/diagnostics.md)", .unit = "steps", .low = 0, .high = kMaxCount},

      {TARN_KEY(checkpoint.minutes), .doc = "a checkpoint is written this often, and at every level's end", .unit = "min", .low = 0, .low_excluded = true},
      {TARN_KEY(checkpoint.keep), .doc = "the last so many checkpoints are kept", .low = 1, .high = 1000000},

      {TARN_KEY(evaluation.metrics), .doc = "`kl`, `w1`, `score_error`: against the exact law, one dimension; `quadrature`: the learned score's stationary law, without chains; `moments`; `beyond`: share of chains beyond 1.2 times the largest norm in the data",
       .choices = {"kl", "w1", "score_error", "quadrature", "moments", "beyond"}, .models = samplers, .recipe = true},
      {TARN_KEY(evaluation.compare), .doc = "one-dimensional laws: networks that are trained and run on the same data and shown beside this one, each with the best fit of its class; `:tanh` gives the nonlinearity, else that of the model",
       .choices = {"sampler_only_sc", "sampler_only_fr", "sampler_only_sc:tanh", "sampler_only_fr:tanh"}, .models = networks},
      {TARN_KEY(evaluation.accelerate), .doc = "laws in the plane: strengths |J| of irreversible drifts; the trained network runs with each and without, and W1 against time, autocorrelation times and the shift of the law are reported; empty: none", .low = 0, .low_excluded = true, .models = networks},
      {TARN_KEY(evaluation.accelerate_time), .doc = "how long those runs go on after the time of [sampling], for the autocorrelation times: ten times the longest or more", .unit = "tau", .low = 0, .low_excluded = true, .models = networks},
      {TARN_KEY(evaluation.accelerate_chains), .doc = "on how many of the chains", .unit = "chains", .low = 1, .high = kMaxCount, .models = networks},
      {TARN_KEY(evaluation.adaptation), .doc = "laws on which inference with adaptation as momentum is compared with the plain dynamics, each method at its best step: `posterior`: of the trained model, given data; `gaussian`: in ten dimensions, of condition number 100; empty: none", .choices = {"posterior", "gaussian"}, .models = hee},
      {TARN_KEY(evaluation.adaptation_data), .doc = "`posterior`: the first so many data", .low = 1, .high = 65536, .models = hee},
      {TARN_KEY(evaluation.adaptation_chains), .doc = "chains in all, shared evenly by the data, two each or more", .unit = "chains", .low = 16, .high = 1048576, .models = hee},
      {TARN_KEY(evaluation.likelihood_data), .doc = "log likelihood of the first so many data, by annealed importance sampling: of an `hee` over the latents of each datum, of `rbm` and `ebm` for log Z; 0: none", .low = 0, .high = 1048576, .models = with_likelihood},
      {TARN_KEY(evaluation.likelihood_chains), .doc = "... importance weights (of a datum; of log Z): more make the interval shorter", .unit = "chains", .low = 2, .high = 65536, .models = with_likelihood},
      {TARN_KEY(evaluation.likelihood_temperatures), .doc = "... laws on the way (from prior to posterior; from a Gaussian with the data's variances to the model): more make the weights alike", .low = 2, .high = 1048576, .models = with_likelihood},
      {TARN_KEY(evaluation.generation), .doc = "ways to generate whose draws are compared with ancestral ones over budgets of matrix products, from noise and from the prior, by the step of [inference], with momentum by one of sqrt(2 dt) where dt is that of plain steps; empty: none", .choices = {"joint", "marginal", "layerwise", "joint:momentum", "marginal:momentum", "layerwise:momentum"}, .models = hee},
      {TARN_KEY(evaluation.generation_budget), .doc = "the largest budget of a chain: products of a row with a weight matrix", .unit = "products", .low = 1, .high = kMaxCount, .models = hee},
      {TARN_KEY(evaluation.generation_chains), .doc = "chains that each of them takes", .unit = "chains", .low = 4, .high = 1048576, .models = hee},
      {TARN_KEY(evaluation.inpaint), .doc = "what of an image is hidden and inferred from the rest: `left`, `right`, `top`, `bottom`, or a mask `.npy` of the shape of an image (or of a datum) that is not 0 where it hides; empty: nothing", .models = hee},
      {TARN_KEY(evaluation.denoise), .doc = "standard deviations of noise that is put on data and taken off again, in the units that they have after `data.scaling`; empty: none", .low = 0, .low_excluded = true, .models = hee},
      {TARN_KEY(evaluation.restore_path), .doc = "inpainting and denoising: images that training has not seen, of the format of `data.kind`, or `.npy` in the data's own units; empty: the run's own data", .kinds = items_or_patches, .models = hee},
      {TARN_KEY(evaluation.restore_data), .doc = "... the first so many", .low = 1, .high = 65536, .models = hee},
      {TARN_KEY(evaluation.restore_chains), .doc = "... by so many chains each, over which the posterior mean is averaged", .unit = "chains", .low = 1, .high = 65536, .models = hee},
      {TARN_KEY(evaluation.restore_steps), .doc = "... each so long, from noise; the second half is averaged", .unit = "steps", .low = 2, .high = kMaxCount, .models = hee},
      {TARN_KEY(evaluation.grid), .doc = "images: rows and columns of the grid of samples", .low = 1, .high = 100},
      {TARN_KEY(evaluation.mixture), .doc = "images: components of the Gaussian mixture that draws are read against, at most one for five rows a dimension; 0: none", .low = 0, .high = 10000},
      {TARN_KEY(evaluation.classifier), .doc = "images: classifier whose features and classes draws are judged by; `auto`: trained on half of the labelled images with the seed of the run; otherwise a file of `tarn train-classifier`; empty: none. `hee`: with a `sampling.mode` that generates"},
      {TARN_KEY(evaluation.last_level_steps), .doc = "images: further steps at the last level, judged beside the samples; 0: none", .unit = "steps", .low = 0, .high = kMaxCount, .models = networks, .recipe = true},
      {TARN_KEY(evaluation.last_level_chains), .doc = "images: the first so many chains take those further steps", .low = 1, .high = kMaxCount, .models = networks},
      {TARN_KEY(evaluation.half_step), .doc = "some chains go on from their end with steps dt and dt/2 on one Brownian path: what the step does to mean and spread", .models = networks},
      {TARN_KEY(evaluation.neurons), .doc = "where activity was recorded (`sampling.record.reservoir`): tuning curves, rates, noise correlations, time scales and spectra of the neurons (docs/neurons.md)", .models = networks},

      {TARN_KEY(sweep.study), .doc = "`capacity`: reservoir-samplers of many sizes on several laws (docs/capacity.md); `learning`: learning curves of several models on one data set (docs/rivals.md)", .choices = {"capacity", "learning"}, .of_sweeps = true},
      {TARN_KEY(sweep.looks), .doc = "`learning`: how often each model is judged on its way, at steps that grow geometrically", .low = 2, .high = 100, .of_sweeps = true},
      {TARN_KEY(sweep.test_items), .doc = "`learning`: the last so many items are held out of training and judged on", .unit = "items", .low = 100, .high = 16777216, .of_sweeps = true},
      {TARN_KEY(sweep.levels), .doc = "`learning`: log likelihoods whose first reach is reported, above that of independent normals with the data's moments", .unit = "nats a datum", .of_sweeps = true},
      {TARN_KEY(sweep.neurons), .doc = "sizes of the reservoir, N", .low = 1, .high = 16777216, .of_sweeps = true},
      {TARN_KEY(sweep.seeds), .doc = "every network is trained with so many seeds, from `run.seed` up", .low = 1, .high = 1000, .of_sweeps = true},
      {TARN_KEY(sweep.rivals), .doc = "sampler-only networks that are trained and judged alike, and the best fit of each class", .choices = {"sampler_only_sc", "sampler_only_fr"}, .of_sweeps = true},
      {TARN_KEY(sweep.points), .doc = "D > 1: exact draws over which a score error is averaged", .unit = "draws", .low = 100, .high = 16777216, .of_sweeps = true},
      {TARN_KEY(sweep.cells), .doc = "D > 1: cells of equal probability by which a KL divergence is told; a power of two", .low = 2, .high = 65536, .of_sweeps = true},
      {TARN_KEY(sweep.best_fit_points), .doc = "D > 1: exact draws to which the best of a class is fitted", .unit = "draws", .low = 100, .high = 16777216, .of_sweeps = true},
      {TARN_KEY(sweep.best_fit_starts), .doc = "starts of that fit (`sampler_only_fr`), the best of which counts", .low = 1, .high = 100000, .of_sweeps = true},
  };
  // clang-format on
}
#undef TARN_KEY

std::vector<KeySpec> make_layer_schema() {
  std::vector<std::string_view> couplings{"identity"};
  couplings.insert(couplings.end(), nonlinearity_names.begin(), nonlinearity_names.end());
  // clang-format off
  return {
      {TARN_LAYER_KEY(size), .doc = "units; `auto`: the dimension of the data, for the observation only", .low = 1, .high = 16777216, .automatic = true},
      {TARN_LAYER_KEY(family), .doc = "law of a unit given the layer above (docs/hee.md)", .choices = {family_names.begin(), family_names.end()}},
      {TARN_LAYER_KEY(s), .doc = "standard deviation", .low = 0, .low_excluded = true, .families = {"gaussian", "rectified"}},
      {TARN_LAYER_KEY(rate), .doc = "lambda, the rate of the exponential tails; eta stays within 0.9 lambda", .low = 0, .low_excluded = true, .families = {"laplace"}},
      {TARN_LAYER_KEY(width), .doc = "d, the width of the rounded peak", .low = 0, .low_excluded = true, .families = {"laplace", "laplace_scale"}},
      {TARN_LAYER_KEY(c), .doc = "c of the well -x^4/4 + c x^2/2; two wells where it is above 0", .low = -100, .high = 3, .families = {"quartic"}},
      {TARN_LAYER_KEY(eta), .doc = "natural parameter of each unit at zero input before training; 1 for the scale families where it is left out"},
      {TARN_LAYER_KEY(nonlinearity), .doc = "f through which the layer drives the one below; not for the observation", .choices = couplings},
      {TARN_LAYER_KEY(lr), .doc = "factor of `training.optimizer.lr` for the weights through which it does; 0: they stay as they are", .low = 0},
  };
  // clang-format on
}
#undef TARN_LAYER_KEY

constexpr std::size_t kLongestWord = 64;  // beyond it no key is near, and comparing with all of them takes long

/// Levenshtein distance of words of at most `kLongestWord` letters, with a swap of neighbours as one edit; upper and lower case
/// are equal. Exact up to `most`; a larger one is `most + 1`, which is known long before the end for words that are not alike.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t most = kLongestWord) {
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > most) return most + 1;
  using Row = std::array<std::size_t, kLongestWord + 1>;
  std::array<char, kLongestWord> x{}, y{};
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  std::transform(a.begin(), a.end(), x.begin(), lower);
  std::transform(b.begin(), b.end(), y.begin(), lower);
  Row rows[3];  // of the table, the present one and the two before it
  for (std::size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    Row &row = rows[i % 3], &above = rows[(i + 2) % 3], &two_above = rows[(i + 1) % 3];
    row[0] = i;
    std::size_t least = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = x[i - 1] == y[j - 1];
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1])
        row[j] = std::min(row[j], two_above[j - 2] + 1);
      least = std::min(least, row[j]);
    }
    // Later rows come from this one, or by a swap from the one above it, whose least is smaller by one at most.
    if (least > most) return most + 1;
  }
  return std::min(rows[a.size() % 3][b.size()], most + 1);
}

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

std::string number_words(double value) {
  int exponent = 0;
  if (value >= 65536.0 && std::frexp(value, &exponent) == 0.5) return fmt::format("2^{}", exponent - 1);
  return fmt::format("{}", value);
}

std::string range_words(const KeySpec& key) {
  std::string text;
  if (std::isfinite(key.low)) text += fmt::format(" {} {}", key.low_excluded ? ">" : ">=", number_words(key.low));
  if (std::isfinite(key.high)) {
    text += fmt::format("{} {} {}", text.empty() ? "" : " and", key.high_excluded ? "<" : "<=", number_words(key.high));
  }
  return text;
}

struct TypeWords {
  const KeySpec& key;
  std::string operator()(bool*) const { return "true or false"; }
  std::string operator()(std::int64_t*) const {
    return (key.automatic ? "\"auto\" or integer" : "integer") + range_words(key);
  }
  std::string operator()(std::uint64_t*) const { return "integer" + range_words(key); }
  std::string operator()(double*) const { return "number" + range_words(key); }
  std::string operator()(std::string*) const { return "string"; }
  std::string operator()(std::vector<std::int64_t>*) const { return "list of integers" + range_words(key); }
  std::string operator()(std::vector<double>*) const {
    return (key.one_or_many ? "number or list of numbers" : "list of numbers") + range_words(key);
  }
  std::string operator()(std::vector<std::vector<double>>*) const {
    return "list of lists of numbers" + range_words(key);
  }
  std::string operator()(std::vector<std::vector<std::vector<double>>>*) const {
    return "list of matrices" + range_words(key);
  }
  std::string operator()(std::vector<std::string>*) const { return "list of strings"; }
};

}  // namespace

std::string KeySpec::allowed() const {
  Config config;
  LayerConfig layer;
  const KeySlot type = layer_slot != nullptr ? layer_slot(layer) : slot(config);
  if (check != nullptr) return check("\n");  // no string of ours may hold a line break
  if (choices.empty()) return std::visit(TypeWords{*this}, type);
  std::string text = std::holds_alternative<std::string*>(type) ? "one of: " : "list of: ";
  for (std::size_t i = 0; i < choices.size(); ++i) text += (i == 0 ? "" : ", ") + std::string(choices[i]);
  return text;
}

namespace {

bool fits(const std::vector<std::string_view>& allowed, const std::string& value) {
  return allowed.empty() || std::find(allowed.begin(), allowed.end(), value) != allowed.end();
}

}  // namespace

bool KeySpec::applies_to(const Config& config) const {
  if (of_sweeps) return is_sweep(config);
  return fits(kinds, config.data.kind) && fits(filters, config.filter.kind) && fits(models, config.model.kind);
}

bool KeySpec::applies_to(const LayerConfig& layer) const { return fits(families, layer.family); }

const std::vector<KeySpec>& config_schema() {
  static const std::vector<KeySpec> schema = make_schema();
  return schema;
}

const std::vector<KeySpec>& layer_schema() {
  static const std::vector<KeySpec> schema = make_layer_schema();
  return schema;
}

const KeySpec* find_key(std::string_view name) {
  for (const KeySpec& key : config_schema()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

const KeySpec* find_layer_key(std::string_view name) {
  for (const KeySpec& key : layer_schema()) {
    if (last_part(key.name) == name) return &key;
  }
  return nullptr;
}

std::string nearest_word(std::string_view word, const std::vector<std::string_view>& words) {
  if (word.empty() || word.size() > kLongestWord) return "";
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (std::string_view candidate : words) {
    const std::size_t distance = edit_distance(word, candidate, best_distance - 1);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return std::string(best);
}

std::string nearest_key(std::string_view name) {
  if (name.empty() || name.size() > kLongestWord) return "";
  const KeySpec* best = nullptr;
  // A right last part in the wrong table counts less than two edits; among such keys one in a table below the named one
  // wins, and else the one in the most similar table.
  const std::string_view table = name.substr(0, name.size() - last_part(name).size());
  const auto distance = [&](std::string_view other) {
    return !table.empty() && other.starts_with(table) ? 0 : edit_distance(name, other);
  };
  std::size_t best_score = 2 * std::max<std::size_t>(2, name.size() / 4) + 1;
  std::vector<const KeySpec*> keys;
  for (const auto* schema : {&config_schema(), &layer_schema()}) {
    for (const KeySpec& key : *schema) keys.push_back(&key);
  }
  for (const KeySpec* candidate : keys) {
    const KeySpec& key = *candidate;
    const std::size_t whole = 2 * edit_distance(name, key.name, best_score / 2);
    const std::size_t allowed_part = last_part(name).size() >= 5 ? 1 : 0;
    const std::size_t part = edit_distance(last_part(name), last_part(key.name), allowed_part);
    const std::size_t score = part <= allowed_part ? std::min(whole, 3 + part) : whole;
    const bool closer_table = best != nullptr && score == best_score && distance(key.name) < distance(best->name);
    if (score < best_score || closer_table) {
      best = &key;
      best_score = score;
    }
  }
  return best == nullptr ? "" : std::string(best->name);
}

}  // namespace tarn
