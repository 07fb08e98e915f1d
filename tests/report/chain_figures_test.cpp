#include "tarn/report/chain_figures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "message_of.hpp"

namespace tarn {
namespace {

using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ChainFigures, TracesShowFourChainsAndAnEvenSelectionOfDraws) {
  ChainTraces t{"x_0", {}, std::vector<std::vector<double>>(6)};
  for (int i = 0; i < 2500; ++i) {
    t.steps.push_back(10.0 * i);
    for (std::size_t c = 0; c < 6; ++c) t.chains[c].push_back(static_cast<double>(c) + (i % 2));
  }
  const Figure f = figure_traces({t, t}, {{0.0, "σ 1"}});
  ASSERT_EQ(f.panels.size(), 2u);
  ASSERT_EQ(f.panels[0].series.size(), 4u);
  EXPECT_EQ(f.panels[0].series[0].x.size(), 834u);  // every third
  EXPECT_EQ(f.panels[0].series[3].x[1], 30.0);
  EXPECT_EQ(f.panels[0].series[3].y[1], 4.0);
  EXPECT_EQ(f.panels[0].markers[0].text, "σ 1");
  EXPECT_EQ(f.panels[1].markers[0].text, "") << "once is enough";
  t.chains[0].pop_back();
  EXPECT_THAT(message_of([&] { figure_traces({t}); }), HasSubstr("2500 steps, 2499 draws"));
  EXPECT_THAT(message_of([&] { figure_traces({}); }), HasSubstr("needs an output"));
}

TEST(ChainFigures, RanksHaveAPanelAChainAndOneByTime) {
  RankPlot p{"x_0", {}, {}};
  for (int c = 0; c < 3; ++c) p.chains.push_back({"chain " + std::to_string(c), {0.5, 1.0, 1.5, 1.0}, 0.1});
  p.stretches = {{"first", {1.0, 1.0, 1.0, 1.0}, 0.0}, {"last", {0.0, 0.0, 0.0, 4.0}, 0.0}};
  const Figure f = figure_ranks({p, p});
  EXPECT_EQ(f.columns, 4);
  ASSERT_EQ(f.panels.size(), 8u);
  EXPECT_THAT(f.panels[0].series[0].x, ElementsAre(0.125, 0.375, 0.625, 0.875));
  EXPECT_NEAR(f.panels[0].series[1].y[0], 1.0 - 1.96 * 0.1, 1e-12);
  EXPECT_NEAR(f.panels[0].series[2].y[0], 1.0 + 1.96 * 0.1, 1e-12);
  EXPECT_EQ(f.panels[3].series.size(), 2u);
  EXPECT_GT(f.panels[0].y_range->second, 4.0) << "all panels on one scale";
}

TEST(ChainFigures, ReferencesAreDashedAndDoNotTakeAColour) {
  ReportCurve floor{"distance", "floor", "step", "W1", true, true, {0.0, 10.0}, {0.01, 0.01}};
  ReportCurve a{"distance", "a", "step", "W1", true, false, {0.0, 5.0, 10.0}, {1.0, 0.0, 0.02}};
  ReportCurve b = a;
  b.name = "b";
  const Figure f = figure_curves("distance", "Distance", {floor, a, b});
  const Panel& p = f.panels[0];
  ASSERT_EQ(p.series.size(), 3u);
  EXPECT_EQ(p.series[0].name, "a");
  EXPECT_EQ(p.series[0].color, colors::learned);
  EXPECT_EQ(p.series[1].color, colors::other);
  EXPECT_EQ(p.series[2].mark, Mark::dashed);
  EXPECT_EQ(p.series[2].color, colors::truth);
  EXPECT_TRUE(std::isnan(p.series[0].y[1])) << "zero has no place on a logarithmic axis";
  EXPECT_EQ(p.x_range, AxisRange(0.0, 10.0));
  EXPECT_LT(p.y_range->first, 0.01);
  EXPECT_THAT(message_of([&] { figure_curves("distance", "", {}); }), HasSubstr("no curves"));
}

}  // namespace
}  // namespace tarn
