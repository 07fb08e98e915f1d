#include <algorithm>
#include <charconv>
#include <cmath>

#include "config_check.hpp"
#include "config_value.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/nonlinearity.hpp"
#include "tarn/experiment/config.hpp"
#include "tarn/experiment/config_schema.hpp"
#include "tarn/models/initial_weights.hpp"

namespace tarn {
namespace {

/// Fills keys that were neither given nor filled before, and remembers which.
class Filler {
 public:
  explicit Filler(Config& config) : config_(config) {}

  bool is_open(const std::string& name) const { return !config_.was_given(name) && !config_.filled.contains(name); }

  template <class T, class Value>
  void fill(const std::string& name, T& slot, const Value& value) {
    if (!is_open(name)) return;
    slot = T(value);  // by move: g++ 12 warns falsely about assigning a literal to a string here
    config_.filled.insert(name);
    names_.insert(name);
  }

  /// Counts a key that was filled before among those filled now.
  void note(const std::string& name) {
    if (config_.filled.contains(name)) names_.insert(name);
  }
  bool filled_any() const { return !names_.empty(); }

  /// One line a TOML table: what was filled now.
  std::vector<std::string> lines() const {
    std::vector<std::string> out;
    std::string table;
    for (const KeySpec& key : config_schema()) {
      const std::string name(key.name);
      if (!names_.contains(name)) continue;
      const std::size_t dot = name.rfind('.');
      if (name.substr(0, dot) != table) {
        table = name.substr(0, dot);
        out.push_back(fmt::format("[{}]", table));
        out.back() += ' ';
      } else {
        out.back() += ", ";
      }
      out.back() += fmt::format("{} = {}", name.substr(dot + 1), value_text(key, config_));
    }
    return out;
  }

 private:
  Config& config_;
  std::set<std::string> names_;
};

/// Epochs that come nearest to a number of training steps.
std::int64_t epochs_for(std::int64_t n_steps, const DataFacts& facts, std::int64_t batch_size) {
  const double per_epoch = static_cast<double>(std::max<std::int64_t>(1, facts.n_items / batch_size));
  return std::max<std::int64_t>(1, std::llround(static_cast<double>(n_steps) / per_epoch));
}

/// To twelve digits, so that a product of round numbers is written as one.
double rounded(double value) {
  const std::string text = fmt::format("{:.12g}", value);
  std::from_chars(text.data(), text.data() + text.size(), value);  // stod would listen to the locale
  return value;
}

bool is_sampler_only(const Config& config) { return config.model.kind.starts_with("sampler_only"); }

/// Keys that both recipes fill alike.
void fill_common(Config& config, const DataFacts& facts, Filler& filler) {
  if (is_sampler_only(config)) filler.fill("model.neurons", config.model.neurons, facts.n_outputs);
  std::vector<std::string> metrics{"moments", "beyond"};
  if (facts.n_outputs == 1 && facts.n_inputs == 0 && is_synthetic(config.data))
    metrics = {"kl", "w1", "score_error", "quadrature", "moments", "beyond"};
  filler.fill("evaluation.metrics", config.evaluation.metrics, metrics);
  filler.fill("evaluation.last_level_steps", config.evaluation.last_level_steps, facts.is_image ? 2000 : 0);
}

/// Levels at the recommended spacing. Small D: so many a decade. Larger: 1.8 times the count of Song and Ermon's rule,
/// which gives the 33 levels that were measured to do better than 18 at D = 100.
std::int64_t recommended_levels(const NoiseConfig& noise, std::int64_t n_outputs, std::string& why) {
  const double ratio = noise.first / noise.last;
  if (n_outputs <= 16) {
    const double intervals = n_outputs <= 2 ? 5.0 : 9.5;
    why = fmt::format("{} intervals a decade at D = {}", intervals, n_outputs);
    return 1 + std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(intervals * std::log10(ratio) - 1e-9)));
  }
  const std::int64_t least = song_ermon_levels(n_outputs, noise.first, noise.last);
  why = fmt::format("1.8 times the {} of Song and Ermon's overlap rule at D = {}", least, n_outputs);
  return (9 * least + 4) / 5;
}

