// The folder of a run, and where everything lies in it (docs/run-folder.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tarn {

/// A level whose weights were kept.
struct LevelFile {
  std::int64_t level = 0;
  std::filesystem::path path;
};

class RunFolder {
 public:
  /// Makes `<out>/<name>-YYYYMMDD-HHMMSS`, with a number behind it where that exists: an old run is never written into.
  /// Throws `Error` where the folder cannot be made.
  static RunFolder create(const std::filesystem::path& out, const std::string& name);
  /// An existing run. Throws `Error` where `path` is not the folder of a run.
  static RunFolder open(const std::filesystem::path& path);

  /// Makes `<out>/<name>-1`, or the next free number, for results that belong to no run. Throws `Error`.
  static RunFolder create_numbered(const std::filesystem::path& out, const std::string& name);
  /// Makes `evaluation-1`, or the next free number, inside this run: what is found later does not touch what the run wrote.
  /// Throws `Error`.
  RunFolder create_evaluation() const;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config() const { return path_ / "config.toml"; }
  std::filesystem::path log() const { return path_ / "log.txt"; }
  std::filesystem::path timing() const { return path_ / "timing.jsonl"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path data_maps() const { return path_ / "data.safetensors"; }
  std::filesystem::path weights() const { return path_ / "weights.safetensors"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path samples() const { return path_ / "samples"; }
  std::filesystem::path samples_file() const { return path_ / "samples.nc"; }
  std::filesystem::path figures() const { return path_ / "figures"; }
  std::filesystem::path report_json() const { return path_ / "report.json"; }
  std::filesystem::path report() const { return path_ / "report.html"; }
  std::filesystem::path done() const { return path_ / "DONE"; }

  /// `checkpoints/level-03.safetensors`: the network at the end of level 3.
  std::filesystem::path level_file(std::int64_t level) const;
  /// Levels that are there, in order.
  std::vector<LevelFile> level_files() const;

 private:
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

/// Appends lines of JSON to a file; each line is on disk before `write` returns. Numbers that are not finite are
/// written as strings
/// ("NaN", "Infinity"), since JSON has none.
class JsonLines {
 public:
  explicit JsonLines(const std::filesystem::path& path);
  ~JsonLines();
  JsonLines(const JsonLines&) = delete;
  JsonLines& operator=(const JsonLines&) = delete;
  /// `line` is one JSON object without a line break. Throws `Error` where it cannot be written.
  void write(const std::string& line);

 private:
  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace tarn
