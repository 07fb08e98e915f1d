// JSON from files that others made: bounded depth, no duplicate keys, one-line errors.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace tarn {

/// Throws `Error` naming `name` for malformed JSON, a key that stands twice in one object, or nesting beyond
/// `max_depth`.
nlohmann::json parse_strict_json(std::string_view text, const std::string& name, int max_depth);

}  // namespace tarn
