// Which instruction set the hot loops use: chosen once, at start.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tarn {

/// The x86-64 micro-architecture levels that hot files are compiled for; `baseline` runs everywhere.
enum class Isa : std::uint8_t { baseline, v3, v4 };

/// "x86-64", "x86-64-v3", "x86-64-v4".
std::string_view name_of(Isa isa);
/// Levels that were compiled in and that this machine runs, lowest first; none for a build that was made for another machine alone
/// (TARN_BUILD_ONCE), where all functions below throw `Error`.
std::vector<Isa> available_isas();
/// The level in use: the best available one, unless `use_isa` or the environment variable TARN_ISA names another.
Isa current_isa();
/// Throws `UsageError` for an unknown name, `Error` for a level that this machine or this build lacks. "" = the best.
void use_isa(const std::string& name);

}  // namespace tarn
