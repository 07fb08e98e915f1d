#include "netcdf_file.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace tarn {
namespace {

constexpr std::size_t chunk_bytes = 1U << 20;

/// NetCDF takes names with "://" for addresses and would go to the network; an absolute, normal path has none.
std::string local_name(const std::filesystem::path& path) { return std::filesystem::absolute(path).lexically_normal(); }

std::string describe(const std::vector<std::int64_t>& extents) {
  std::string out = "(";
  for (const auto extent : extents) out += (out.size() > 1 ? ", " : "") + (extent < 0 ? "any" : std::to_string(extent));
  return out + ")";
}

std::size_t type_size(nc_type type) {
  switch (type) {
    case NC_BYTE:
      return 1;
    case NC_FLOAT:
      return 4;
    default:
      return 8;
  }
}

}  // namespace

std::size_t Slab::size() const {
  return std::accumulate(count.begin(), count.end(), std::size_t{1}, std::multiplies<>());
}

void NetcdfFile::check(int status, const std::string& doing) const {
  if (status == NC_NOERR) return;
  // The HDF5 layer reports a full disk, a file-size limit and damage alike, as one number.
  fail("{}: {} failed ({}{})", name_, doing, nc_strerror(status),
       status == NC_EHDFERR ? ": a full disk, a limit on file sizes, or a damaged file" : "");
}

NetcdfFile NetcdfFile::create(const std::filesystem::path& path) {
  int id = 0;
  const int status = nc_create(local_name(path).c_str(), NC_NETCDF4 | NC_CLOBBER, &id);
  if (status != NC_NOERR) fail("{}: cannot be written ({})", path.string(), nc_strerror(status));
  return {id, path.string()};
}

NetcdfFile NetcdfFile::open(const std::filesystem::path& path) {
  int id = 0;
  const int status = nc_open(local_name(path).c_str(), NC_NOWRITE, &id);
  if (status != NC_NOERR) fail("{}: cannot be opened as NetCDF ({})", path.string(), nc_strerror(status));
  return {id, path.string()};
}

NetcdfFile::~NetcdfFile() {
  if (open_) nc_close(id_);
}

void NetcdfFile::close() {
  open_ = false;
  check(nc_close(id_), "closing");
}

int NetcdfFile::define_group(int group, const std::string& name) {
  int id = 0;
  check(nc_def_grp(group, name.c_str(), &id), "making the group " + name);
  return id;
}

int NetcdfFile::group(int parent, const std::string& name) const {
  int id = 0;
  check(nc_inq_ncid(parent, name.c_str(), &id), "finding the group " + name);
  return id;
}

int NetcdfFile::define_dimension(int group, const std::string& name, std::int64_t size) {
  require(size > 0, "{}: dimension {} is empty", name_, name);  // NetCDF takes 0 for "unlimited"
  int id = 0;
  check(nc_def_dim(group, name.c_str(), static_cast<std::size_t>(size), &id), "making the dimension " + name);
  return id;
}

int NetcdfFile::define_variable(int group, const std::string& name, nc_type type, const std::vector<int>& dimensions,
                                const StoragePolicy& policy) {
  int id = 0;
  check(nc_def_var(group, name.c_str(), type, static_cast<int>(dimensions.size()), dimensions.data(), &id),
        "making the variable " + name);
  if (policy.deflate == 0) {
    check(nc_def_var_chunking(group, id, NC_CONTIGUOUS, nullptr), "laying out " + name);
    // Everything is written exactly once, so that writing fill values first would only double the work.
    if (type != NC_STRING) check(nc_def_var_fill(group, id, NC_NOFILL, nullptr), "laying out " + name);
    return id;
  }
  // Chunks take whole rows first, then draws, then chains.
  std::vector<std::size_t> chunk(dimensions.size(), 1);
  std::size_t left = std::max<std::size_t>(1, chunk_bytes / type_size(type));
  for (std::size_t axis = dimensions.size(); axis-- > 0;) {
    std::size_t extent = 0;
    check(nc_inq_dimlen(group, dimensions[axis], &extent), "laying out " + name);
    chunk[axis] = std::min(extent, left);
    left = std::max<std::size_t>(1, left / chunk[axis]);
  }
  check(nc_def_var_chunking(group, id, NC_CHUNKED, chunk.data()), "laying out " + name);
  check(nc_def_var_deflate(group, id, NC_SHUFFLE, 1, policy.deflate), "laying out " + name);
  return id;
}

void NetcdfFile::end_definitions() { check(nc_enddef(id_), "making the file"); }

void NetcdfFile::set_attribute(int group, int variable, const std::string& key, const AttributeValue& value) {
  const auto doing = "writing the attribute " + key;
  if (const auto* text = std::get_if<std::string>(&value)) {
    check(nc_put_att_text(group, variable, key.c_str(), text->size(), text->c_str()), doing);
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    const long long wide = *integer;
    check(nc_put_att_longlong(group, variable, key.c_str(), NC_INT64, 1, &wide), doing);
  } else {
    check(nc_put_att_double(group, variable, key.c_str(), NC_DOUBLE, 1, &std::get<double>(value)), doing);
  }
}

void NetcdfFile::set_attributes(int group, const Attributes& attributes) {
  for (const auto& [key, value] : attributes) set_attribute(group, NC_GLOBAL, key, value);
}

