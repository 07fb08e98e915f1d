#include "tarn/io/strict_json.hpp"

#include <set>
#include <vector>

#include "printable.hpp"
#include "tarn/core/error.hpp"

namespace tarn {

nlohmann::json parse_strict_json(std::string_view text, const std::string& name, int max_depth) {
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto callback = [&](int depth, Event event, nlohmann::json& parsed) {
    switch (event) {
      case Event::object_start:
      case Event::array_start:
        if (depth >= max_depth) fail("{}: JSON is nested more than {} deep", name, max_depth);
        if (event == Event::object_start) keys.emplace_back();
        break;
      case Event::object_end:
        keys.pop_back();
        break;
      case Event::key: {
        const auto& key = parsed.get_ref<const std::string&>();
        if (!keys.back().insert(key).second) fail("{}: JSON key \"{}\" stands twice", name, printable(key));
        break;
      }
      default:
        break;
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, callback);
  } catch (const nlohmann::json::exception& error) {
    fail("{}: is not well-formed JSON ({})", name, printable(error.what(), 200));
  }
}

}  // namespace tarn
