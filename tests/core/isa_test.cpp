// The choice of instruction set.
#include "tarn/core/isa.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

std::string message_of(const std::string& name) {
  try {
    use_isa(name);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Isa, NamesAreThoseOfTheLevels) {
  EXPECT_EQ(name_of(Isa::baseline), "x86-64");
  EXPECT_EQ(name_of(Isa::v3), "x86-64-v3");
  EXPECT_EQ(name_of(Isa::v4), "x86-64-v4");
}

TEST(Isa, AvailableOnesStartAtTheBaselineAndRise) {
  const auto isas = available_isas();
  ASSERT_FALSE(isas.empty());
  EXPECT_EQ(isas.front(), Isa::baseline);
  EXPECT_TRUE(std::is_sorted(isas.begin(), isas.end()));
  EXPECT_EQ(std::adjacent_find(isas.begin(), isas.end()), isas.end());
}

// What is said to be available must have every feature that the compiler may use at that level, by the kernel's own
// list.
TEST(Isa, AvailableOnesAreSupportedByThisProcessor) {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::set<std::string> features;
  for (std::string line; std::getline(cpuinfo, line) && features.empty();) {
    if (line.rfind("flags", 0) != 0) continue;
    std::istringstream words(line);
    for (std::string word; words >> word;) features.insert(word);
  }
  if (features.empty()) GTEST_SKIP() << "/proc/cpuinfo lists no x86 features";
  for (Isa isa : available_isas()) {
    if (isa >= Isa::v3) {
      for (const char* feature : {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}) {
        EXPECT_TRUE(features.contains(feature)) << feature;
      }
    }
    if (isa >= Isa::v4) {
      for (const char* feature : {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}) {
        EXPECT_TRUE(features.contains(feature)) << feature;
      }
    }
  }
}

TEST(Isa, AnyAvailableOneCanBeChosenAndTheBestIsTheDefault) {
  for (Isa isa : available_isas()) {
    use_isa(std::string(name_of(isa)));
    EXPECT_EQ(current_isa(), isa);
  }
  use_isa("");
  EXPECT_EQ(current_isa(), available_isas().back());
}

TEST(Isa, AnUnknownNameIsAUsageError) {
  use_isa("x86-64");
  for (const char* name : {"avx2", "x86-64-v2", "X86-64", "x86-64 "}) {
    EXPECT_THROW(use_isa(name), UsageError);
    const std::string message = message_of(name);
    EXPECT_NE(message.find(name), std::string::npos) << message;
    EXPECT_NE(message.find("x86-64-v3"), std::string::npos) << message;
    EXPECT_EQ(current_isa(), Isa::baseline) << "a rejected name must change nothing";
  }
  use_isa("");
}

TEST(Isa, AMissingLevelIsAnErrorThatNamesTheBest) {
  const auto isas = available_isas();
  for (Isa isa : {Isa::v3, Isa::v4}) {
    if (std::find(isas.begin(), isas.end(), isa) != isas.end()) continue;
    EXPECT_THROW(use_isa(std::string(name_of(isa))), Error);
    EXPECT_NE(message_of(std::string(name_of(isa))).find(name_of(isas.back())), std::string::npos);
  }
}

// The variable is read once, at the first use, so this needs a process of its own.
TEST(IsaDeathTest, TheEnvironmentVariableIsHeeded) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        setenv("TARN_ISA", "x86-64", 1);
        std::_Exit(current_isa() == Isa::baseline ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
  EXPECT_EXIT(
      {
        setenv("TARN_ISA", "fastest", 1);
        try {
          current_isa();
        } catch (const UsageError&) {
          std::_Exit(7);
        }
        std::_Exit(0);
      },
      testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace tarn
