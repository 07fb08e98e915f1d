// Shared by the tests of io: scratch folders, golden files, and what a good refusal looks like.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tarn/core/error.hpp"
#include "tarn/io/file.hpp"

namespace tarn {

inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(TARN_TEST_DATA) / "io" / name;
}

/// A folder of its own for each test, removed at the end.
class IoTest : public testing::Test {
 protected:
  std::filesystem::path in_folder(const std::string& name) const { return folder_ / name; }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  const ScratchFolder scratch_{"tarn_io"};
  const std::filesystem::path folder_ = scratch_.path();
};

/// The message of the `Error` that `action` throws; it must be one line. Fails the test where nothing is thrown.
inline std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_FALSE(message.empty());
    return message;
  }
  ADD_FAILURE() << "expected an error";
  return {};
}

#define EXPECT_REFUSED(statement, text) EXPECT_THAT(refusal([&] { (void)(statement); }), testing::HasSubstr(text))

/// Every proper beginning of `data` must be refused in one line.
inline void refuses_truncations(const Bytes& data, const std::function<void(ByteView)>& parse) {
  for (std::size_t length = 0; length < data.size(); ++length) {
    // A copy of exactly this size, so that reading beyond it is seen by the address sanitizer.
    const Bytes beginning(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(length));
    const auto message = refusal([&] { parse(beginning); });
    if (message.empty()) {
      ADD_FAILURE() << "accepted the first " << length << " of " << data.size() << " bytes";
      return;
    }
  }
}

/// Whatever one byte is changed to, the reader answers with a value or a one-line `Error`, nothing else.
inline void survives_byte_changes(const Bytes& data, const std::function<void(ByteView)>& parse) {
  for (std::size_t at = 0; at < data.size(); ++at) {
    for (const int value :
         {0x00, 0x01, 0x7f, 0x80, 0xff, static_cast<int>(data[at]) ^ 0x04, static_cast<int>(data[at]) + 1}) {
      Bytes changed = data;
      changed[at] = static_cast<std::byte>(value);
      try {
        parse(changed);
      } catch (const Error& error) {
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      }
    }
  }
}

inline Bytes to_bytes(const std::string& text) {
  const auto view = as_byte_view(text);
  return {view.begin(), view.end()};
}

}  // namespace tarn
