// Names of the elementwise nonlinearities; their arithmetic is in core/activations.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tarn {

enum class Nonlinearity : std::uint8_t { relu, leaky_relu, tanh, softplus, sigmoid };

inline constexpr std::array<std::string_view, 5> nonlinearity_names{"relu", "leaky_relu", "tanh", "softplus",
                                                                    "sigmoid"};

constexpr std::string_view name_of(Nonlinearity phi) { return nonlinearity_names[static_cast<std::size_t>(phi)]; }

/// Throws `UsageError` naming the allowed values.
Nonlinearity parse_nonlinearity(std::string_view name);

}  // namespace tarn
