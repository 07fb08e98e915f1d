// A small run whose every value is known, for the tests of segments and of merging.
#pragma once

#include <fmt/format.h>
#include <netcdf.h>

#include <algorithm>
#include <limits>
#include <map>
#include <string>

#include "io_test_tools.hpp"
#include "tarn/io/draws.hpp"

namespace tarn {

inline float draw_value(std::int64_t chain, std::int64_t draw, std::int64_t dim) {
  return static_cast<float>(chain * 1000 + draw * 10 + dim);
}

/// What is recorded, in blocks of so many chains.
struct SmallRun {
  DrawLayout layout{10, 0, -1, 3, 0, {}};
  std::int64_t n_draws = 7;
  std::vector<std::int64_t> blocks{4, 4, 2};
  std::int64_t bad_chain = 5;  ///< not finite from draw 3 on
  Attributes attributes{{"dt", 1e-4}, {"model", std::string("reservoir_sampler")}, {"seed", std::int64_t{3407}}};
  StoragePolicy policy{300, 0};

  std::int64_t end() const { return layout.chain_end < 0 ? layout.n_chains_total : layout.chain_end; }

  void take(Sink& sink, std::int64_t first, std::int64_t n, std::int64_t draw) const {
    Matrix<float> x(n, layout.n_dims);
    Matrix<float> activity(n, layout.n_recorded);
    for (std::int64_t i = 0; i < n; ++i) {
      const bool bad = first + i == bad_chain && draw >= 3;
      for (std::int64_t j = 0; j < layout.n_dims; ++j) {
        x(i, j) = bad ? std::numeric_limits<float>::quiet_NaN() : draw_value(first + i, draw, j);
      }
      for (std::int64_t j = 0; j < layout.n_recorded; ++j) activity(i, j) = -draw_value(first + i, draw, j);
    }
    // Recordings come with every second draw.
    const MatrixView<const float> none;
    sink.take({first, draw, (draw + 1) * 100, static_cast<double>(draw + 1) * 0.01, x.view(),
               layout.n_recorded > 0 && draw % 2 == 0 ? MatrixView<const float>(activity.view()) : none});
  }
  /// Sends draws in the order of the chain engine; stops after `limit` of them and says whether all were sent.
  bool send(Sink& sink, std::int64_t limit = std::numeric_limits<std::int64_t>::max()) const {
    auto first = layout.chain_begin;
    for (const auto n : blocks) {
      for (std::int64_t draw = 0; draw < n_draws; ++draw) {
        if (limit-- == 0) return false;
        take(sink, first, n, draw);
      }
      first += n;
    }
    return true;
  }
  ChainSummary summary() const {
    ChainSummary out;
    for (auto chain = layout.chain_begin; chain < end(); ++chain) {
      out.first_bad_step.push_back(chain == bad_chain ? 350 : -1);
      out.extras["score_norm"].push_back(static_cast<double>(chain) / 2);
    }
    return out;
  }
  void write(const std::filesystem::path& directory) const {
    DrawSegments segments(directory, layout, attributes, policy);
    send(segments);
    segments.finish(summary());
  }
};

/// Merging with nothing special but the way the file is laid out.
inline MergeOptions stored(const StoragePolicy& policy) {
  MergeOptions options;
  options.storage = policy;
  return options;
}

/// name -> bytes of every file of a folder.
inline std::map<std::string, Bytes> contents(const std::filesystem::path& folder) {
  std::map<std::string, Bytes> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    out[entry.path().filename()] = read_file(entry.path());
  }
  return out;
}

/// A NetCDF file opened for looking.
class Look {
 public:
  explicit Look(const std::filesystem::path& path) {
    EXPECT_EQ(nc_open(path.c_str(), NC_NOWRITE, &id_), NC_NOERR) << path;
  }
  ~Look() { nc_close(id_); }
  Look(const Look&) = delete;
  Look& operator=(const Look&) = delete;

  int group(const std::string& name) const {
    int id = -1;
    EXPECT_EQ(nc_inq_ncid(id_, name.c_str(), &id), NC_NOERR) << name;
    return id;
  }
  int root() const { return id_; }
  std::vector<std::string> dimensions(int group, const std::string& variable) const {
    int n = 0;
    int dims[NC_MAX_VAR_DIMS];
    EXPECT_EQ(nc_inq_varndims(group, find(group, variable), &n), NC_NOERR);
    EXPECT_EQ(nc_inq_vardimid(group, find(group, variable), dims), NC_NOERR);
    std::vector<std::string> names;
    for (int i = 0; i < n; ++i) {
      char name[NC_MAX_NAME + 1];
      EXPECT_EQ(nc_inq_dimname(group, dims[i], name), NC_NOERR);
      names.emplace_back(name);
    }
    return names;
  }
  std::vector<double> values(int group, const std::string& variable) const {
    std::vector<double> out(size(group, variable));
    EXPECT_EQ(nc_get_var_double(group, find(group, variable), out.data()), NC_NOERR) << variable;
    return out;
  }
  std::vector<std::string> texts(int group, const std::string& variable) const {
    std::vector<char*> raw(size(group, variable));
    EXPECT_EQ(nc_get_var_string(group, find(group, variable), raw.data()), NC_NOERR);
    std::vector<std::string> out(raw.begin(), raw.end());
    nc_free_string(raw.size(), raw.data());
    return out;
  }
  /// "" where there is none.
  std::string text_attribute(int group, const std::string& variable, const std::string& key) const {
    const int id = variable.empty() ? NC_GLOBAL : find(group, variable);
    std::size_t length = 0;
    if (nc_inq_attlen(group, id, key.c_str(), &length) != NC_NOERR) return {};
    std::string out(length, ' ');
    EXPECT_EQ(nc_get_att_text(group, id, key.c_str(), out.data()), NC_NOERR);
    return out;
  }
  double number_attribute(int group, const std::string& key) const {
    double value = std::numeric_limits<double>::quiet_NaN();
    nc_get_att_double(group, NC_GLOBAL, key.c_str(), &value);
    return value;
  }

 private:
  int find(int group, const std::string& variable) const {
    int id = -1;
    EXPECT_EQ(nc_inq_varid(group, variable.c_str(), &id), NC_NOERR) << variable;
    return id;
  }
  std::size_t size(int group, const std::string& variable) const {
    int n = 0;
    int dims[NC_MAX_VAR_DIMS];
    EXPECT_EQ(nc_inq_varndims(group, find(group, variable), &n), NC_NOERR);
    EXPECT_EQ(nc_inq_vardimid(group, find(group, variable), dims), NC_NOERR);
    std::size_t total = 1;
    for (int i = 0; i < n; ++i) {
      std::size_t extent = 0;
      EXPECT_EQ(nc_inq_dimlen(group, dims[i], &extent), NC_NOERR);
      total *= extent;
    }
    return total;
  }

  int id_ = -1;
};

}  // namespace tarn
