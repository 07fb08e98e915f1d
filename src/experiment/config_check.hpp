// Checks that concern several keys at once; private to the configuration.
#pragma once

#include <string>
#include <string_view>

#include "tarn/experiment/config.hpp"

namespace tarn {

/// Where a key was given ("file:12", "--set a.b"), or the config's source.
std::string where_is(const Config& config, const std::string& key);

/// What can be checked without data. Throws `UsageError`.
void check_file_level(const Config& config);

/// What needs D, U and the size of the data, once the recipe has filled what was left out. Throws `UsageError`.
void check_against_data(const Config& config, const DataFacts& facts);

/// Throws `UsageError` for a dotted key of so many parts that parsing it, or freeing what was parsed, could use up the
/// stack: toml++ limits how deep values are nested, but not keys.
void check_key_depth(std::string_view text, const std::string& source);

}  // namespace tarn
