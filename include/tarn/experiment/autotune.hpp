// Choice by measurement in a run (`run.autotune`, docs/gpu.md): where choices come from and where they are kept.
#pragma once

#include <filesystem>
#include <string>

#include "tarn/compute/backend.hpp"
#include "tarn/experiment/config.hpp"
#include "tarn/io/safetensors.hpp"

namespace tarn {

/// `choices.json` in the folder of a run or of its draws: all choices that results were rounded by, each written before its first use. A checkpoint
/// holds a copy.
std::filesystem::path choices_file(const std::filesystem::path& folder);

/// Tells a new backend to choose by measurement where `run.autotune` is on: first from the user's table (`ChoiceCache`), which gets what is measured.
/// Where the device has nothing to choose nothing happens.
void begin_autotune(const Config& config, Backend& backend, const std::filesystem::path& folder);

/// The same for a run that goes on: what `choices.json` holds is used whatever the table says. Throws `Error` where it is damaged, lacks what the
/// checkpoint was made with, or holds for another device or library; with `allow_inexact` that is a warning, and choices are made anew.
void resume_autotune(const Config& config, Backend& backend, const std::filesystem::path& folder,
                     const TensorFile& checkpoint, bool allow_inexact);

/// What was chosen since then, in a line; empty where nothing was.
std::string autotune_line(const Backend& backend);

/// What `run.autotune` would do, in a line for `--dry-run`; empty where it is off.
std::string autotune_plan(const Config& config, const Backend& backend);

}  // namespace tarn
