// The log: what a person reads on the terminal and in a run's log.txt. Wall-clock values go here and nowhere else.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace tarn {

void log_info(const std::string& message);
void log_warn(const std::string& message);

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  log_info(fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  log_warn(fmt::format(format, std::forward<Args>(args)...));
}

/// Nothing but warnings and errors on the terminal.
void set_quiet(bool quiet);

/// While it lives, everything logged is also appended to `path`. Throws `Error` where the file cannot be opened.
class LogFile {
 public:
  explicit LogFile(const std::string& path);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
};

}  // namespace tarn
