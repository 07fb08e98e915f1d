// docs/config.md, written from the schema and the recipes themselves, so that it cannot fall behind them.
#include <fmt/format.h>

#include <algorithm>

#include "config_value.hpp"
#include "tarn/experiment/config_schema.hpp"

namespace tarn {
namespace {

struct Example {
  std::string heading;
  std::string toml;
  DataFacts facts;
};

const std::vector<Example>& recommended_examples() {
  static const std::vector<Example> examples{
      {"D <= 2", "[data]\nkind = \"gaussian_mixture\"\nmeans = [[-1.0], [1.0]]\nstd = 0.5\n", {1, 0, 10000, false}},
      {"D <= 16 (D = 9)", "[data]\nkind = \"npy\"\n", {9, 0, 10000, false}},
      {"larger D, images (D = 100, 60000 items)",
       "[data]\nkind = \"idx\"\nscaling = \"auto\"\n",
       {100, 0, 60000, true}}};
  return examples;
}

const std::vector<Example>& published_examples() {
  static const std::vector<Example> examples{
      {"double peak", recommended_examples()[0].toml, {1, 0, 10000, false}},
      {"Laplace cross",
       "[data]\nkind = \"laplace_mixture\"\ncovariances = [[[1.0, 0.9], [0.9, 1.0]], [[1.0, -0.9], [-0.9, 1.0]]]\n",
       {2, 0, 10000, false}},
      {"MNIST", "[data]\nkind = \"idx\"\n", {300, 0, 60000, true}},
      {"CIFAR-10", "[data]\nkind = \"cifar10\"\n", {128, 0, 50000, true}}};
  return examples;
}

/// A table of what a recipe fills in: one column an example.
std::string recipe_table(const std::string& recipe, const std::vector<Example>& examples) {
  std::vector<Config> configs;
  std::string text = "| key |";
  std::string rule = "|---|";
  for (const Example& example : examples) {
    configs.push_back(parse_config(example.toml, example.heading, {"training.recipe=" + recipe}));
    resolve(configs.back(), example.facts);
    text += fmt::format(" {} |", example.heading);
    rule += "---|";
  }
  text += "\n" + rule + "\n";
  for (const KeySpec& key : config_schema()) {
    if (!key.recipe || !key.applies_to(configs.front())) continue;
    text += fmt::format("| `{}` |", key.name);
    for (const Config& config : configs) text += fmt::format(" {} |", value_text(key, config));
    text += "\n";
  }
  return text;
}

/// A bar would end the cell of a Markdown table.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string default_text(const KeySpec& key) {
  if (key.required) return "required";
  if (key.recipe) return "recipe";
  if (key.name == "run.name") return "the file's name";
  return fmt::format("`{}`", value_text(key, Config{}));
}

std::string meaning(const KeySpec& key) {
  std::string text(key.doc);
  const bool of_networks = std::find(key.models.begin(), key.models.end(), "reservoir_sampler") != key.models.end();
  const bool of_energies = std::find(key.models.begin(), key.models.end(), "ebm") != key.models.end(),
             of_rbm = std::find(key.models.begin(), key.models.end(), "rbm") != key.models.end();
  if (of_networks)
    text += of_rbm ? " (not for `hee`)" : of_energies ? " (not for `hee`, `rbm`)" : " (not for `hee`, `rbm`, `ebm`)";
  const std::vector<std::string_view> none;
  for (const auto* kinds : {&key.kinds, &key.filters, of_networks ? &none : &key.models, &key.families}) {
    if (kinds->empty()) continue;
    text += " (only for";
    for (std::size_t i = 0; i < kinds->size(); ++i) text += fmt::format("{} `{}`", i == 0 ? "" : ",", (*kinds)[i]);
    text += ")";
  }
  return text;
}

void add_heading(const std::string& table, const std::string& remark, std::string& text) {
  text += fmt::format("\n## `{}`\n\n{}| key | allowed | default | unit | meaning |\n|---|---|---|---|---|\n", table,
                      remark);
}

void add_row(const KeySpec& key, const std::string& initial, std::string& text) {
  text += fmt::format("| `{}` | {} | {} | {} | {} |\n", key.name.substr(key.name.rfind('.') + 1), cell(key.allowed()),
                      initial, key.unit, cell(meaning(key)));
}

void add_layers(std::string& text) {
  add_heading("[[model.layers]]",
              "Layers of an HEE model (`model.kind = \"hee\"`), a table each, from the observation up; "
              "`--set model.layers[1].size=64` replaces one key of the first latent layer.\n\n",
              text);
  for (const KeySpec& key : layer_schema()) add_row(key, fmt::format("`{}`", value_text(key, LayerConfig{})), text);
}

}  // namespace

