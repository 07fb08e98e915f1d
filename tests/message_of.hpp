// What an error says, for the tests of every folder.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tarn/core/error.hpp"

namespace tarn::test {

/// The message of the error that `f` throws. The test fails where it throws none, and where the message is not one line of
/// at most 400 characters.
template <class E = Error, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LE(message.size(), 400u) << message;
    return message;
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace tarn::test
