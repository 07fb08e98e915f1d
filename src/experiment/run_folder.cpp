#include "tarn/experiment/run_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "tarn/core/error.hpp"

namespace tarn {
namespace fs = std::filesystem;

RunFolder RunFolder::create(const fs::path& out, const std::string& name) {
  std::error_code error;
  fs::create_directories(out, error);
  if (error) fail("{}: the folder for runs cannot be made: {}", out.string(), error.message());
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &parts);
  for (int attempt = 1; attempt < 10000; ++attempt) {
    const fs::path path =
        out / (attempt == 1 ? fmt::format("{}-{}", name, stamp) : fmt::format("{}-{}-{}", name, stamp, attempt));
    // create_directory is atomic: of two runs that start in one second, each gets its own
    if (fs::create_directory(path, error)) {
      RunFolder folder(path);
      for (const fs::path& sub : {folder.checkpoints(), folder.figures()}) fs::create_directory(sub);
      return folder;
    }
    if (error) fail("{}: the run folder cannot be made: {}", path.string(), error.message());
  }
  fail("{}: no free name for a run folder", (out / name).string());
}

RunFolder RunFolder::open(const fs::path& path) {
  RunFolder folder(path);
  if (!fs::is_directory(path)) fail("{}: no such run folder", path.string());
  if (!fs::exists(folder.config())) fail("{}: not a run folder (config.toml is missing)", path.string());
  return folder;
}

RunFolder RunFolder::create_numbered(const fs::path& out, const std::string& name) {
  std::error_code error;
  fs::create_directories(out, error);
  if (error) fail("{}: the folder cannot be made: {}", out.string(), error.message());
  for (int number = 1; number < 10000; ++number) {
    RunFolder folder(out / fmt::format("{}-{}", name, number));
    if (fs::create_directory(folder.path(), error)) {
      fs::create_directory(folder.figures());
      return folder;
    }
    if (error) fail("{}: the folder of an evaluation cannot be made: {}", folder.path().string(), error.message());
  }
  fail("{}: no free name for an evaluation", out.string());
}

RunFolder RunFolder::create_evaluation() const { return create_numbered(path_, "evaluation"); }

fs::path RunFolder::level_file(std::int64_t level) const {
  return checkpoints() / fmt::format("level-{:02}.safetensors", level);
}

std::vector<LevelFile> RunFolder::level_files() const {
  std::vector<LevelFile> found;
  if (!fs::is_directory(checkpoints())) return found;
  for (const auto& entry : fs::directory_iterator(checkpoints())) {
    const std::string name = entry.path().filename().string();
    constexpr std::string_view prefix = "level-", suffix = ".safetensors";
    if (!name.starts_with(prefix) || !name.ends_with(suffix)) continue;
    const std::string number = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
    if (number.empty() || number.size() > 9 ||
        !std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; }))
      continue;
    found.push_back({std::stoll(number), entry.path()});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.level < b.level; });
  return found;
}

JsonLines::JsonLines(const fs::path& path)
    : path_(path), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (file_ < 0) fail("{}: cannot be opened: {}", path.string(), std::strerror(errno));
}

JsonLines::~JsonLines() {
  if (file_ >= 0) ::close(file_);
}

void JsonLines::write(const std::string& line) {
  const std::string text = line + '\n';
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(file_, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int reason = errno;
      // no half line stays: readers of the file take every line for a whole one
      if (const off_t end = ::lseek(file_, 0, SEEK_END); written > 0 && end >= static_cast<off_t>(written))
        (void)!::ftruncate(file_, end - static_cast<off_t>(written));
      fail("{}: cannot be written: {}", path_.string(), std::strerror(reason));
    }
    written += static_cast<std::size_t>(n);
  }
}

}  // namespace tarn
