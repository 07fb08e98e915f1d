// Errors: what a person reads when something cannot be done, and the exit code that goes with it.
#pragma once

#include <fmt/format.h>

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace tarn {

/// `text` as one line that any terminal can show: control characters (line breaks, escapes) become '?', and what is
/// longer than a screen is cut. Messages quote names and values from files that others made.
inline std::string one_line(std::string text) {
  constexpr std::size_t longest = 4000;  // bytes; a path may take 4096, but none that a person reads
  if (text.size() > longest) text = text.substr(0, longest) + "...";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return text;
}

/// Something could not be done (a file is damaged, the disk is full, training diverged): exit code 1.
/// The message is one line: which file or key, what was found, what is allowed, a suggestion where there is one.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(one_line(message)) {}
};

/// The request itself is wrong (a config key, a command-line option, a value out of range): exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// Throws `Error` with a formatted one-line message.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws `UsageError` with a formatted one-line message.
template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws `Error` unless `condition` holds; for preconditions of public functions (shapes, ranges).
template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(format, std::forward<Args>(args)...);
}

/// "a, b, c": the allowed values in a message.
inline std::string listed(std::span<const std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

}  // namespace tarn
