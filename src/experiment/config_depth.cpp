// How deep the keys of a TOML text go, before a parser that follows them recursively sees it.
#include <algorithm>

#include "config_check.hpp"
#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr int most_parts = 16;  // of a dotted key; the deepest that has a meaning has 3

/// The end of the string that begins at `at`: behind its closing quotes, or the end of the text.
std::size_t end_of_string(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const bool many_lines = text.substr(at, 3) == std::string(3, quote);
  at += many_lines ? 3 : 1;
  for (; at < text.size(); ++at) {
    if (text[at] == '\\' && quote == '"') {
      ++at;
    } else if (!many_lines && (text[at] == quote || text[at] == '\n')) {
      return at + 1;
    } else if (many_lines && text.substr(at, 3) == std::string(3, quote)) {
      at += 3;
      while (at < text.size() && text[at] == quote) ++at;  // up to two quotes may belong to the text
      return at;
    }
  }
  return text.size();
}

}  // namespace

void check_key_depth(std::string_view text, const std::string& source) {
  int parts = 1;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      at = end_of_string(text, at);
      continue;
    }
    if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
      continue;
    }
    if (c == '.') {
      if (++parts > most_parts) {
        fail_usage("{}:{}: a key of more than {} parts; the deepest that has a meaning has 3", source,
                   1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'), most_parts);
      }
    } else if (c == '\n' || c == '=' || c == ',' || c == '[' || c == ']' || c == '{' || c == '}') {
      parts = 1;
    }
    ++at;
  }
}

}  // namespace tarn
