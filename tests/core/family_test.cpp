// Names, parameters and ranges of the exponential families.
#include "tarn/core/family.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "tarn/core/error.hpp"

namespace tarn::test {
namespace {

TEST(FamilyNames, GoBothWays) {
  for (const std::string_view name : family_names) EXPECT_EQ(name_of(parse_family(name)), name);
}

TEST(FamilyNames, AnUnknownNameIsAUsageErrorThatNamesTheAllowedOnes) {
  try {
    parse_family("gausian");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("gausian"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("laplace_scale"), std::string::npos);
  }
}

TEST(FamilyParametersCheck, OnlyWhatTheFamilyReadsIsLookedAt) {
  const FamilyParameters bad{-1.0, -1.0, -1.0, 4.0};
  EXPECT_THROW(check_parameters(Family::gaussian, bad), UsageError);
  EXPECT_THROW(check_parameters(Family::rectified, bad), UsageError);
  EXPECT_THROW(check_parameters(Family::laplace, bad), UsageError);
  EXPECT_THROW(check_parameters(Family::laplace_scale, bad), UsageError);
  EXPECT_THROW(check_parameters(Family::quartic, bad), UsageError);
  EXPECT_NO_THROW(check_parameters(Family::gaussian_scale, bad));
  EXPECT_NO_THROW(check_parameters(Family::gaussian, {0.3, -1.0, -1.0, 4.0}));
  EXPECT_NO_THROW(check_parameters(Family::quartic, {-1.0, -1.0, -1.0, 3.0}));
}

TEST(FamilyParametersCheck, TheMessageSaysWhichWhatAndWhatIsAllowed) {
  try {
    check_parameters(Family::laplace, {1.0, 4.0, std::numeric_limits<double>::quiet_NaN(), 1.0});
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_EQ(std::string(error.what()), "family laplace: width is nan; allowed: 1e-4 to 1e4");
  }
}

TEST(EtaRanges, AreThoseWhereTheLawCanBeNormalised) {
  const FamilyParameters p;
  EXPECT_EQ(eta_range(Family::laplace, p).low, -4.0);
  EXPECT_EQ(eta_range(Family::laplace, p).high, 4.0);
  EXPECT_EQ(eta_range(Family::gaussian_scale, p).low, 0.0);
  EXPECT_EQ(eta_range(Family::laplace_scale, p).low, 0.0);
  for (const Family family : {Family::gaussian, Family::quartic, Family::rectified}) {
    EXPECT_TRUE(std::isinf(eta_range(family, p).low));
    EXPECT_TRUE(std::isinf(eta_range(family, p).high));
  }
}

}  // namespace
}  // namespace tarn::test
