// Names and parameters of the exponential families that the layers of an HEE are made of; their arithmetic is in
// core/families.hpp, their table and how to add one in docs/hee.md.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace tarn {

/// p(x | eta) = h(x) exp(eta T(x) - A(eta)), for one unit.
enum class Family : std::uint8_t { gaussian, laplace, gaussian_scale, laplace_scale, quartic, rectified };

inline constexpr std::array<std::string_view, 6> family_names{"gaussian",      "laplace", "gaussian_scale",
                                                              "laplace_scale", "quartic", "rectified"};

constexpr std::string_view name_of(Family family) { return family_names[static_cast<std::size_t>(family)]; }

/// Throws `UsageError` naming the allowed values.
Family parse_family(std::string_view name);

/// What the families are given besides eta; each reads its own (`parameters_of`) and ignores the others.
struct FamilyParameters {
  double s = 1.0;      ///< gaussian, rectified: standard deviation (before truncation), > 0
  double rate = 4.0;   ///< laplace: lambda, the decay of the tails, > 0
  double width = 0.1;  ///< laplace, laplace_scale: d, over which the peak is rounded off, > 0
  double c = 1.0;      ///< quartic: strength of the double well, in [-30, 3]

  bool operator==(const FamilyParameters&) const = default;
};

/// The names of the parameters that `family` reads, as they stand in a config; empty for `gaussian_scale`.
std::span<const std::string_view> parameters_of(Family family);

/// Throws `UsageError` where a parameter that `family` reads is not finite or out of its range.
void check_parameters(Family family, const FamilyParameters& parameters);

/// The values that eta may take: all reals, or an open interval.
struct EtaRange {
  double low, high;
};
EtaRange eta_range(Family family, const FamilyParameters& parameters);

}  // namespace tarn
