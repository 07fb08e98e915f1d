#include "tarn/experiment/config.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config_check.hpp"
#include "config_value.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/config_schema.hpp"

namespace tarn {
namespace {

constexpr std::uintmax_t kLargestFile = 1 << 20;  // bytes; a config is written by hand

/// "run", "training", "training.noise", ...
const std::vector<std::string_view>& table_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> found;
    for (const KeySpec& key : config_schema()) {
      const std::string_view table = key.name.substr(0, key.name.rfind('.'));
      if (std::find(found.begin(), found.end(), table) == found.end()) found.push_back(table);
    }
    return found;
  }();
  return names;
}

bool is_table_name(std::string_view name) {
  return std::find(table_names().begin(), table_names().end(), name) != table_names().end();
}

/// A key as it stands in messages: quoted where it is not a bare TOML key, cut where it is long.
std::string printable(std::string_view name) {
  bool bare = !name.empty() && name.size() <= 100;
  for (const char c : name) bare = bare && (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-');
  return bare ? std::string(name) : quoted(std::string(name.substr(0, 100)));
}

[[noreturn]] void fail_unknown(const std::string& where, const std::string& name) {
  std::string near = nearest_key(name);
  if (near.empty()) near = nearest_word(name, table_names());
  if (!near.empty()) fail_usage("{}: unknown key {}; did you mean {}?", where, name, near);
  fail_usage("{}: unknown key {}; all keys are listed in docs/config.md", where, name);
}

/// "auto" leaves a key to the recipe, as if it had not been given.
void remember(const KeySpec& spec, const std::string& where, Config& config) {
  if (spec.automatic && value_text(spec, config) == "\"auto\"") {
    config.given.erase(std::string(spec.name));
  } else {
    config.given[std::string(spec.name)] = where;
  }
}

/// `model.layers[1].size`, as it stands in `Config::given` and in messages.
std::string layer_key(std::size_t layer, std::string_view key) {
  return fmt::format("model.layers[{}].{}", layer, key);
}

[[noreturn]] void fail_unknown_layer_key(const std::string& where, const std::string& name) {
  std::vector<std::string_view> words;
  for (const KeySpec& key : layer_schema()) words.push_back(key.name.substr(key.name.rfind('.') + 1));
  const std::string near = nearest_word(name.substr(name.rfind('.') + 1), words);
  if (!near.empty())
    fail_usage("{}: unknown key {}; did you mean {}{}?", where, name, name.substr(0, name.rfind('.') + 1), near);
  fail_usage("{}: unknown key {}; a layer has: {}", where, name, listed(words));
}

/// `[[model.layers]]`, one table a layer.
void read_layers(const toml::node& node, const std::string& where, Config& config) {
  constexpr std::size_t most = 48;  // as many streams of noise as interneurons have
  const toml::array* layers = node.as_array();
  const bool tables = layers != nullptr && std::all_of(layers->begin(), layers->end(),
                                                       [](const toml::node& layer) { return layer.is_table(); });
  if (!tables || layers->empty())
    fail_usage("{}: model.layers = {}; allowed: one [[model.layers]] table a layer, the observation first", where,
               describe(node));
  if (layers->size() > most) fail_usage("{}: {} layers; allowed: up to {}", where, layers->size(), most);
  for (const toml::node& entry : *layers) {
    const std::size_t number = config.model.layers.size();
    config.model.layers.emplace_back();
    config.given[fmt::format("model.layers[{}]", number)] =
        fmt::format("{}:{}", config.source, entry.source().begin.line);
    for (const auto& [key, value] : *entry.as_table()) {
      const std::string name = layer_key(number, printable(key.str()));
      const std::string at = fmt::format("{}:{}", config.source, key.source().begin.line);
      const KeySpec* spec = find_layer_key(key.str());
      if (spec == nullptr) fail_unknown_layer_key(at, name);
      read_value(*spec, name, value, at, config.model.layers.back());
      config.given[name] = at;
    }
  }
}

void read_table(const toml::table& table, const std::string& prefix, Config& config) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + printable(key.str());
    const std::string where = fmt::format("{}:{}", config.source, key.source().begin.line);
    if (const KeySpec* spec = find_key(name)) {
      read_value(*spec, node, where, config);
      remember(*spec, where, config);
    } else if (name == "model.layers") {
      read_layers(node, where, config);
    } else if (name == "sweep.targets") {
      continue;  // read once everything that they share is known
    } else if (!is_table_name(name)) {
      fail_unknown(where, name);
    } else if (node.is_table()) {
      read_table(*node.as_table(), name + ".", config);
    } else {
      fail_usage("{}: {} = {}; allowed: a table, [{}]", where, name, describe(node), name);
    }
  }
}