void fill_recommended_noise(Config& config, const DataFacts& facts, Filler& filler, std::vector<std::string>& lines) {
  NoiseConfig& noise = config.training.noise;
  const std::int64_t D = facts.n_outputs;
  filler.fill("training.noise.first", noise.first, 1.0);
  filler.fill("training.noise.last", noise.last, D <= 2 ? 0.1 : D <= 16 ? 0.01 : 0.02);
  filler.fill("training.noise.ending", noise.ending, "inclusive");
  filler.fill("training.noise.antithetic", noise.antithetic, D <= 2);
  if (!filler.is_open("training.noise.levels")) return;
  std::string why = "a single level";
  std::int64_t levels = 1;
  if (noise.schedule != "single") {
    NoiseConfig ends = noise;
    ends.levels = 2;
    noise_levels(ends);  // refuses last >= first
    levels = recommended_levels(noise, D, why);
  }
  filler.fill("training.noise.levels", noise.levels, levels);
  lines.push_back(fmt::format("{} noise levels from {} to {}: {}", levels, noise.first, noise.last, why));
}

void fill_recommended_training(Config& config, const DataFacts& facts, Filler& filler) {
  TrainingConfig& training = config.training;
  const std::int64_t D = facts.n_outputs;
  const double sqrt_d = std::sqrt(static_cast<double>(D));
  filler.fill("model.neurons", config.model.neurons, D <= 16 ? 1000 : 2000);

  std::int64_t batch = D <= 2 ? 256 : 128;
  while (batch > facts.n_items && batch > 1) batch /= 2;
  filler.fill("training.batch_size", training.batch_size, batch);
  // 60000 steps in small dimensions; 15000 are 32 epochs of 60000 images.
  filler.fill("training.epochs", training.epochs, epochs_for(D <= 16 ? 60000 : 15000, facts, training.batch_size));

  OptimizerConfig& optimizer = training.optimizer;
  // Larger D: one course through all levels, at a rate that never falls, and a mean over some 500 steps in place of cooling. Compared
  // with a cosine from 2e-3 and fresh moments in each level this lowers the loss of every level (docs/models.md, section 4).
  const bool in_one_course = D > 16;
  filler.fill("training.optimizer.lr", optimizer.lr, in_one_course ? 5e-4 : 2e-3);
  filler.fill("training.optimizer.lr_schedule", optimizer.lr_schedule, in_one_course ? "constant" : "cosine");
  filler.fill("training.optimizer.weight_decay", optimizer.weight_decay, 0.0);
  filler.fill("training.optimizer.amsgrad", optimizer.amsgrad, false);
  filler.fill("training.optimizer.ema", optimizer.ema, D <= 2 ? 0.999 : D <= 16 ? 0.995 : 0.998);
  filler.fill("training.optimizer.restart_per_level", optimizer.restart_per_level, !in_one_course);

  QualityConfig& quality = training.quality;
  const bool plain = is_sampler_only(config);  // no output weights to scale, no points to confine with
  filler.fill("training.quality.output_scaling", quality.output_scaling, D <= 2 || plain ? "none" : "inverse_sigma2");
  const std::int64_t points = std::max<std::int64_t>(1, (8 * training.batch_size + 64) / 128);
  filler.fill("training.quality.confinement", quality.confinement, plain ? 0 : points);
  filler.fill("training.quality.confinement_pull", quality.confinement_pull,
              plain     ? 0.0
              : D <= 2  ? 0.03
              : D <= 16 ? 0.1
                        : 0.3);
  filler.fill("training.quality.input_gain", quality.input_gain, D <= 2 || plain ? 1.0 : D <= 16 ? 2.0 : 1.5);
  filler.fill("training.quality.bias_gain", quality.bias_gain, D <= 2 || plain ? 1.0 : D <= 16 ? sqrt_d : 1.5);
  const bool pairs =
      D > 16 && !plain && training.init.empty() && pairs_are_straight(parse_nonlinearity(config.model.nonlinearity));
  filler.fill("training.quality.start", quality.start, pairs ? "pairs" : "random");
}

