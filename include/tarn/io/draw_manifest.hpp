// The list of closed sample segments of a run: manifest.json, read before any segment is opened.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tarn/core/error.hpp"

namespace tarn {

/// Attributes of NetCDF files: texts, integers and real numbers.
using AttributeValue = std::variant<std::string, std::int64_t, double>;
using Attributes = std::map<std::string, AttributeValue>;

/// Sizes of what a sampling run records.
struct DrawLayout {
  std::int64_t n_chains_total = 0;     ///< chains of the whole run, over all machines
  std::int64_t chain_begin = 0;        ///< first chain that is recorded here
  std::int64_t chain_end = -1;         ///< one past the last; -1: n_chains_total
  std::int64_t n_dims = 0;             ///< D
  std::int64_t n_recorded = 0;         ///< columns of activity; 0: none is recorded
  std::vector<std::string> dim_names;  ///< empty, or D names

  bool operator==(const DrawLayout&) const = default;
};

/// One closed segment: chains `first_chain ...` by draws `first_draw ...`.
struct SegmentEntry {
  std::string file;  ///< "part-000000.nc"
  std::string xxh3;
  std::uint64_t bytes = 0;
  std::int64_t first_chain = 0;
  std::int64_t n_chains = 0;
  std::int64_t first_draw = 0;
  std::int64_t n_draws = 0;

  bool operator==(const SegmentEntry&) const = default;
};

struct DrawManifest {
  DrawLayout layout;
  Attributes attributes;
  std::vector<SegmentEntry> segments;
  std::string sample_stats_xxh3;  ///< of sample_stats.nc; empty: not finished

  bool finished() const { return !sample_stats_xxh3.empty(); }
  bool operator==(const DrawManifest&) const = default;
};

/// Throws `Error` for anything that `DrawSegments` would not have written: every number is checked for range, and file
/// names cannot leave the folder.
DrawManifest parse_manifest(std::string_view text, const std::string& name);
std::string encode_manifest(const DrawManifest& manifest);

}  // namespace tarn
