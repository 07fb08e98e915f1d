// The table of choices by measurement: round trip, damage, two writers, folders that cannot be.
#include "tarn/io/choice_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "message_of.hpp"
#include "tarn/core/log.hpp"
#include "tarn/io/file.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ChoiceFile : public testing::Test {
 protected:
  ChoiceFile() { set_quiet(true); }
  std::int64_t n_warnings() const {
    const std::string text = read_text_file(log_path);
    std::int64_t n = 0;
    for (std::size_t at = text.find("will measure again"); at != std::string::npos;
         at = text.find("will measure again", at + 1))
      ++n;
    for (std::size_t at = text.find("written anew"); at != std::string::npos; at = text.find("written anew", at + 1))
      ++n;
    return n;
  }
  const ScratchFolder scratch{"tarn_choices"};
  const fs::path file = scratch.path() / "deep" / "choices.json", log_path = scratch.path() / "log.txt";
  const LogFile log{log_path.string()};
};

TEST_F(ChoiceFile, HoldsWhatWasPutIntoIt) {
  const ChoiceTable table{{"card A", {{"product \"x\"", {"00ff", 1.21}}, {"small", {"8x1x64"}}}}, {"card B", {}}};
  EXPECT_EQ(parse_choices(choices_text(table), "t").at("card A"), table.at("card A"));
  EXPECT_THAT(choices_text(table), testing::Not(HasSubstr("\"gain\": 1.0")));
}

TEST_F(ChoiceFile, EachDeviceHasItsOwn) {
  ChoiceCache one(file);
  EXPECT_TRUE(one.find("card A").empty());
  one.add("card A", "key", {"first", 1.5});
  one.add("card B", "key", {"second"});
  one.add("card A", "other", {"third"});
  ChoiceCache again(file);
  EXPECT_EQ(again.find("card A"), (Choices{{"key", {"first", 1.5}}, {"other", {"third"}}}));
  EXPECT_EQ(again.find("card B"), (Choices{{"key", {"second"}}}));
  EXPECT_TRUE(again.find("card C").empty());
  EXPECT_EQ(n_warnings(), 0);
}

TEST_F(ChoiceFile, DamageIsToldOnceAndWrittenOver) {
  for (const char* text :
       {"", "{", "[]", "{\"format\": 2, \"devices\": {}}", "{\"format\": 1, \"devices\": {\"a\": 1}}",
        "{\"format\": 1, \"devices\": {\"a\": {\"k\": \"v\"}}}",
        "{\"format\": 1, \"devices\": {\"a\": {\"k\": {\"choice\": \"v\", \"gain\": 0.5}}}}",
        "{\"format\": 1, \"devices\": {\"a\": {\"k\": {\"choice\": \"v\", \"gain\": \"x\"}}}}"}) {
    SCOPED_TRACE(text);
    EXPECT_THAT(test::message_of([&] { parse_choices(text, "table.json"); }), HasSubstr("table.json"));
    fs::create_directories(file.parent_path());
    write_file_atomically(file, std::string_view(text));
    const std::int64_t before = n_warnings();
    ChoiceCache cache(file);
    EXPECT_TRUE(cache.find("a").empty());
    EXPECT_TRUE(cache.find("a").empty());
    EXPECT_EQ(n_warnings(), before + 1);
    cache.add("a", "k", {"w"});
    EXPECT_EQ(n_warnings(), before + 1);
    EXPECT_EQ(ChoiceCache(file).find("a"), (Choices{{"k", {"w"}}}));
  }
}

TEST_F(ChoiceFile, AFolderThatCannotBeIsToldOnce) {
  write_file_atomically(scratch.path() / "taken", std::string_view("a file"));
  for (const fs::path& path : {scratch.path() / "taken" / "choices.json", fs::path()}) {
    const std::int64_t before = n_warnings();
    ChoiceCache cache(path);
    EXPECT_TRUE(cache.find("a").empty());
    cache.add("a", "k", {"w"});
    cache.add("a", "l", {"w"});
    EXPECT_EQ(n_warnings(), before + 1);
  }
}

// Four processes with fifty choices each: none is lost.
TEST_F(ChoiceFile, WritersDoNotLoseEachOthersChoices) {
  constexpr int n_writers = 4, n_each = 50;
  for (int w = 0; w < n_writers; ++w) {
    if (fork() != 0) continue;
    ChoiceCache cache(file);
    for (int i = 0; i < n_each; ++i) cache.add("card", std::to_string(w * n_each + i), {"x"});
    _exit(0);
  }
  for (int w = 0; w < n_writers; ++w) {
    int status = 0;
    ASSERT_GT(wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(ChoiceCache(file).find("card").size(), std::size_t{n_writers * n_each});
  EXPECT_EQ(n_warnings(), 0);
}

TEST_F(ChoiceFile, LiesWhereTheEnvironmentSays) {
  setenv("HOME", "/its/home", 1);
  unsetenv("TARN_CACHE_DIR");
  unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(ChoiceCache::usual_path(), "/its/home/.cache/tarn/choices.json");
  setenv("XDG_CACHE_HOME", "relative", 1);  // which the standard says to pass over
  EXPECT_EQ(ChoiceCache::usual_path(), "/its/home/.cache/tarn/choices.json");
  setenv("XDG_CACHE_HOME", "/cache", 1);
  EXPECT_EQ(ChoiceCache::usual_path(), "/cache/tarn/choices.json");
  setenv("TARN_CACHE_DIR", "/here", 1);
  EXPECT_EQ(ChoiceCache::usual_path(), "/here/choices.json");
  for (const char* name : {"TARN_CACHE_DIR", "XDG_CACHE_HOME", "HOME"}) unsetenv(name);
  EXPECT_TRUE(ChoiceCache::usual_path().empty());
}

}  // namespace
}  // namespace tarn
