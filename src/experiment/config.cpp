#include "tarn/experiment/config.hpp"

#include <algorithm>
#include <cctype>
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

void read_table(const toml::table& table, const std::string& prefix, Config& config) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + printable(key.str());
    const std::string where = fmt::format("{}:{}", config.source, key.source().begin.line);
    if (const KeySpec* spec = find_key(name)) {
      read_value(*spec, node, where, config);
      remember(*spec, where, config);
    } else if (!is_table_name(name)) {
      fail_unknown(where, name);
    } else if (node.is_table()) {
      read_table(*node.as_table(), name + ".", config);
    } else {
      fail_usage("{}: {} = {}; allowed: a table, [{}]", where, name, describe(node), name);
    }
  }
}

/// The value of `--set key=text`: TOML, or a bare string.
void read_override(const std::string& assignment, Config& config) {
  const auto trimmed = [](std::string text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string::npos) return std::string();
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
  };
  const std::size_t equals = assignment.find('=');
  const std::string name = trimmed(assignment.substr(0, equals));
  if (equals == std::string::npos || name.empty()) {
    fail_usage("--set {}: allowed: KEY=VALUE, as in --set training.epochs=50", assignment);
  }
  const std::string where = "--set " + name;
  const KeySpec* spec = find_key(name);
  if (spec == nullptr && is_table_name(name))
    fail_usage("{}: {} is a table; set one of its keys, as in --set {}.KEY=VALUE", where, name, name);
  if (spec == nullptr) fail_unknown(where, name);

  const std::string text = trimmed(assignment.substr(equals + 1));
  const bool wants_string = std::holds_alternative<std::string*>(spec->slot(config));
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
  read_value(*spec, *node, where, config);
  remember(*spec, where, config);
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
  if (config.training.recipe == "published" && kind != "npy" && kind != "patches") {
    config.data.scaling = is_synthetic(config.data) ? "none" : kind == "cifar10" ? "divide_255" : "unit_norm";
  }
  config.filled.insert("data.scaling");
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
  fill_scaling(config);
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

bool final_denoise(const SamplingConfig& sampling) {
  return sampling.schedule == "annealed" ? sampling.annealed.denoise : sampling.denoise;
}

std::string to_toml(const Config& config, const std::vector<std::string>& header) {
  std::ostringstream out;
  for (std::string line : header) {
    for (char& c : line) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
    out << "# " << line << '\n';
  }
  std::string_view table;
  for (const KeySpec& key : config_schema()) {
    if (!key.applies_to(config)) continue;
    const std::size_t dot = key.name.rfind('.');
    if (key.name.substr(0, dot) != table) {
      table = key.name.substr(0, dot);
      out << (out.tellp() > 0 ? "\n" : "") << '[' << table << "]\n";
    }
    out << key.name.substr(dot + 1) << " = " << value_text(key, config);
    if (config.filled.contains(std::string(key.name))) out << "  # " << config.training.recipe;
    out << '\n';
  }
  return out.str();
}

}  // namespace tarn
