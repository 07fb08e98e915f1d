#include "tarn/io/draw_manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "printable.hpp"
#include "tarn/io/strict_json.hpp"

namespace tarn {
namespace {

using nlohmann::json;

constexpr std::int64_t manifest_version = 1;
constexpr std::int64_t max_chains = 1LL << 48;  // the noise numbers chains with 48 bits
constexpr std::int64_t max_draws = 1LL << 53;
constexpr std::int64_t max_columns = 1LL << 31;

std::string listed(std::initializer_list<std::string_view> keys) {
  std::string out;
  for (const auto key : keys) out.append(out.empty() ? "" : ", ").append(key);
  return out;
}

/// Typed, range-checked access to the members of one object.
class Reader {
 public:
  Reader(const json& value, std::string where, std::initializer_list<std::string_view> keys)
      : value_(value), where_(std::move(where)) {
    if (!value.is_object()) fail("{}: expected a JSON object", where_);
    for (const auto& [key, member] : value.items()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
        fail("{}: unknown key \"{}\"; allowed: {}", where_, printable(key), listed(keys));
      }
    }
    for (const auto key : keys) {
      if (!value.contains(key)) fail("{}: lacks \"{}\"", where_, key);
    }
  }

  const json& member(std::string_view key) const { return value_[key]; }
  std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high) const {
    const auto& number = member(key);
    const bool fits = number.is_number_unsigned() ? number.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX)
                                                  : number.is_number_integer();
    if (!fits || number.get<std::int64_t>() < low || number.get<std::int64_t>() > high) {
      fail("{}: \"{}\" is {}; allowed: {} to {}", where_, key, printable(number.dump(), 40), low, high);
    }
    return number.get<std::int64_t>();
  }
  std::string text(std::string_view key) const {
    if (!member(key).is_string()) fail("{}: \"{}\" must be a text", where_, key);
    return member(key).get<std::string>();
  }
  std::string hash(std::string_view key) const {
    auto value = text(key);
    if (value.size() != 16 || value.find_first_not_of("0123456789abcdef") != std::string::npos) {
      fail("{}: \"{}\" must be 16 hexadecimal digits", where_, key);
    }
    return value;
  }
  const json& list(std::string_view key) const {
    if (!member(key).is_array()) fail("{}: \"{}\" must be a list", where_, key);
    return member(key);
  }

 private:
  const json& value_;
  std::string where_;
};

DrawLayout parse_layout(const Reader& root, const std::string& name) {
  DrawLayout layout;
  layout.n_chains_total = root.integer("n_chains_total", 1, max_chains);
  layout.chain_begin = root.integer("chain_begin", 0, layout.n_chains_total - 1);
  layout.chain_end = root.integer("chain_end", layout.chain_begin + 1, layout.n_chains_total);
  layout.n_dims = root.integer("n_dims", 1, max_columns);
  layout.n_recorded = root.integer("n_recorded", 0, max_columns);
  for (const auto& dim : root.list("dim_names")) {
    if (!dim.is_string()) fail("{}: \"dim_names\" must be a list of texts", name);
    layout.dim_names.push_back(dim.get<std::string>());
  }
  if (!layout.dim_names.empty() && static_cast<std::int64_t>(layout.dim_names.size()) != layout.n_dims) {
    fail("{}: {} names for {} dimensions", name, layout.dim_names.size(), layout.n_dims);
  }
  return layout;
}

Attributes parse_attributes(const json& value, const std::string& name) {
  if (!value.is_object()) fail("{}: \"attributes\" must be a JSON object", name);
  Attributes attributes;
  for (const auto& [key, attribute] : value.items()) {
    const bool fits = attribute.is_string() || attribute.is_number_float() ||
                      (attribute.is_number_integer() &&
                       (!attribute.is_number_unsigned() || attribute.get<std::uint64_t>() <= INT64_MAX));
    if (!fits) fail("{}: attribute \"{}\" must be a text or a number", name, printable(key));
    if (attribute.is_string()) {
      attributes[key] = attribute.get<std::string>();
    } else if (attribute.is_number_float()) {
      attributes[key] = attribute.get<double>();
    } else {
      attributes[key] = attribute.get<std::int64_t>();
    }
  }
  return attributes;
}