std::string config_reference_markdown() {
  std::string text =
      "# The config, key by key\n"
      "\n"
      "<!-- Written from the schema by `tarn check --doc`; a test compares the two. Change the schema, not this page. "
      "-->\n"
      "\n"
      "A run is described by one TOML file. Only `data.kind` and what belongs to that kind must be given; every other "
      "key has a\n"
      "default. Where the default is \"recipe\", the value depends on the data: `training.recipe = \"recommended\"` "
      "fills in the best\n"
      "known settings, `\"published\"` those of the paper (tables below), and a key that is given always stays as it "
      "is. `tarn run`\n"
      "prints what was filled in and stores the whole config, every value written out, in the run folder; that file "
      "can be run again.\n"
      "\n"
      "`--set a.b=VALUE` on the command line replaces one key; the value is TOML, and a string may stand without "
      "quotes.\n"
      "An unknown key, a wrong type or a value out of range stops the program with one line that names file, line and "
      "what is\n"
      "allowed. A whole number may be written as `1e4`. Scaled filter space is where the network lives: the data after "
      "`filter`, then\n"
      "centred and divided by the scale that `data.scaling` asks for. Times are in units of tau, the membrane time "
      "constant.\n"
      "Paths are relative to the working directory.\n";
  std::string_view table;
  for (const KeySpec& key : config_schema()) {
    const std::size_t dot = key.name.rfind('.');
    if (key.name.substr(0, dot) != table) {
      if (table == "model") add_layers(text);
      table = key.name.substr(0, dot);
      add_heading(fmt::format("[{}]", table),
                  table == "sweep" ? "Of a file with `[[sweep.targets]]` tables, one a law: the rest of the file with "
                                     "the tables of that entry "
                                     "(`[sweep.targets.data]`, ...) on top (docs/capacity.md).\n\n"
                                   : "",
                  text);
    }
    add_row(key, default_text(key), text);
  }
  text += "\n## What `recipe = \"recommended\"` fills in\n\n";
  text +=
      "`training.noise.levels`: 5 intervals a decade of sigma for D <= 2, 9.5 for D <= 16, and above that 1.8 times "
      "(rounded up) the\n"
      "smallest count whose neighbouring levels overlap by one half in the sense of Song and Ermon 2020, technique 2.\n"
      "`training.epochs`: as many as make 60000 steps in all for D <= 16, 15000 above. `training.quality.confinement`: "
      "8 points for\n"
      "each 128 items of a batch. `training.quality.bias_gain`: sqrt(D) for "
      "2 < D <= 16. `training.quality.start`: random for tanh, sigmoid and given weights. `sampling.dt`: "
      "`annealed.dt0` "
      "times the last\n"
      "sigma squared. `sampling.initial.std`: the first sigma; with `schedule = \"last_level\"` 1/sqrt(D). "
      "Sampler-only networks: no\n"
      "output scaling, no confinement points, gains 1.\n\n";
  text += recipe_table("recommended", recommended_examples());
  text += "\n## What `recipe = \"published\"` fills in\n\n";
  text +=
      "The settings of arXiv 2308.11809: the first column for D = 1, and for D = 2 except Laplace mixtures; the last "
      "for `cifar10`;\n"
      "MNIST's for all else. Where the paper's reference leaves a setting of the Laplace cross or of CIFAR-10 open "
      "(epochs, and the weight decay of\n"
      "CIFAR-10), it is taken from MNIST's.\n\n";
  text += recipe_table("published", published_examples());
  return text;
}

}  // namespace tarn
