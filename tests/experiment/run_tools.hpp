// Shared by the tests of whole runs: scratch folders, tiny configs, comparison of folders.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tarn/core/log.hpp"
#include "tarn/experiment/runner.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/file.hpp"
#include "tarn/sampling/live_diagnostics.hpp"

namespace tarn::test {

namespace fs = std::filesystem;

/// A folder of its own for each test, removed at the end; nothing but warnings on the terminal.
class RunTest : public testing::Test {
 protected:
  RunTest() { set_quiet(true); }
  const ScratchFolder scratch{"tarn_run"};
  const fs::path folder = scratch.path();
};

inline std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_text(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

/// Every file below `path`, by its name from there.
inline std::map<std::string, std::string> files_below(const fs::path& path) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files[fs::relative(entry.path(), path).string()] = read_text(entry.path());
  }
  return files;
}

/// The same draws, attributes and all, but for the time of day.
inline void expect_same_draws(const fs::path& a, const fs::path& b) {
  EXPECT_EQ(difference_but_times(a, b), "") << a << " and " << b;
}

/// Both folders hold the same files with the same bytes, but for those in `but` and the three that hold wall-clock values.
inline void expect_same_files(const fs::path& a, const fs::path& b, std::set<std::string> but = {}) {
  but.insert({"log.txt", "timing.jsonl", "report.html"});
  const auto left = files_below(a), right = files_below(b);
  for (const auto& [name, bytes] : left) {
    if (!right.contains(name)) {
      ADD_FAILURE() << name << " is missing in " << b;
    } else if (fs::path(name).filename() == "samples.nc") {
      expect_same_draws(a / name, b / name);
    } else if (!but.contains(name)) {
      EXPECT_TRUE(bytes == right.at(name)) << name << " differs";
    }
  }
  EXPECT_EQ(left.size(), right.size());
}

/// The double peak with 32 neurons: 3 levels of 100 steps, 100 chains.
inline const std::string tiny_peak =
    "[run]\nname = \"tiny\"\nseed = 5\n"
    "[data]\nkind = \"gaussian_mixture\"\nmeans = [[-1.0], [1.0]]\nstd = 0.5\nepoch_size = 1280\n"
    "[model]\nneurons = 32\n"
    "[training]\nepochs = 15\nbatch_size = 64\n[training.noise]\nlevels = 3\n"
    "[sampling]\nschedule = \"last_level\"\nchains = 100\nsteps = 60\nburn_in = 10\nthin = 20\ndt = 0.01\n";

/// A linear-Gaussian HEE model of two latents on four dimensions: 80 batches, 512 posterior chains.
inline const std::string tiny_hee =
    "[run]\nname = \"tiny\"\nseed = 5\n"
    "[data]\nkind = \"gaussian_mixture\"\nmeans = [[0.0, 0.0, 0.0, 0.0]]\nepoch_size = 1280\n"
    "covariances = [[[1.25, 0.375, 1.0, 0.375], [0.375, 1.25, 0.375, 1.0], [1.0, 0.375, 1.25, 0.375], "
    "[0.375, 1.0, 0.375, 1.25]]]\n"
    "[inference]\ndt = 0.05\nsteps = 40\nwindow = 20\nintegrator = \"leimkuhler_matthews\"\nchains_per_datum = 2\n"
    "[training]\nepochs = 4\nbatch_size = 64\n"
    "[training.optimizer]\nkind = \"adam\"\nlr = 0.02\nlr_schedule = \"cosine\"\n"
    "[sampling]\nchains = 512\nsteps = 120\nburn_in = 10\nthin = 50\n"
    "[model]\nkind = \"hee\"\n"
    "[[model.layers]]\nfamily = \"gaussian\"\ns = 0.5\n"
    "[[model.layers]]\nsize = 2\nfamily = \"gaussian\"\n";

/// Bit by bit, NaN at the same places.
inline void expect_same_live(const LiveDiagnostics& a, const LiveDiagnostics& b) {
  const auto numbers = [](const LiveDiagnostics& d) {
    std::vector<double> out{static_cast<double>(d.n_looks),     static_cast<double>(d.n_chains),
                            static_cast<double>(d.n_lost),      static_cast<double>(d.n_stuck),
                            static_cast<double>(d.n_duplicate), d.mode_changes};
    for (const LiveQuantity& q : d.quantities) {
      out.insert(out.end(), {q.mean, q.deviation, q.r_hat, q.nested_r_hat, q.ess, q.mcse, q.below_zero});
      out.insert(out.end(), std::begin(q.autocorrelation), std::end(q.autocorrelation));
      out.insert(out.end(), std::begin(q.quantiles), std::end(q.quantiles));
    }
    out.insert(out.end(), d.mode_shares.begin(), d.mode_shares.end());
    std::vector<std::uint64_t> bits;
    for (const double x : out) bits.push_back(std::isnan(x) ? 0 : std::bit_cast<std::uint64_t>(x));
    return bits;
  };
  EXPECT_EQ(numbers(a), numbers(b));
}

}  // namespace tarn::test
