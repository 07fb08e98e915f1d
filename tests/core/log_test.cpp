// The log on the terminal and in a run's file.
#include "tarn/core/log.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Log, WritesPlainLinesToStderr) {
  testing::internal::CaptureStderr();
  info("trained {} levels", 10);
  warn("{} chains left the bound", 3);
  log_info("braces {} and {0} stay");
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "trained 10 levels\nwarning: 3 chains left the bound\nbraces {} and {0} stay\n");
}

TEST(Log, QuietKeepsWarnings) {
  testing::internal::CaptureStderr();
  set_quiet(true);
  info("unseen");
  warn("seen");
  set_quiet(false);
  info("seen too");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "warning: seen\nseen too\n");
}

TEST(Log, AFileKeepsStampedLinesWhileItLives) {
  const std::string path = testing::TempDir() + "tarn_log_test.txt";
  std::filesystem::remove(path);
  testing::internal::CaptureStderr();
  {
    const LogFile file(path);
    set_quiet(true);
    info("first");
    set_quiet(false);
  }
  info("after the file");
  {
    const LogFile again(path);
    warn("second");
  }
  testing::internal::GetCapturedStderr();
  const std::string stamp = R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  )";
  const std::string text = contents(path);
  EXPECT_TRUE(std::regex_match(text, std::regex(stamp + "first\n" + stamp + "warning: second\n"))) << text;
  std::filesystem::remove(path);
}

TEST(Log, AFileThatCannotBeOpenedIsAnError) {
  const std::string directory = testing::TempDir() + "tarn_log_test_directory";
  std::filesystem::create_directories(directory);
  try {
    const LogFile file(directory);
    FAIL() << "a directory is no log";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).rfind(directory + ": ", 0), 0u) << error.what();
  }
  testing::internal::CaptureStderr();
  info("the log still works");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "the log still works\n");
  std::filesystem::remove(directory);
}

}  // namespace
}  // namespace tarn