/// Which layer and which key of it "model.layers[1].size" names; a null key where it is no such name.
struct NamedLayerKey {
  std::size_t layer = 0;
  const KeySpec* key = nullptr;
};

NamedLayerKey find_named_layer_key(const std::string& name, const std::string& where, const Config& config) {
  constexpr std::string_view prefix = "model.layers[";
  const std::size_t close = name.find("].");
  if (!name.starts_with(prefix) || close == std::string::npos) return {};
  NamedLayerKey found;
  const char *begin = name.data() + prefix.size(), *end = name.data() + close;
  const auto read = std::from_chars(begin, end, found.layer);
  if (read.ec != std::errc{} || read.ptr != end || found.layer >= config.model.layers.size())
    fail_usage("{}: the config has {} layers; allowed: model.layers[K].KEY with K from 0, the observation, to {}",
               where, config.model.layers.size(), static_cast<std::int64_t>(config.model.layers.size()) - 1);
  found.key = find_layer_key(std::string_view(name).substr(close + 2));
  if (found.key == nullptr) fail_unknown_layer_key(where, name);
  return found;
}

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// The value of `--set key=text`: TOML, or a bare string.
void read_override(const std::string& assignment, Config& config) {
  const std::size_t equals = assignment.find('=');
  const std::string name = trimmed(assignment.substr(0, equals));
  if (equals == std::string::npos || name.empty()) {
    fail_usage("--set {}: allowed: KEY=VALUE, as in --set training.epochs=50", assignment);
  }
  const std::string where = "--set " + name;
  const NamedLayerKey of_layer = find_named_layer_key(name, where, config);
  const KeySpec* spec = of_layer.key != nullptr ? of_layer.key : find_key(name);
  if (spec == nullptr && name == "model.layers")
    fail_usage("{}: set one key of one layer, as in --set model.layers[1].size=VALUE", where);
  if (spec == nullptr && is_table_name(name))
    fail_usage("{}: {} is a table; set one of its keys, as in --set {}.KEY=VALUE", where, name, name);
  if (spec == nullptr) fail_unknown(where, name);

  const std::string text = trimmed(assignment.substr(equals + 1));
  const KeySlot slot =
      of_layer.key != nullptr ? spec->layer_slot(config.model.layers[of_layer.layer]) : spec->slot(config);
  const bool wants_string = std::holds_alternative<std::string*>(slot);
  check_key_depth(text, where);
  toml::table parsed;
  try {
    parsed = toml::parse("value = " + text);
  } catch (const toml::parse_error&) {
    parsed.clear();
  }
  const toml::node* node = parsed.size() == 1 ? parsed.get("value") : nullptr;
  if (node == nullptr || (wants_string && !node->is_string())) {
    try {
      parsed = toml::parse("value = " + quoted(text));  // also refuses what is not UTF-8
    } catch (const toml::parse_error&) {
      fail_usage("{}: the value is not UTF-8 text", where);
    }
    node = parsed.get("value");
  }
  if (of_layer.key != nullptr) {
    read_value(*spec, name, *node, where, config.model.layers[of_layer.layer]);
    config.given[name] = where;
  } else {
    read_value(*spec, *node, where, config);
    remember(*spec, where, config);
  }
}

