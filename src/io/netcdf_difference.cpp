// Whether two NetCDF files hold the same, but for the time of day: HDF5 checksums its headers, so bytes cannot be masked.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <netcdf.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <map>

#include "tarn/core/error.hpp"
#include "tarn/io/draws.hpp"

namespace tarn {
namespace {

constexpr std::size_t most_bytes = std::size_t{16} << 20;  // of one piece of a variable
const std::array<std::string, 2> times{"sampling_time", "created_at"};

using Name = std::array<char, NC_MAX_NAME + 1>;

// One of the two files, at one of its groups.
struct Side {
  const std::string* file;
  int group;

  void check(int status) const {
    if (status != NC_NOERR) fail("{}: cannot be read as NetCDF ({})", *file, nc_strerror(status));
  }

  std::map<std::string, int> groups() const {
    int n = 0;
    check(nc_inq_grps(group, &n, nullptr));
    std::vector<int> ids(static_cast<std::size_t>(n));
    check(nc_inq_grps(group, &n, ids.data()));
    std::map<std::string, int> found;
    for (const int id : ids) {
      Name name{};
      check(nc_inq_grpname(id, name.data()));
      found[name.data()] = id;
    }
    return found;
  }

  std::map<std::string, std::size_t> dimensions() const {
    int n = 0;
    check(nc_inq_dimids(group, &n, nullptr, 0));
    std::vector<int> ids(static_cast<std::size_t>(n));
    check(nc_inq_dimids(group, &n, ids.data(), 0));
    std::map<std::string, std::size_t> found;
    for (const int id : ids) {
      Name name{};
      std::size_t length = 0;
      check(nc_inq_dim(group, id, name.data(), &length));
      found[name.data()] = length;
    }
    return found;
  }

  // Attribute -> type and bytes; texts of NC_STRING one after another.
  std::map<std::string, std::string> attributes(int variable) const {
    int n = 0;
    if (variable == NC_GLOBAL)
      check(nc_inq_natts(group, &n));
    else
      check(nc_inq_varnatts(group, variable, &n));
    std::map<std::string, std::string> found;
    for (int i = 0; i < n; ++i) {
      Name name{};
      check(nc_inq_attname(group, variable, i, name.data()));
      if (std::ranges::find(times, std::string(name.data())) != times.end()) continue;
      nc_type type = NC_NAT;
      std::size_t length = 0, size = 0;
      check(nc_inq_att(group, variable, name.data(), &type, &length));
      check(nc_inq_type(group, type, nullptr, &size));
      std::string bytes(size * length, '\0');
      check(nc_get_att(group, variable, name.data(), bytes.data()));
      if (type == NC_STRING) bytes = joined(reinterpret_cast<char**>(bytes.data()), length);
      found[name.data()] = fmt::format("{} ", type) + bytes;
    }
    return found;
  }

  struct Variable {
    int id = -1;
    nc_type type = NC_NAT;
    std::size_t element = 0;
    std::vector<std::size_t> extents;
    std::string shape;  // names and lengths of its dimensions
  };
  std::map<std::string, Variable> variables() const {
    int n = 0;
    check(nc_inq_nvars(group, &n));
    std::map<std::string, Variable> found;
    for (int id = 0; id < n; ++id) {
      Name name{};
      Variable v;
      v.id = id;
      int rank = 0;
      std::array<int, NC_MAX_VAR_DIMS> ids{};
      check(nc_inq_var(group, id, name.data(), &v.type, &rank, ids.data(), nullptr));
      check(nc_inq_type(group, v.type, nullptr, &v.element));
      for (int k = 0; k < rank; ++k) {
        Name axis{};
        std::size_t length = 0;
        check(nc_inq_dim(group, ids[static_cast<std::size_t>(k)], axis.data(), &length));
        v.extents.push_back(length);
        v.shape += fmt::format("{} {} ", axis.data(), length);
      }
      found[name.data()] = v;
    }
    return found;
  }

  // Rows `begin ... end - 1` of the first axis; all of a scalar.
  std::string values(const Variable& v, std::size_t begin, std::size_t end, std::size_t row) const {
    std::vector<std::size_t> start(v.extents.size(), 0), count = v.extents;
    std::size_t n = row;
    if (!count.empty()) {
      start[0] = begin;
      count[0] = end - begin;
      n *= count[0];
    }
    std::string bytes(n * v.element, '\0');
    check(nc_get_vara(group, v.id, start.data(), count.data(), bytes.data()));
    return v.type == NC_STRING ? joined(reinterpret_cast<char**>(bytes.data()), n) : bytes;
  }

 private:
  static std::string joined(char** texts, std::size_t n) {
    std::string all;
    for (std::size_t i = 0; i < n; ++i) all += std::string(texts[i] ? texts[i] : "") + '\0';
    nc_free_string(n, texts);
    return all;
  }
};

std::string difference(const Side& a, const Side& b, const std::string& path) {
  if (a.dimensions() != b.dimensions()) return path + ": dimensions";
  if (a.attributes(NC_GLOBAL) != b.attributes(NC_GLOBAL)) return path + ": attributes";
  const auto left = a.variables(), right = b.variables();
  if (left.size() != right.size()) return path + ": variables";
  for (const auto& [name, v] : left) {
    const auto found = right.find(name);
    if (found == right.end() || v.type != found->second.type || v.shape != found->second.shape) return path + name;
    const Side::Variable& w = found->second;
    if (a.attributes(v.id) != b.attributes(w.id)) return path + name + ": attributes";
    std::size_t row = 1;
    for (std::size_t k = 1; k < v.extents.size(); ++k) row *= v.extents[k];
    const std::size_t rows = v.extents.empty() ? 1 : v.extents[0];
    const std::size_t piece = std::max<std::size_t>(1, most_bytes / std::max<std::size_t>(1, row * v.element));
    for (std::size_t at = 0; at < rows; at += piece) {
      const std::size_t end = std::min(rows, at + piece);
      if (a.values(v, at, end, row) != b.values(w, at, end, row)) return path + name;
    }
  }
  const auto inner = a.groups(), outer = b.groups();
  if (inner.size() != outer.size()) return path + ": groups";
  for (const auto& [name, id] : inner) {
    const auto found = outer.find(name);
    if (found == outer.end()) return path + name;
    if (auto text = difference({a.file, id}, {b.file, found->second}, path + name + "/"); !text.empty()) return text;
  }
  return "";
}

// Closed on every way out.
struct OpenFile {
  explicit OpenFile(const std::filesystem::path& path) : name(path.string()) {
    // NetCDF takes names with "://" for addresses; an absolute, normal path has none.
    const std::string local = std::filesystem::absolute(path).lexically_normal();
    if (const int status = nc_open(local.c_str(), NC_NOWRITE, &id); status != NC_NOERR)
      fail("{}: cannot be opened as NetCDF ({})", name, nc_strerror(status));
  }
  ~OpenFile() { nc_close(id); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  std::string name;
  int id = -1;
};

}  // namespace

std::string difference_but_times(const std::filesystem::path& a, const std::filesystem::path& b) {
  const OpenFile left(a), right(b);
  return difference({&left.name, left.id}, {&right.name, right.id}, "/");
}

std::string time_of_day() { return fmt::format("{:%Y-%m-%dT%H:%M:%S}+00:00", fmt::gmtime(std::time(nullptr))); }

}  // namespace tarn
