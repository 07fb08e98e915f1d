// Reading one key's value from TOML and writing it back; private to the configuration.
#pragma once

#include <toml++/toml.h>

#include <string>

#include "tarn/experiment/config_schema.hpp"

namespace tarn {

/// Stores a TOML value in `config`. Throws `UsageError` where type or range is wrong; `where` ("file:12", "--set a.b")
/// starts the message.
void read_value(const KeySpec& key, const toml::node& node, const std::string& where, Config& config);
/// The same for a key of a layer; `name` ("model.layers[1].size") stands in the message.
void read_value(const KeySpec& key, const std::string& name, const toml::node& node, const std::string& where,
                LayerConfig& layer);

/// The value as TOML text; numbers in the shortest form that reads back to the same bits.
std::string value_text(const KeySpec& key, const Config& config);
std::string value_text(const KeySpec& key, const LayerConfig& layer);

/// A TOML basic string, quotes and all.
std::string quoted(const std::string& text);

/// A short description of any TOML value for messages: `"ten"`, `3.5`, `a table`.
std::string describe(const toml::node& node);

}  // namespace tarn
