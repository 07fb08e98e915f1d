// Text from a file, made fit for a one-line message.
#pragma once

#include <string>
#include <string_view>

namespace tarn {

/// At most `max_length` bytes of `text`, control characters (line breaks, terminal escapes) replaced by '?'.
inline std::string printable(std::string_view text, std::size_t max_length = 80) {
  std::string out(text.substr(0, max_length));
  for (auto& c : out) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return text.size() > max_length ? out + "..." : out;
}

}  // namespace tarn
