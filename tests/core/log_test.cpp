// The log on the terminal and in a run's file.
#include "tarn/core/log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
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

TEST(Log, AFullDiskIsSaidOnceAndStopsNothing) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "/dev/full is not there";
  testing::internal::CaptureStderr();
  {
    const LogFile file("/dev/full");
    set_quiet(true);
    for (int i = 0; i < 3; ++i) info("line {}", i);
    set_quiet(false);
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(said.starts_with("warning: the log is incomplete: ")) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

TEST(Errors, AreOneLineWhateverTheyQuote) {
  const auto message = [](const std::string& name) -> std::string {
    try {
      fail("{}: is wrong", name);
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_EQ(message("a\nb\x1b[2Jc\x7f"), "a?b?[2Jc?: is wrong");
  EXPECT_EQ(message("gr\xc3\xb6\xc3\x9f"), "gr\xc3\xb6\xc3\x9f: is wrong");
  EXPECT_EQ(message(std::string(10'000, 'x')).size(), 4003u);
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
