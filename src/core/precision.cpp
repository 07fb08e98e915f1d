#include "tarn/core/precision.hpp"

#include "tarn/core/error.hpp"

namespace tarn {

Precision parse_precision(std::string_view name) {
  for (std::size_t i = 0; i < precision_names.size(); ++i) {
    if (precision_names[i] == name) return static_cast<Precision>(i);
  }
  fail_usage("precision \"{}\" is unknown; allowed: {}", name, listed(precision_names));
}

}  // namespace tarn
