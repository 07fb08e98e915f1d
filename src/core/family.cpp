#include "tarn/core/family.hpp"

#include <cmath>
#include <limits>

#include "tarn/core/error.hpp"

namespace tarn {

Family parse_family(std::string_view name) {
  for (std::size_t i = 0; i < family_names.size(); ++i) {
    if (family_names[i] == name) return static_cast<Family>(i);
  }
  fail_usage("family \"{}\" is unknown; allowed: {}", name, listed(family_names));
}

std::span<const std::string_view> parameters_of(Family family) {
  static constexpr std::array<std::string_view, 1> deviation{"s"}, width{"width"}, well{"c"};
  static constexpr std::array<std::string_view, 2> laplace{"rate", "width"};
  switch (family) {
    case Family::gaussian:
    case Family::rectified:
      return deviation;
    case Family::laplace:
      return laplace;
    case Family::laplace_scale:
      return width;
    case Family::quartic:
      return well;
    case Family::gaussian_scale:
      break;
  }
  return {};
}

void check_parameters(Family family, const FamilyParameters& p) {
  for (const std::string_view name : parameters_of(family)) {
    if (name == "c") {
      // beyond 3 a unit hardly ever crosses between its wells; below -30 it is a Gaussian to three digits
      if (!(p.c >= -30.0 && p.c <= 3.0)) fail_usage("family quartic: c is {}; allowed: -30 to 3", p.c);
      continue;
    }
    const double value = name == "s" ? p.s : name == "rate" ? p.rate : p.width;
    if (!(value >= 1e-4 && value <= 1e4)) {
      fail_usage("family {}: {} is {}; allowed: 1e-4 to 1e4", name_of(family), name, value);
    }
  }
}

EtaRange eta_range(Family family, const FamilyParameters& parameters) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  switch (family) {
    case Family::laplace:
      return {-parameters.rate, parameters.rate};
    case Family::gaussian_scale:
    case Family::laplace_scale:
      return {0.0, infinity};
    case Family::gaussian:
    case Family::quartic:
    case Family::rectified:
      break;
  }
  return {-infinity, infinity};
}

}  // namespace tarn
