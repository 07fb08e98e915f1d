// Numbers in metrics.jsonl and other files of lines: there and back.
#pragma once

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace tarn {

/// JSON has no NaN: it is written out as a word instead of vanishing.
inline nlohmann::ordered_json json_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

/// The way back; NaN also for what is no number at all.
inline double number_of(const nlohmann::json& value) {
  if (value.is_number()) return value.get<double>();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return value == "Infinity" ? infinity : value == "-Infinity" ? -infinity : std::numeric_limits<double>::quiet_NaN();
}
/// That of a line's key; NaN where the key is missing.
inline double number_at(const nlohmann::json& line, const char* key) {
  const auto found = line.find(key);
  return found == line.end() ? std::numeric_limits<double>::quiet_NaN() : number_of(*found);
}

}  // namespace tarn