/// The file's stem, made fit to name a folder.
std::string name_from(const std::string& source) {
  std::string name = std::filesystem::path(source).stem().string().substr(0, 100);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '_' && c != '-') c = '_';
  }
  if (name.empty()) return "run";
  if (name[0] == '.' || name[0] == '-') name[0] = '_';
  return name;
}

/// Scaling comes before the number of dimensions is known, so it is filled here and not in `resolve`.
void fill_scaling(Config& config) {
  if (config.was_given("data.scaling")) return;
  const std::string& kind = config.data.kind;
  if (is_hee(config.model)) {  // s of the observation is in the data's own units
    config.data.scaling = "none";
  } else if (config.training.recipe == "published" && kind != "npy" && kind != "patches") {
    config.data.scaling = is_synthetic(config.data) ? "none" : kind == "cifar10" ? "divide_255" : "unit_norm";
  }
  config.filled.insert("data.scaling");
}

/// What the two kinds that have an energy do not choose: the law that chains have is the model's own, and sigmoid units are the ones
/// that both can have.
void fill_energy_based(Config& config) {
  if (!is_energy_based(config.model)) return;
  config.sampling.schedule = std::string("last_level");  // by move: g++ 12 warns falsely about assigning a literal
  if (!config.was_given("model.nonlinearity")) config.model.nonlinearity = std::string("sigmoid");
}

/// A precision cannot start at 0.
void fill_layers(Config& config) {
  for (std::size_t l = 0; l < config.model.layers.size(); ++l) {
    LayerConfig& layer = config.model.layers[l];
    if (is_scale_family(layer.family) && !config.was_given(layer_key(l, "eta"))) layer.eta = 1.0;
  }
}

/// A model of a learning study: it has a likelihood, and data of which some can be held out.
void check_learning_target(Config& target) {
  fill_scaling(target);
  fill_energy_based(target);
  fill_layers(target);
  check_file_level(target);
  const std::string& kind = target.model.kind;
  expect(kind == "hee" || kind == "rbm" || kind == "ebm", target, "model.kind",
         "\"{}\"; learning curves are of: hee, rbm, ebm", kind);
  expect(!is_synthetic(target.data) && !is_patches(target.data), target, "data.kind",
         "\"{}\"; a learning study holds items of a data set out: allowed: idx, cifar10, npy, png_folder",
         target.data.kind);
  if (!target.was_given("training.optimizer.lr_schedule")) {
    target.training.optimizer.lr_schedule = std::string("constant");
    target.filled.insert("training.optimizer.lr_schedule");
  }
  expect(target.training.optimizer.lr_schedule == "constant", target, "training.optimizer.lr_schedule",
         "\"{}\"; what is learned on the way is judged, so that allowed is: constant",
         target.training.optimizer.lr_schedule);
  expect(target.training.optimizer.ema == 0.0 || is_hee(target.model) || !target.was_given("training.optimizer.ema"),
         target, "training.optimizer.ema", "the weights themselves are judged; allowed: 0");
  expect(target.training.init.empty(), target, "training.init", "a study trains from random weights");
}

/// What a target must have, and what it has where nothing is said: it is judged by its exact score, in its own units, and by the law
/// that the last level's network has.
void check_target(Config& target) {
  if (!target.was_given("data.scaling")) target.data.scaling = "none";
  if (!target.was_given("sampling.schedule")) {
    target.sampling.schedule = "last_level";
    target.filled.insert("sampling.schedule");
  }
  check_file_level(target);
  expect(is_synthetic(target.data) && target.data.inputs == 0 && target.filter.kind == "none", target, "data.kind",
         "a target of a sweep is a synthetic law without inputs and without a filter");
  expect(target.model.kind == "reservoir_sampler", target, "model.kind",
         "\"{}\"; a sweep is of reservoir_sampler, others are named by sweep.rivals", target.model.kind);
  expect(target.data.scaling == "none", target, "data.scaling",
         "\"{}\"; networks of a sweep live in the law's own units: allowed: none", target.data.scaling);
  expect(target.sampling.schedule == "last_level", target, "sampling.schedule",
         "\"{}\"; a sweep judges the law of the last level's network: allowed: last_level", target.sampling.schedule);
  expect(target.model.irreversible == 0.0 && target.training.init.empty() && !target.sampling.record.reservoir, target,
         "model.irreversible", "a sweep trains plain networks from random weights: no trained J, init or recording");
}