void fill_recommended_sampling(Config& config, const DataFacts& facts, Filler& filler) {
  SamplingConfig& sampling = config.sampling;
  const std::int64_t D = facts.n_outputs;
  filler.fill("sampling.chains", sampling.chains, D <= 2 ? 10000 : D <= 16 ? 5000 : 2000);
  filler.fill("sampling.schedule", sampling.schedule, "annealed");
  const bool annealed = sampling.schedule == "annealed";
  const double last = noise_levels(config.training.noise).back();
  const double unit = sampling.integrator == "baoab" ? last : last * last;
  filler.fill("sampling.dt", sampling.dt, rounded(sampling.annealed.dt0 * unit));
  filler.fill("sampling.steps", sampling.steps, 10000);
  filler.fill("sampling.thin", sampling.thin, annealed ? 0 : std::max<std::int64_t>(1, sampling.steps / 100));
  filler.fill("sampling.annealed.steps_per_level", sampling.annealed.steps_per_level, D <= 2 ? 30 : D <= 16 ? 10 : 5);
  filler.fill("sampling.initial.kind", sampling.initial.kind, "normal");
  filler.fill("sampling.initial.space", sampling.initial.space, "x");
  // Annealed chains start from noise of the first level, others with the RMS norm of scaled data, 1.
  const double std = annealed ? noise_levels(config.training.noise).front() : 1.0 / std::sqrt(static_cast<double>(D));
  filler.fill("sampling.initial.std", sampling.initial.std, std);
}

/// One experiment of arXiv 2308.11809 as its reference ran it.
struct PublishedRow {
  std::string_view name;
  std::int64_t neurons, batch_size;
  double lr, weight_decay;
  bool amsgrad, restart_per_level;
  double last;
  std::string_view ending;
  std::int64_t chains, steps;
  double dt;
};

constexpr PublishedRow kDoublePeak{"double peak", 1000, 32,          1e-4, 1e-3,  true,
                                   true,          0.02, "exclusive", 5000, 10000, 1e-4};
constexpr PublishedRow kLaplaceCross{"Laplace cross", 1000, 64,          1e-4,  5e-5,  false,
                                     false,           0.01, "exclusive", 10000, 20000, 1e-4};
constexpr PublishedRow kMnist{"MNIST", 20000, 64, 5e-4, 1e-4, false, true, 0.02, "inclusive", 100, 15000, 1e-5};
constexpr PublishedRow kCifar{"CIFAR-10", 20000, 64, 5e-4, 1e-4, false, false, 0.01, "inclusive", 100, 5000, 1e-6};

const PublishedRow& published_row(const Config& config, const DataFacts& facts) {
  if (facts.n_outputs == 1) return kDoublePeak;
  if (facts.n_outputs == 2 && !facts.is_image)
    return config.data.kind == "laplace_mixture" ? kLaplaceCross : kDoublePeak;
  return config.data.kind == "cifar10" ? kCifar : kMnist;
}

