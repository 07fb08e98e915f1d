#include "config_value.hpp"

#include <cmath>
#include <type_traits>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr double kExactInteger = 9007199254740992.0;  // 2^53: whole numbers up to it are exact in double

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

/// What went wrong while a value was read: the text after "found".
struct Refused {
  std::string found;
};

void check_range(const KeySpec& key, double value, const toml::node& node) {
  const bool low = key.low_excluded ? value > key.low : value >= key.low;
  const bool high = key.high_excluded ? value < key.high : value <= key.high;
  if (!std::isfinite(value) || !low || !high) throw Refused{describe(node)};
}

void take(const KeySpec&, const toml::node& node, bool& out) {
  if (!node.is_boolean()) throw Refused{describe(node)};
  out = node.as_boolean()->get();
}

void take(const KeySpec& key, const toml::node& node, std::int64_t& out) {
  if (key.automatic && node.is_string() && node.as_string()->get() == "auto") {
    out = 0;
    return;
  }
  std::int64_t value = 0;
  if (node.is_integer()) {
    value = node.as_integer()->get();
  } else if (node.is_floating_point()) {  // 1e4 is a natural way to write a count
    const double number = node.as_floating_point()->get();
    if (!(std::abs(number) <= kExactInteger) || number != std::floor(number)) throw Refused{describe(node)};
    value = static_cast<std::int64_t>(number);
  } else {
    throw Refused{describe(node)};
  }
  // The largest integers round up to 2^63 in double, so that bound is left to the type.
  const double rounded = static_cast<double>(value);
  check_range(key, rounded >= 0x1p63 ? std::nextafter(rounded, 0.0) : rounded, node);
  out = value;
}

void take(const KeySpec& key, const toml::node& node, std::uint64_t& out) {
  std::int64_t value = 0;
  take(key, node, value);
  out = static_cast<std::uint64_t>(value);
}

void take(const KeySpec& key, const toml::node& node, double& out) {
  double value = 0.0;
  if (node.is_floating_point()) {
    value = node.as_floating_point()->get();
  } else if (node.is_integer()) {
    value = static_cast<double>(node.as_integer()->get());
  } else {
    throw Refused{describe(node)};
  }
  check_range(key, value, node);
  out = value;
}

void take(const KeySpec& key, const toml::node& node, std::string& out) {
  if (!node.is_string()) throw Refused{describe(node)};
  std::string value = node.as_string()->get();
  if (value.find('\0') != std::string::npos) throw Refused{"a string with a zero byte"};
  if (!key.choices.empty()) {
    bool known = false;
    for (std::string_view choice : key.choices) known = known || choice == value;
    if (!known) {
      const std::string near = nearest_word(value, key.choices);
      throw Refused{describe(node) + (near.empty() ? "" : fmt::format(" (did you mean {}?)", quoted(near)))};
    }
  }
  if (key.check != nullptr && !key.check(value).empty()) throw Refused{describe(node)};
  out = std::move(value);
}

template <class T>
void take(const KeySpec& key, const toml::node& node, std::vector<T>& out) {
  if constexpr (!IsVector<T>::value) {
    if (key.one_or_many && !node.is_array()) {
      out.resize(1);
      return take(key, node, out[0]);
    }
  }
  if (!node.is_array()) throw Refused{describe(node)};
  out.clear();
  for (const toml::node& element : *node.as_array()) {
    T value{};
    take(key, element, value);
    out.push_back(std::move(value));
  }
}

std::string text_of(const KeySpec&, bool value) { return value ? "true" : "false"; }
std::string text_of(const KeySpec& key, std::int64_t value) {
  return key.automatic && value == 0 ? "\"auto\"" : fmt::format("{}", value);
}
std::string text_of(const KeySpec&, std::uint64_t value) { return fmt::format("{}", value); }
std::string text_of(const KeySpec&, double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";  // so that TOML reads a number, not an integer
  return text;
}
std::string text_of(const KeySpec&, const std::string& value) { return quoted(value); }

template <class T>
std::string text_of(const KeySpec& key, const std::vector<T>& values) {
  if constexpr (!IsVector<T>::value) {
    if (key.one_or_many && values.size() == 1) return text_of(key, values[0]);
  }
  std::string text = "[";
  for (std::size_t i = 0; i < values.size(); ++i) text += (i == 0 ? "" : ", ") + text_of(key, values[i]);
  return text + "]";
}

}  // namespace

namespace {

void read_slot(const KeySpec& key, const std::string& name, const KeySlot& slot, const toml::node& node,
               const std::string& where) {
  try {
    std::visit([&](auto* out) { take(key, node, *out); }, slot);
  } catch (const Refused& refused) {
    fail_usage("{}: {} = {}; allowed: {}", where, name, refused.found, key.allowed());
  }
}

std::string slot_text(const KeySpec& key, const KeySlot& slot) {
  return std::visit([&](const auto* value) { return text_of(key, *value); }, slot);
}

}  // namespace

void read_value(const KeySpec& key, const toml::node& node, const std::string& where, Config& config) {
  read_slot(key, std::string(key.name), key.slot(config), node, where);
}

void read_value(const KeySpec& key, const std::string& name, const toml::node& node, const std::string& where,
                LayerConfig& layer) {
  read_slot(key, name, key.layer_slot(layer), node, where);
}

std::string value_text(const KeySpec& key, const Config& config) {
  // Slots give write access, which nobody uses here; copies of the config, one a key, took most of the time of writing it.
  return slot_text(key, key.slot(const_cast<Config&>(config)));
}

std::string value_text(const KeySpec& key, const LayerConfig& layer) {
  return slot_text(key, key.layer_slot(const_cast<LayerConfig&>(layer)));
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04X}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string describe(const toml::node& node) {
  constexpr std::size_t kLongest = 60;
  if (node.is_table()) return "a table";
  if (node.is_array()) {
    const toml::array& array = *node.as_array();
    if (array.size() == 0) return "[]";
    return fmt::format("a list of {} starting with {}", array.size(), describe(*array.get(0)));
  }
  if (node.is_string()) {
    const std::string& text = node.as_string()->get();
    return text.size() <= kLongest ? quoted(text) : fmt::format("a string of {} bytes", text.size());
  }
  if (node.is_integer()) return fmt::format("{}", node.as_integer()->get());
  if (node.is_floating_point()) return fmt::format("{}", node.as_floating_point()->get());
  if (node.is_boolean()) return node.as_boolean()->get() ? "true" : "false";
  return "a date or time";
}

}  // namespace tarn
