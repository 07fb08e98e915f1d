#include "tarn/report/quality_figures.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

TEST(QualityFigures, BarsStandInOrderWithTheirIntervals) {
  const double nan = std::nan("");
  QualityScale scale;
  scale.name = "quality_test";
  scale.title = "Quality";
  scale.sets = {"this run", "real data", "mixture", "one Gaussian"};
  scale.panels.push_back({"Frechet distance", {{{4.6, 4.2, 5.0}, {2.0, 1.8, 2.2}, {nan, nan, nan}, {23.6, nan, nan}}}});
  scale.panels.push_back({"squared MMD", {{{0.1, 0.0, 0.2}, {-0.1, -0.3, 0.1}, {0.0, 0.0, 0.0}, {0.4, 0.3, 0.5}}}});
  const Figure figure = figure_quality_scale(scale);
  ASSERT_EQ(figure.panels.size(), 2u);
  EXPECT_EQ(figure.columns, 2);
  const Panel& first = figure.panels[0];
  EXPECT_TRUE(first.no_x_ticks);
  ASSERT_EQ(first.series.size(), 5u) << "three bars, two intervals: a value that is missing has neither";
  EXPECT_EQ(first.series[0].name, "real data");
  EXPECT_EQ(first.series[0].y2[0], 2.0);
  EXPECT_EQ(first.series[1].y, (std::vector<double>{1.8, 2.2}));
  EXPECT_EQ(first.series[2].name, "this run");
  EXPECT_EQ(first.series[4].name, "one Gaussian");
  EXPECT_LT(first.series[2].x[1], first.series[4].x[0]);
  EXPECT_EQ(first.y_range->first, 0.0);
  EXPECT_GT(first.y_range->second, 23.6);
  EXPECT_LT(figure.panels[1].y_range->first, -0.3) << "below zero there is room for intervals";
  const std::string script = gnuplot_script(figure, "a.svg", "");
  EXPECT_NE(script.find("unset xtics"), std::string::npos);
  EXPECT_NE(script.find("real data"), std::string::npos);
  EXPECT_THROW(figure_quality_scale({}), Error);
}

}  // namespace
}  // namespace tarn