int NetcdfFile::variable(int group, const std::string& name, nc_type type,
                         const std::vector<std::int64_t>& wanted) const {
  int id = 0;
  check(nc_inq_varid(group, name.c_str(), &id), "finding the variable " + name);
  nc_type found = NC_NAT;
  check(nc_inq_vartype(group, id, &found), "examining " + name);
  const auto shape = extents(group, id);
  bool same = found == type && shape.size() == wanted.size();
  for (std::size_t axis = 0; same && axis < shape.size(); ++axis)
    same = wanted[axis] < 0 || shape[axis] == wanted[axis];
  if (!same) {
    fail("{}: variable {} has shape {} and NetCDF type {}, expected shape {} and type {}", name_, name, describe(shape),
         found, describe(wanted), type);
  }
  return id;
}

bool NetcdfFile::has_variable(int group, const std::string& name) const {
  int id = 0;
  return nc_inq_varid(group, name.c_str(), &id) == NC_NOERR;
}

std::vector<std::int64_t> NetcdfFile::extents(int group, int variable) const {
  int n = 0;
  check(nc_inq_varndims(group, variable, &n), "examining a variable");
  std::vector<int> dimensions(static_cast<std::size_t>(n));
  check(nc_inq_vardimid(group, variable, dimensions.data()), "examining a variable");
  std::vector<std::int64_t> out;
  for (const int dimension : dimensions) {
    std::size_t extent = 0;
    check(nc_inq_dimlen(group, dimension, &extent), "examining a variable");
    out.push_back(static_cast<std::int64_t>(extent));
  }
  return out;
}

std::size_t NetcdfFile::n_axes(int group, const std::string& variable) const {
  int id = 0;
  check(nc_inq_varid(group, variable.c_str(), &id), "finding the variable " + variable);
  return extents(group, id).size();
}

std::vector<std::string> NetcdfFile::variable_names(int group) const {
  int n = 0;
  check(nc_inq_nvars(group, &n), "listing variables");
  std::vector<std::string> names;
  for (int id = 0; id < n; ++id) {
    std::array<char, NC_MAX_NAME + 1> name{};
    check(nc_inq_varname(group, id, name.data()), "listing variables");
    names.emplace_back(name.data());
  }
  return names;
}

namespace {

template <class T>
void require_count(const Slab& slab, std::span<T> values, const std::string& name) {
  require(slab.size() == values.size(), "{}: {} values for a slab of {}", name, values.size(), slab.size());
}

}  // namespace

void NetcdfFile::put(int group, int variable, const Slab& slab, std::span<const float> values) {
  require_count(slab, values, name_);
  check(nc_put_vara_float(group, variable, slab.start.data(), slab.count.data(), values.data()), "writing");
}
void NetcdfFile::put(int group, int variable, const Slab& slab, std::span<const double> values) {
  require_count(slab, values, name_);
  check(nc_put_vara_double(group, variable, slab.start.data(), slab.count.data(), values.data()), "writing");
}
void NetcdfFile::put(int group, int variable, const Slab& slab, std::span<const std::int64_t> values) {
  static_assert(sizeof(std::int64_t) == sizeof(long long));
  require_count(slab, values, name_);
  check(nc_put_vara(group, variable, slab.start.data(), slab.count.data(), values.data()), "writing");
}
void NetcdfFile::put(int group, int variable, const Slab& slab, std::span<const signed char> values) {
  require_count(slab, values, name_);
  check(nc_put_vara_schar(group, variable, slab.start.data(), slab.count.data(), values.data()), "writing");
}
void NetcdfFile::put_texts(int group, int variable, const std::vector<std::string>& values) {
  std::vector<const char*> texts;
  for (const auto& value : values) texts.push_back(value.c_str());
  check(nc_put_var_string(group, variable, texts.data()), "writing");
}

void NetcdfFile::get(int group, int variable, const Slab& slab, std::span<float> values) const {
  require_count(slab, values, name_);
  check(nc_get_vara_float(group, variable, slab.start.data(), slab.count.data(), values.data()), "reading");
}
void NetcdfFile::get(int group, int variable, const Slab& slab, std::span<double> values) const {
  require_count(slab, values, name_);
  check(nc_get_vara_double(group, variable, slab.start.data(), slab.count.data(), values.data()), "reading");
}
void NetcdfFile::get(int group, int variable, const Slab& slab, std::span<std::int64_t> values) const {
  // Callers have checked that the variable is NC_INT64, so that the untyped call copies as is.
  require_count(slab, values, name_);
  check(nc_get_vara(group, variable, slab.start.data(), slab.count.data(), values.data()), "reading");
}
void NetcdfFile::get(int group, int variable, const Slab& slab, std::span<signed char> values) const {
  require_count(slab, values, name_);
  check(nc_get_vara_schar(group, variable, slab.start.data(), slab.count.data(), values.data()), "reading");
}

TemporaryFile::~TemporaryFile() {
  std::error_code ignored;
  if (!published_) std::filesystem::remove(path_, ignored);
}

void TemporaryFile::publish() {
  publish_file(path_, target_);
  published_ = true;
}

int define_axis(NetcdfFile& file, int group, const std::string& name, int dimension) {
  return file.define_variable(group, name, NC_INT64, {dimension});
}

void put_counting(NetcdfFile& file, int group, int variable, std::int64_t begin, std::int64_t n, std::int64_t first) {
  constexpr std::int64_t piece = 1 << 16;
  std::vector<std::int64_t> values;
  for (std::int64_t done = 0; done < n; done += piece) {
    values.resize(static_cast<std::size_t>(std::min(piece, n - done)));
    std::iota(values.begin(), values.end(), first + done);
    file.put(group, variable, {{static_cast<std::size_t>(begin + done)}, {values.size()}}, values);
  }
}

}  // namespace tarn
