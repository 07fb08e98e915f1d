// Names of the arithmetics that a run may ask for (`run.precision`).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tarn {

/// What the operands of matrix products are rounded to, at D > 16: those of chains, and, with tf32 and bf16 alike, to tf32 those of training. State,
/// weights, moments, noise and sums are float32 always.
enum class Precision : std::uint8_t { fp32, tf32, bf16 };

inline constexpr std::array<std::string_view, 3> precision_names{"fp32", "tf32", "bf16"};

constexpr std::string_view name_of(Precision precision) { return precision_names[static_cast<std::size_t>(precision)]; }

/// Throws `UsageError` naming the allowed values.
Precision parse_precision(std::string_view name);

}  // namespace tarn
