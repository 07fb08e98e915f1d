// What the page says of figures of merit: where they stand beside their floors, and in one sentence.
#include "thresholds.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tarn {
namespace {

using testing::HasSubstr;

const double nan = std::nan("");

Metric with_floor(const std::string& name, double value, double floor, double deviation) {
  return {name, name, value, floor, deviation, {}, {}};
}

Metric quality(const std::string& name, double value, double floor, double deviation) {
  Metric m = with_floor(name + "_filter_space", value, floor, deviation);
  const Interval none{nan, nan, nan};
  m.quality = QualityFigure{name, name, none, none, none, none, 100, 100};
  return m;
}

TEST(Thresholds, BesideTheFloor) {
  EXPECT_EQ(beside_floor(with_floor("w1_x", 0.5, 0.1, 0.02)), "5.0 × the floor");
  EXPECT_EQ(beside_floor(with_floor("w1_x", 0.15, 0.1, 0.02)), "at the floor");
  EXPECT_EQ(beside_floor(with_floor("w1_x", 0.01, 0.1, 0.02)), "below the floor");
  EXPECT_EQ(beside_floor(with_floor("coverage", 0.5, 0.9, 0.1)), "4.0 deviations off");
  EXPECT_EQ(beside_floor(with_floor("coverage", 0.8, 0.9, 0.1)), "as exact draws");
  // no spread of the floor is known
  EXPECT_EQ(beside_floor(with_floor("generation_joint_noise_w2", 0.5, 0.1, nan)), "5.0 × the floor");
  EXPECT_EQ(beside_floor(with_floor("generation_joint_noise_w2", 0.1, 0.1, nan)), "below the floor");
  EXPECT_EQ(beside_floor(with_floor("w1_x", nan, 0.1, 0.02)), "");
}

const ReportStatement* about(const std::vector<ReportStatement>& all, const std::string& word) {
  for (const ReportStatement& s : all) {
    if (s.text.find(word) != std::string::npos) return &s;
  }
  return nullptr;
}

TEST(Thresholds, OneDistanceAtItsFloorIsNotGoodWhereOthersAreNot) {
  EvaluationOutcome out;
  out.metrics = {quality("frechet", 7.8, 4.4, 1.2), quality("recall", 0.93, 0.96, 0.02),
                 quality("coverage", 0.01, 0.4, 0.03), quality("density", nan, 1.0, 0.1)};
  const auto said = statements(out);
  const ReportStatement* frechet = about(said, "frechet");
  ASSERT_NE(frechet, nullptr);
  EXPECT_EQ(frechet->text, "frechet_filter_space: 7.80, at the floor; not so coverage");
  EXPECT_EQ(frechet->verdict, Verdict::none);
  out.metrics[2].value = 0.38;
  const auto then = statements(out);
  EXPECT_EQ(about(then, "frechet")->verdict, Verdict::good);
  EXPECT_EQ(about(then, "not so"), nullptr);
}

TEST(Thresholds, OnlyADistanceStandsForTheQualityOfDraws) {
  EvaluationOutcome out;
  out.metrics = {with_floor("excess_kurtosis_x0", 3.0, 0.0, 0.1)};
  EXPECT_EQ(about(statements(out), "excess_kurtosis"), nullptr);
  out.metrics.push_back(with_floor("generation_joint_noise_w2", 0.3, 0.1, 0.01));
  const auto said = statements(out);
  ASSERT_NE(about(said, "generation"), nullptr);
  EXPECT_THAT(about(said, "generation")->text, HasSubstr("3.0 × the floor"));
}

}  // namespace
}  // namespace tarn
