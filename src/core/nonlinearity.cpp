#include "tarn/core/nonlinearity.hpp"

#include "tarn/core/error.hpp"

namespace tarn {

Nonlinearity parse_nonlinearity(std::string_view name) {
  for (std::size_t i = 0; i < nonlinearity_names.size(); ++i) {
    if (nonlinearity_names[i] == name) return static_cast<Nonlinearity>(i);
  }
  fail_usage("nonlinearity \"{}\" is unknown; allowed: {}", name, listed(nonlinearity_names));
}

}  // namespace tarn