/// `[[sweep.targets]]`: each is the rest of the file with its own tables on top.
void read_targets(const toml::node& node, const std::vector<std::string>& overrides, Config& config) {
  const std::string where = fmt::format("{}:{}", config.source, node.source().begin.line);
  const toml::array* entries = node.as_array();
  const bool tables = entries != nullptr && !entries->empty() && entries->size() <= 64 &&
                      std::all_of(entries->begin(), entries->end(), [](const auto& entry) { return entry.is_table(); });
  if (!tables)
    fail_usage("{}: sweep.targets = {}; allowed: one [[sweep.targets]] table a law, 1 to 64", where, describe(node));
  Config shared = config;
  std::erase_if(shared.given, [](const auto& key) { return key.first.starts_with("sweep."); });
  for (const toml::node& entry : *entries) {
    toml::table own = *entry.as_table();
    Config target = shared;
    const std::string at = fmt::format("{}:{}", config.source, entry.source().begin.line);
    const toml::node* name = own.get("name");
    if (name == nullptr) fail_usage("{}: a target needs a name, as in name = \"double_peak\"", at);
    read_value(*find_key("run.name"), *name, fmt::format("{}:{}", config.source, name->source().begin.line), target);
    own.erase("name");
    for (const char* table : {"run", "checkpoint", "sweep"}) {
      if (own.contains(table)) fail_usage("{}: [{}] belongs to the whole sweep, not to a target", at, table);
    }
    read_table(own, "", target);
    for (const std::string& assignment : overrides) {
      const std::string key = trimmed(assignment.substr(0, assignment.find('=')));
      if (!key.starts_with("run.") && !key.starts_with("sweep.")) read_override(assignment, target);
    }
    for (const Config& other : config.targets) {
      if (other.run.name == target.run.name) fail_usage("{}: two targets are called {}", at, target.run.name);
    }
    if (config.sweep.study == "learning") {
      check_learning_target(target);
    } else {
      check_target(target);
    }
    config.targets.push_back(std::move(target));
  }
  const std::int64_t cells = config.sweep.cells;
  expect((cells & (cells - 1)) == 0, config, "sweep.cells", "{} is not a power of two", cells);
  expect(!config.sweep.neurons.empty(), config, "sweep.neurons", "empty; a sweep needs a size or more");
}

}  // namespace

Config parse_config(const std::string& text, const std::string& source, const std::vector<std::string>& overrides) {
  Config config;
  config.source = source;
  check_key_depth(text, source);
  toml::table table;
  try {
    table = toml::parse(std::string_view(text));
  } catch (const toml::parse_error& error) {
    fail_usage("{}:{}: not valid TOML: {}", source, error.source().begin.line, error.description());
  }
  read_table(table, "", config);
  for (const std::string& assignment : overrides) read_override(assignment, config);
  if (!config.was_given("run.name")) config.run.name = name_from(source);
  if (const toml::node* targets = table["sweep"]["targets"].node()) {
    read_targets(*targets, overrides, config);
    return config;
  }
  for (const auto& [key, where] : config.given) {
    if (key.starts_with("sweep.")) fail_usage("{}: {} has no meaning without [[sweep.targets]]", where, key);
  }
  fill_scaling(config);
  fill_energy_based(config);
  fill_layers(config);
  check_file_level(config);
  return config;
}

