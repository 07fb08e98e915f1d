// Checks that concern several keys at once; private to the configuration.
#pragma once

#include <string>
#include <string_view>

#include "tarn/core/error.hpp"
#include "tarn/experiment/config.hpp"
#include "tarn/sampling/stop_rule.hpp"

namespace tarn {

/// Where a key was given ("file:12", "--set a.b"), or the config's source.
std::string where_is(const Config& config, const std::string& key);

/// Throws one line about `key` unless `condition` holds.
template <class... Args>
void expect(bool condition, const Config& config, const std::string& key, fmt::format_string<Args...> format,
            Args&&... args) {
  if (!condition) {
    fail_usage("{}: {}: {}", where_is(config, key), key, fmt::format(format, std::forward<Args>(args)...));
  }
}

/// `sampling.until`; empty where there is none. Throws `UsageError` where it is no rule, or nothing is watched.
StopRule checked_rule(const Config& config);

/// What can be checked without data. Throws `UsageError`.
void check_file_level(const Config& config);

/// What needs D, U and the size of the data, once the recipe has filled what was left out. Throws `UsageError`.
void check_against_data(const Config& config, const DataFacts& facts);

/// The same two for an HEE model.
void check_hee(const Config& config);
void check_hee_against_data(const Config& config, const DataFacts& facts);

/// Throws `UsageError` for a dotted key of so many parts that parsing it, or freeing what was parsed, could use up the
/// stack: toml++ limits how deep values are nested, but not keys.
void check_key_depth(std::string_view text, const std::string& source);

}  // namespace tarn
