// Tables of choices by measurement on disk (docs/gpu.md): JSON, for each kind of device what was chosen for which sizes.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "tarn/core/choice.hpp"

namespace tarn {

/// By kind of device.
using ChoiceTable = std::map<std::string, Choices>;

/// One JSON object, a choice a line; gains of 1 are left out.
std::string choices_text(const ChoiceTable& table);
/// Back again. Throws `Error` naming `name` for anything else.
ChoiceTable parse_choices(std::string_view text, const std::string& name);

/// The table that all of a user's runs share. None of its calls throws: a table that cannot be read or written costs time, not the run, and is told in one
/// warning. Two processes may write it at a time.
class ChoiceCache {
 public:
  /// `choices.json` in `$TARN_CACHE_DIR`, `$XDG_CACHE_HOME/tarn` or `~/.cache/tarn`, the first of them that is set; empty where none is.
  static std::filesystem::path usual_path();

  explicit ChoiceCache(std::filesystem::path path = usual_path()) : path_(std::move(path)) {}
  const std::filesystem::path& path() const { return path_; }
  /// What is known for this kind of device. A damaged table counts as empty, and is written anew by the next `add`.
  Choices find(const std::string& device);
  /// Adds to what is on disk by now.
  void add(const std::string& device, const std::string& key, const Choice& choice);

 private:
  ChoiceTable read();

  std::filesystem::path path_;
  bool has_warned_ = false;
};

}  // namespace tarn