Config load_config(const std::string& path, const std::vector<std::string>& overrides) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) fail_usage("{}: no such config file", path);
  if (std::filesystem::is_directory(status)) fail_usage("{}: is a folder; a config is a TOML file", path);
  std::ifstream file(path, std::ios::binary);
  std::string text(kLargestFile + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (!file && !file.eof())) fail_usage("{}: cannot be read", path);
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kLargestFile) fail_usage("{}: larger than {} bytes, which no config is", path, kLargestFile);
  return parse_config(text, path, overrides);
}

bool is_synthetic(const DataConfig& data) {
  return data.kind == "gaussian_mixture" || data.kind == "laplace_mixture" || data.kind == "ring" ||
         data.kind == "two_moons" || data.kind == "checkerboard";
}

bool is_patches(const DataConfig& data) { return data.kind == "patches"; }

void require_data_path(const Config& config) {
  if (is_synthetic(config.data) || !config.data.path.empty()) return;
  fail_usage("{}: data.path is empty; say where the data are: --set data.path={}", where_is(config, "data.path"),
             config.data.kind == "cifar10" || config.data.kind == "png_folder" ? "FOLDER" : "FILE");
}

bool is_sweep(const Config& config) { return !config.targets.empty(); }

bool is_hee(const ModelConfig& model) { return model.kind == "hee"; }

bool is_energy_based(const ModelConfig& model) { return model.kind == "rbm" || model.kind == "ebm"; }

bool is_scale_family(const std::string& family) { return family == "gaussian_scale" || family == "laplace_scale"; }

bool final_denoise(const SamplingConfig& sampling) {
  return sampling.schedule == "annealed" ? sampling.annealed.denoise : sampling.denoise;
}

namespace {

void write_layers(const Config& config, const std::string& prefix, std::ostream& out) {
  for (const LayerConfig& layer : config.model.layers) {
    out << "\n[[" << prefix << "model.layers]]\n";
    for (const KeySpec& key : layer_schema()) {
      const bool observation = &layer == &config.model.layers.front();
      const bool drives = key.name == "model.layers.nonlinearity" || key.name == "model.layers.lr";
      if (!key.applies_to(layer) || (observation && drives)) continue;
      out << key.name.substr(key.name.rfind('.') + 1) << " = " << value_text(key, layer) << '\n';
    }
  }
}

/// The keys that have a meaning, table after table; `prefix` stands before the names of tables.
template <class Wanted>
void write_tables(const Config& config, const std::string& prefix, Wanted&& wanted, std::ostream& out) {
  std::string_view table;
  for (const KeySpec& key : config_schema()) {
    const std::size_t dot = key.name.rfind('.');
    if (!key.applies_to(config) || !wanted(key.name.substr(0, key.name.find('.')))) continue;
    if (key.name.substr(0, dot) != table) {
      if (table == "model") write_layers(config, prefix, out);
      table = key.name.substr(0, dot);
      out << (out.tellp() > 0 ? "\n" : "") << '[' << prefix << table << "]\n";
    }
    out << key.name.substr(dot + 1) << " = " << value_text(key, config);
    if (config.filled.contains(std::string(key.name))) out << "  # " << config.training.recipe;
    out << '\n';
  }
}

}  // namespace

std::string to_toml(const Config& config, const std::vector<std::string>& header) {
  std::ostringstream out;
  for (std::string line : header) {
    for (char& c : line) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
    out << "# " << line << '\n';
  }
  const auto of_the_whole = [](std::string_view table) {
    return table == "run" || table == "checkpoint" || table == "sweep";
  };
  const auto all = [](std::string_view) { return true; };
  if (!is_sweep(config)) {
    write_tables(config, "", all, out);
    return out.str();
  }
  write_tables(config, "", of_the_whole, out);
  for (const Config& target : config.targets) {
    out << fmt::format("\n[[sweep.targets]]\nname = \"{}\"\n", target.run.name);
    write_tables(
        target, "sweep.targets.", [&](std::string_view table) { return !of_the_whole(table); }, out);
  }
  return out.str();
}

}  // namespace tarn
