// Numbers in metrics.jsonl.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>

namespace tarn {

/// JSON has no NaN: it is written out as a word instead of vanishing.
inline nlohmann::ordered_json json_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

}  // namespace tarn
