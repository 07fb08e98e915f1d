// A NetCDF-4 file whose every call is checked, and that is closed on every way out.
#pragma once

#include <netcdf.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "tarn/io/draws.hpp"

namespace tarn {

/// A start and a count an axis.
struct Slab {
  std::vector<std::size_t> start;
  std::vector<std::size_t> count;

  std::size_t size() const;
};

class NetcdfFile {
 public:
  static NetcdfFile create(const std::filesystem::path& path);
  static NetcdfFile open(const std::filesystem::path& path);
  ~NetcdfFile();
  NetcdfFile(const NetcdfFile&) = delete;
  NetcdfFile& operator=(const NetcdfFile&) = delete;
  /// Throws `Error`, for instance where the disk is full.
  void close();
  const std::string& name() const { return name_; }

  // Groups are NetCDF's own numbers; `root()` is one of them.
  int root() const { return id_; }
  int define_group(int group, const std::string& name);
  int group(int parent, const std::string& name) const;
  int define_dimension(int group, const std::string& name, std::int64_t size);
  /// Element type by `type` (NC_FLOAT, ...). Scalars of a coordinate axis and small variables take the default policy.
  int define_variable(int group, const std::string& name, nc_type type, const std::vector<int>& dimensions,
                      const StoragePolicy& policy = {});
  void end_definitions();
  void set_attribute(int group, int variable, const std::string& key, const AttributeValue& value);
  void set_attributes(int group, const Attributes& attributes);

  /// A variable that must exist with this type and these extents (-1: any); throws `Error` saying what was found.
  int variable(int group, const std::string& name, nc_type type, const std::vector<std::int64_t>& extents) const;
  bool has_variable(int group, const std::string& name) const;
  std::vector<std::int64_t> extents(int group, int variable) const;
  std::vector<std::string> variable_names(int group) const;
  std::size_t n_axes(int group, const std::string& variable) const;

  // `values` must have as many elements as the slab.
  void put(int group, int variable, const Slab& slab, std::span<const float> values);
  void put(int group, int variable, const Slab& slab, std::span<const double> values);
  void put(int group, int variable, const Slab& slab, std::span<const std::int64_t> values);
  void put(int group, int variable, const Slab& slab, std::span<const signed char> values);
  void put_texts(int group, int variable, const std::vector<std::string>& values);
  void get(int group, int variable, const Slab& slab, std::span<float> values) const;
  void get(int group, int variable, const Slab& slab, std::span<double> values) const;
  void get(int group, int variable, const Slab& slab, std::span<std::int64_t> values) const;
  void get(int group, int variable, const Slab& slab, std::span<signed char> values) const;

 private:
  NetcdfFile(int id, std::string name) : id_(id), name_(std::move(name)) {}
  void check(int status, const std::string& doing) const;

  int id_;
  std::string name_;
  bool open_ = true;
};

/// Removes a half-written file unless it was published.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& target) : target_(target), path_(target.string() + ".tmp") {}
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::filesystem::path& path() const { return path_; }
  void publish();

 private:
  std::filesystem::path target_;
  std::filesystem::path path_;
  bool published_ = false;
};

/// Defines a coordinate variable (int64) of a dimension and returns its number.
int define_axis(NetcdfFile& file, int group, const std::string& name, int dimension);
/// Writes `first, first + 1, ...` to entries `begin ... begin + n - 1`, in pieces.
void put_counting(NetcdfFile& file, int group, int variable, std::int64_t begin, std::int64_t n, std::int64_t first);

inline constexpr const char* sample_stats_file = "sample_stats.nc";
inline constexpr const char* manifest_file = "manifest.json";

}  // namespace tarn