void fill_published(Config& config, const DataFacts& facts, Filler& filler, std::vector<std::string>& lines) {
  const PublishedRow& row = published_row(config, facts);
  const bool image_row = &row == &kMnist || &row == &kCifar;
  lines.push_back(fmt::format("published settings of the {} experiment (arXiv 2308.11809)", row.name));
  TrainingConfig& training = config.training;
  filler.fill("model.neurons", config.model.neurons, row.neurons);
  filler.fill("training.epochs", training.epochs, 1000);
  filler.fill("training.batch_size", training.batch_size, row.batch_size);
  const bool single = training.noise.schedule == "single";
  filler.fill("training.noise.levels", training.noise.levels, single ? 1 : 10);
  filler.fill("training.noise.first", training.noise.first, 1.0);
  filler.fill("training.noise.last", training.noise.last, row.last);
  filler.fill("training.noise.ending", training.noise.ending, row.ending);
  filler.fill("training.noise.antithetic", training.noise.antithetic, false);

  OptimizerConfig& optimizer = training.optimizer;
  filler.fill("training.optimizer.lr", optimizer.lr, row.lr);
  filler.fill("training.optimizer.lr_schedule", optimizer.lr_schedule, "constant");
  filler.fill("training.optimizer.weight_decay", optimizer.weight_decay, row.weight_decay);
  filler.fill("training.optimizer.amsgrad", optimizer.amsgrad, row.amsgrad);
  filler.fill("training.optimizer.ema", optimizer.ema, 0.0);
  filler.fill("training.optimizer.restart_per_level", optimizer.restart_per_level, row.restart_per_level);

  QualityConfig& quality = training.quality;
  filler.fill("training.quality.output_scaling", quality.output_scaling, "none");
  filler.fill("training.quality.confinement", quality.confinement, 0);
  filler.fill("training.quality.confinement_pull", quality.confinement_pull, 0.0);
  filler.fill("training.quality.input_gain", quality.input_gain, 1.0);
  filler.fill("training.quality.bias_gain", quality.bias_gain, 1.0);
  filler.fill("training.quality.start", quality.start, "random");

  SamplingConfig& sampling = config.sampling;
  filler.fill("sampling.chains", sampling.chains, row.chains);
  filler.fill("sampling.schedule", sampling.schedule, "last_level");
  filler.fill("sampling.steps", sampling.steps, row.steps);
  filler.fill("sampling.dt", sampling.dt, row.dt);
  filler.fill("sampling.thin", sampling.thin, 100);
  filler.fill("sampling.annealed.steps_per_level", sampling.annealed.steps_per_level, 100);
  filler.fill("sampling.initial.kind", sampling.initial.kind, image_row ? "normal" : "uniform");
  const bool random = sampling.initial.kind == "uniform" || sampling.initial.kind == "normal";
  filler.fill("sampling.initial.space", sampling.initial.space, is_sampler_only(config) || !random ? "x" : "r");
  filler.fill("sampling.initial.std", sampling.initial.std, image_row ? 1e-3 : 1.0);
}

/// The two keys whose "auto" is no matter of a recipe.
void fill_automatic(Config& config, const DataFacts& facts, std::vector<std::string>& lines) {
  LayerConfig& observation = config.model.layers.front();
  InferenceConfig& inference = config.inference;
  if (observation.size == 0) {
    observation.size = facts.n_outputs;
    lines.push_back(fmt::format("model.layers[0].size = {}, from the data", observation.size));
  }
  if (inference.window == 0) {
    inference.window = std::max<std::int64_t>(1, inference.steps / 2);
    lines.push_back(fmt::format("inference.window = {}, half of the steps", inference.window));
  }
}

void fill_hee(Config& config, const DataFacts& facts, Filler& filler) {
  TrainingConfig& training = config.training;
  std::int64_t batch = 256;
  while (batch > facts.n_items && batch > 1) batch /= 2;
  filler.fill("training.batch_size", training.batch_size, batch);
  filler.fill("training.epochs", training.epochs, epochs_for(2600, facts, training.batch_size));
  filler.fill("training.optimizer.lr", training.optimizer.lr, training.optimizer.kind == "plain" ? 0.3 : 1e-2);
  filler.fill("training.optimizer.lr_schedule", training.optimizer.lr_schedule, "constant");
  SamplingConfig& sampling = config.sampling;
  const std::int64_t per_datum = config.inference.chains_per_datum;
  filler.fill("sampling.chains", sampling.chains,
              per_datum * std::min<std::int64_t>(training.batch_size, facts.n_items));
  // Marginal generation: in whole rounds of inner steps.
  const std::int64_t K = sampling.mode == "marginal" ? sampling.inner_steps : 1;
  filler.fill("sampling.steps", sampling.steps, (10 * config.inference.steps + K - 1) / K * K);
  filler.fill("sampling.thin", sampling.thin, (config.inference.steps + K - 1) / K * K);
  if (sampling.mode == "layerwise" || sampling.mode == "ancestral")
    sampling.thin = sampling.burn_in = 0;  // one draw a chain
}

