// What every fuzz target promises: any input is either read or refused by a tarn::Error of one line. Anything else (another
// exception, a signal, a sanitizer's report, memory beyond the limit, a hang) is a finding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

#include "tarn/core/error.hpp"
#include "tarn/io/file.hpp"

namespace tarn::fuzz {

/// The name that readers show in their messages.
inline const std::string name = "input";

/// Ends the program, so that libFuzzer keeps the input.
[[noreturn]] inline void finding(std::string_view what, std::string_view message = {}) {
  std::fprintf(stderr, "finding: %.*s%.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(message.size()), message.data());
  std::abort();
}

/// Calls `read`; an `Error` is fine where it is one printable line. True where the input was read.
template <class Read>
bool reads_or_refuses(Read read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    const std::string_view message = error.what();
    if (message.empty() || message.size() > 5000) finding("a message that is empty or too long: ", message);
    for (const char c : message) {
      if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') finding("control character in: ", message);
    }
  } catch (const std::exception& error) {
    finding("not a tarn::Error: ", error.what());
  }
  return false;
}

/// Ends the program unless what was read, written and read again is the same.
inline void expect_same(bool same) {
  if (!same) finding("written and read again it differs");
}

inline ByteView bytes_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}
inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace tarn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
