// The schema of the configuration: one entry a key. Parsing, checking, writing and docs/config.md all follow from it.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tarn/experiment/config.hpp"

namespace tarn {

/// Where a key's value lives in a Config; the alternative is the key's type.
using KeySlot = std::variant<bool*, std::int64_t*, std::uint64_t*, double*, std::string*, std::vector<std::int64_t>*,
                             std::vector<double>*, std::vector<std::vector<double>>*,
                             std::vector<std::vector<std::vector<double>>>*, std::vector<std::string>*>;

/// One key. Its default is the initial value in `Config`, unless a recipe fills it.
struct KeySpec {
  std::string_view name;                                  ///< dotted: "training.noise.levels"
  KeySlot (*slot)(Config&) = nullptr;                     ///< where its value lives
  KeySlot (*layer_slot)(LayerConfig&) = nullptr;          ///< ... for keys of a `[[model.layers]]` table, in its place
  std::string_view doc;                                   ///< one line for docs/config.md
  std::string_view unit = "";                             ///< unit, or ""
  double low = -std::numeric_limits<double>::infinity();  ///< numbers and their elements: smallest allowed
  double high = std::numeric_limits<double>::infinity();  ///< largest allowed
  bool low_excluded = false;                              ///< `low` itself is not allowed
  bool high_excluded = false;                             ///< `high` itself is not allowed
  std::vector<std::string_view> choices{};  ///< strings (and elements of lists of strings): allowed values; empty = any
  std::vector<std::string_view> kinds{};    ///< values of `data.kind` for which the key has a meaning; empty = all
  std::vector<std::string_view> filters{};  ///< values of `filter.kind`, likewise
  std::vector<std::string_view> models{};   ///< values of `model.kind`, likewise
  std::vector<std::string_view> families{};  ///< keys of a layer: families that have it; empty = all
  bool of_sweeps = false;                    ///< a key of `[sweep]`, which has a meaning where there are targets
  bool recipe = false;                       ///< filled by the recipe where it is left out
  bool automatic = false;    ///< integers: "auto" is allowed too (0 in Config), which leaves the choice to the recipe
  bool one_or_many = false;  ///< lists of numbers: a plain number stands for a list of one
  bool required = false;     ///< has no default
  std::string (*check)(const std::string&) =
      nullptr;  ///< strings: says what is allowed where the value is not, else ""

  /// What is allowed, in words: "integer >= 1", "one of: none, pca".
  std::string allowed() const;
  /// Whether the key has a meaning for this kind of data, of filter and of model.
  bool applies_to(const Config& config) const;
  /// The same for a key of a layer.
  bool applies_to(const LayerConfig& layer) const;
};

/// All keys, in the order in which a config is written.
const std::vector<KeySpec>& config_schema();

/// Keys of a `[[model.layers]]` table, named "model.layers.size", ..., in the order in which they are written.
const std::vector<KeySpec>& layer_schema();

/// The entry of a dotted name, or null.
const KeySpec* find_key(std::string_view name);
/// The entry of a layer's key by its last part ("size"), or null.
const KeySpec* find_layer_key(std::string_view name);

/// The known key most like an unknown one: same last part, or a few edits away; "" where nothing is near.
std::string nearest_key(std::string_view name);

/// The nearest of some words, by edits; "" where nothing is near.
std::string nearest_word(std::string_view word, const std::vector<std::string_view>& words);

/// docs/config.md: every key with type, range, default and meaning, and what the recipes fill in.
std::string config_reference_markdown();

}  // namespace tarn
