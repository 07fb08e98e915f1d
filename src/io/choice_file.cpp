#include "tarn/io/choice_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <utility>

#include "printable.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/log.hpp"
#include "tarn/io/file.hpp"
#include "tarn/io/strict_json.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int format_version = 1;
constexpr std::uint64_t most_bytes = 1 << 24;  // some ten thousand choices

// Held by one process at a time, for as long as it lives. Where a file system has no locks, writers still replace whole files.
class Lock {
 public:
  explicit Lock(const fs::path& path) : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (descriptor_ >= 0) ::flock(descriptor_, LOCK_EX);
  }
  ~Lock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int descriptor_;
};

Choice choice_of(const json& entry, const std::string& where) {
  if (!entry.is_object() || !entry.contains("choice") || !entry["choice"].is_string())
    fail("{}: holds no \"choice\"", where);
  Choice choice{entry["choice"].get<std::string>()};
  if (entry.contains("gain")) {
    if (!entry["gain"].is_number()) fail("{}: \"gain\" is no number", where);
    choice.gain = entry["gain"].get<double>();
    if (!(choice.gain >= 1.0) || !std::isfinite(choice.gain)) fail("{}: a gain of {}", where, choice.gain);
  }
  return choice;
}

}  // namespace

std::string choices_text(const ChoiceTable& table) {
  json devices = json::object();
  for (const auto& [device, choices] : table) {
    json& entries = devices[device] = json::object();
    for (const auto& [key, choice] : choices) {
      entries[key]["choice"] = choice.value;
      if (choice.gain != 1.0) entries[key]["gain"] = choice.gain;
    }
  }
  const json file{{"format", format_version}, {"devices", std::move(devices)}};
  return file.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

ChoiceTable parse_choices(std::string_view text, const std::string& name) {
  const json file = parse_strict_json(text, name, 8);
  if (!file.is_object() || !file.contains("format") || file["format"] != format_version || !file.contains("devices") ||
      !file["devices"].is_object())
    fail("{}: is no table of choices of format {}", name, format_version);
  ChoiceTable table;
  for (const auto& [device, entries] : file["devices"].items()) {
    if (!entries.is_object()) fail("{}: \"{}\" must be an object", name, printable(device));
    for (const auto& [key, entry] : entries.items())
      table[device][key] = choice_of(entry, name + ": " + printable(key));
  }
  return table;
}

fs::path ChoiceCache::usual_path() {
  const auto set = [](const char* name) -> fs::path {
    const char* value = std::getenv(name);
    return value ? value : "";
  };
  constexpr const char* file = "choices.json";
  if (const fs::path folder = set("TARN_CACHE_DIR"); !folder.empty()) return folder / file;
  if (const fs::path folder = set("XDG_CACHE_HOME"); folder.is_absolute()) return folder / "tarn" / file;
  if (const fs::path folder = set("HOME"); !folder.empty()) return folder / ".cache" / "tarn" / file;
  return {};
}

ChoiceTable ChoiceCache::read() {
  std::error_code ignored;
  if (path_.empty() || !fs::exists(path_, ignored)) return {};
  try {
    return parse_choices(read_text_file(path_, most_bytes), path_.string());
  } catch (const Error& error) {
    if (!std::exchange(has_warned_, true))
      warn("{}; choices are measured anew, and the file is written anew", error.what());
    return {};
  }
}

Choices ChoiceCache::find(const std::string& device) {
  ChoiceTable table = read();
  return std::move(table[device]);
}

void ChoiceCache::add(const std::string& device, const std::string& key, const Choice& choice) {
  try {
    if (path_.empty()) fail("no folder for choices: neither TARN_CACHE_DIR, XDG_CACHE_HOME nor HOME is set");
    fs::create_directories(path_.parent_path());
    const Lock lock(path_.string() + ".lock");
    ChoiceTable table = read();
    table[device][key] = choice;
    write_file_atomically(path_, choices_text(table));
  } catch (const std::exception& error) {
    if (!std::exchange(has_warned_, true))
      warn("{}; what was measured holds for this run, the next one will measure again", error.what());
  }
}

}  // namespace tarn