/// Settings that were found to do well with docs/rivals.md; the data have RMS norm 1, or the keys are given.
void fill_energy_based(Config& config, const DataFacts& facts, Filler& filler) {
  const double sqrt_d = std::sqrt(static_cast<double>(facts.n_outputs));
  TrainingConfig& training = config.training;
  filler.fill("model.neurons", config.model.neurons, facts.n_outputs <= 16 ? 128 : 512);
  filler.fill("model.s", config.model.s, rounded(0.5 / sqrt_d));
  std::int64_t batch = 128;
  while (batch > facts.n_items && batch > 1) batch /= 2;
  filler.fill("training.batch_size", training.batch_size, batch);
  filler.fill("training.epochs", training.epochs, epochs_for(15000, facts, training.batch_size));
  const double variance = config.model.s * config.model.s;
  ContrastiveConfig& contrastive = training.contrastive;
  filler.fill("training.contrastive.particles", contrastive.particles, training.batch_size);
  filler.fill("training.contrastive.steps", contrastive.steps, config.model.kind == "rbm" ? 1 : 20);
  if (config.model.kind == "ebm") filler.fill("training.contrastive.dt", contrastive.dt, rounded(0.2 * variance));
  OptimizerConfig& optimizer = training.optimizer;
  filler.fill("training.optimizer.lr", optimizer.lr, 1e-3);
  filler.fill("training.optimizer.lr_schedule", optimizer.lr_schedule, "cosine");
  filler.fill("training.optimizer.weight_decay", optimizer.weight_decay, 0.0);
  filler.fill("training.optimizer.amsgrad", optimizer.amsgrad, false);
  filler.fill("training.optimizer.ema", optimizer.ema, 0.0);
  SamplingConfig& sampling = config.sampling;
  filler.fill("sampling.chains", sampling.chains, facts.n_outputs <= 16 ? 5000 : 2000);
  filler.fill("sampling.dt", sampling.dt,
              rounded(sampling.integrator == "baoab" ? 0.3 * config.model.s : 0.2 * variance));
  filler.fill("sampling.steps", sampling.steps, 10000);
  filler.fill("sampling.thin", sampling.thin, std::max<std::int64_t>(1, sampling.steps / 100));
  filler.fill("sampling.initial.kind", sampling.initial.kind, "normal");
  filler.fill("sampling.initial.std", sampling.initial.std, 1.0 / sqrt_d);
  std::vector<std::string> metrics{"moments", "beyond"};
  if (facts.n_outputs == 1 && is_synthetic(config.data))
    metrics = {"kl", "w1", "score_error", "quadrature", "moments", "beyond"};
  filler.fill("evaluation.metrics", config.evaluation.metrics, metrics);
}

}  // namespace

std::vector<std::string> resolve(Config& config, const DataFacts& facts) {
  require(facts.n_outputs >= 1 && facts.n_inputs >= 0 && facts.n_items >= 1,
          "a recipe needs data, found {} items with D = {}, U = {}", facts.n_items, facts.n_outputs, facts.n_inputs);
  std::vector<std::string> lines;
  Filler filler(config);
  if (is_hee(config.model)) {
    fill_automatic(config, facts, lines);
    fill_hee(config, facts, filler);
    check_against_data(config, facts);
    for (std::string& line : filler.lines()) lines.push_back(std::move(line));
    return lines;
  }
  if (is_energy_based(config.model)) {
    lines.push_back(fmt::format("settings of an {} for D = {} (docs/rivals.md)", config.model.kind, facts.n_outputs));
    fill_energy_based(config, facts, filler);
    check_against_data(config, facts);
    if (!filler.filled_any()) return {};
    for (std::string& line : filler.lines()) lines.push_back(std::move(line));
    return lines;
  }
  fill_common(config, facts, filler);
  if (config.training.recipe == "published") {
    fill_published(config, facts, filler, lines);
  } else {
    const char* column = facts.n_outputs <= 2 ? "D <= 2" : facts.n_outputs <= 16 ? "D <= 16" : "larger D, images";
    lines.push_back(
        fmt::format("recommended settings for D = {} (column \"{}\" of docs/config.md)", facts.n_outputs, column));
    fill_recommended_noise(config, facts, filler, lines);
    fill_recommended_training(config, facts, filler);
    fill_recommended_sampling(config, facts, filler);
  }
  check_against_data(config, facts);
  if (!filler.filled_any()) return {};
  filler.note("data.scaling");  // filled when the file was read
  const std::vector<std::string> filled = filler.lines();
  lines.insert(lines.end(), filled.begin(), filled.end());
  return lines;
}

}  // namespace tarn