SegmentEntry parse_segment(const json& value, std::size_t index, const DrawLayout& layout, const std::string& name) {
  const auto where = fmt::format("{}: segment {}", name, index);
  const Reader reader(value, where, {"file", "xxh3", "bytes", "first_chain", "n_chains", "first_draw", "n_draws"});
  SegmentEntry entry;
  entry.file = reader.text("file");
  const auto expected = fmt::format("part-{:06}.nc", index);
  if (entry.file != expected) fail("{}: file must be \"{}\", found \"{}\"", where, expected, printable(entry.file, 40));
  entry.xxh3 = reader.hash("xxh3");
  entry.bytes = static_cast<std::uint64_t>(reader.integer("bytes", 1, INT64_MAX));
  entry.first_chain = reader.integer("first_chain", layout.chain_begin, layout.chain_end - 1);
  entry.n_chains = reader.integer("n_chains", 1, layout.chain_end - entry.first_chain);
  entry.first_draw = reader.integer("first_draw", 0, max_draws);
  entry.n_draws = reader.integer("n_draws", 1, max_draws);
  // What the file must hold cannot be more than the file is.
  const double values = static_cast<double>(entry.n_chains) * static_cast<double>(entry.n_draws) *
                        static_cast<double>(layout.n_dims + layout.n_recorded);
  if (values * sizeof(float) > 1.0e3 * static_cast<double>(entry.bytes) + 1.0e6) {
    fail("{}: {} bytes cannot hold {} chains by {} draws", where, entry.bytes, entry.n_chains, entry.n_draws);
  }
  return entry;
}

json encode_attributes(const Attributes& attributes) {
  json out = json::object();
  for (const auto& [key, attribute] : attributes) {
    if (const auto* number = std::get_if<double>(&attribute); number != nullptr && !std::isfinite(*number)) {
      fail("attribute \"{}\" is {}, which a manifest cannot hold; give it as a text", key, *number);
    }
    std::visit([&, &name = key](const auto& value) { out[name] = value; }, attribute);
  }
  return out;
}

}  // namespace

DrawManifest parse_manifest(std::string_view text, const std::string& name) {
  const auto root = parse_strict_json(text, name, 3);
  const Reader reader(root, name,
                      {"format_version", "n_chains_total", "chain_begin", "chain_end", "n_dims", "n_recorded",
                       "dim_names", "attributes", "sample_stats_xxh3", "segments"});
  reader.integer("format_version", manifest_version, manifest_version);
  DrawManifest manifest;
  manifest.layout = parse_layout(reader, name);
  manifest.attributes = parse_attributes(reader.member("attributes"), name);
  if (!reader.text("sample_stats_xxh3").empty()) manifest.sample_stats_xxh3 = reader.hash("sample_stats_xxh3");
  for (const auto& segment : reader.list("segments")) {
    manifest.segments.push_back(parse_segment(segment, manifest.segments.size(), manifest.layout, name));
  }
  return manifest;
}

std::string encode_manifest(const DrawManifest& manifest) {
  const auto& layout = manifest.layout;
  try {
    auto out = fmt::format(
        "{{\n\"format_version\": {},\n\"n_chains_total\": {},\n\"chain_begin\": {},\n\"chain_end\": {},\n\"n_dims\": "
        "{},\n"
        "\"n_recorded\": {},\n\"dim_names\": {},\n\"attributes\": {},\n\"sample_stats_xxh3\": \"{}\",\n\"segments\": [",
        manifest_version, layout.n_chains_total, layout.chain_begin, layout.chain_end, layout.n_dims, layout.n_recorded,
        json(layout.dim_names).dump(), encode_attributes(manifest.attributes).dump(), manifest.sample_stats_xxh3);
    const char* separator = "\n";
    for (const auto& s : manifest.segments) {
      out += fmt::format(
          "{}{{\"file\": \"{}\", \"xxh3\": \"{}\", \"bytes\": {}, \"first_chain\": {}, \"n_chains\": {}, "
          "\"first_draw\": "
          "{}, \"n_draws\": {}}}",
          separator, s.file, s.xxh3, s.bytes, s.first_chain, s.n_chains, s.first_draw, s.n_draws);
      separator = ",\n";
    }
    return out + "\n]\n}\n";
  } catch (const json::exception&) {
    fail("a name of a dimension or an attribute is not valid UTF-8");
  }
}

}  // namespace tarn
