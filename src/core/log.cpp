#include "tarn/core/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

// Plain messages on the terminal (no time stamps there), stamped ones in files.
spdlog::logger& logger() {
  static const auto instance = [] {
    auto terminal = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    terminal->set_pattern("%v");
    auto made = std::make_shared<spdlog::logger>("tarn", terminal);
    made->set_level(spdlog::level::info);
    made->flush_on(spdlog::level::info);
    // A log that cannot be written stops no run: what matters fails by itself on a full disk.
    made->set_error_handler([said = false](const std::string& reason) mutable {
      if (!std::exchange(said, true)) fmt::print(stderr, "warning: the log is incomplete: {}\n", one_line(reason));
    });
    return made;
  }();
  return *instance;
}

}  // namespace

void log_info(const std::string& message) { logger().info(message); }
void log_warn(const std::string& message) { logger().warn("warning: " + message); }
void set_quiet(bool quiet) { logger().sinks().front()->set_level(quiet ? spdlog::level::warn : spdlog::level::info); }

LogFile::LogFile(const std::string& path) {
  try {
    auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
    file->set_pattern("%Y-%m-%d %H:%M:%S.%e  %v");
    logger().sinks().push_back(std::move(file));
  } catch (const spdlog::spdlog_ex& error) {
    fail("{}: the log cannot be opened: {}", path, error.what());
  }
}

LogFile::~LogFile() { logger().sinks().pop_back(); }

}  // namespace tarn
