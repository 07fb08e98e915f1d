// Figures of sweeps and of neurons: what is drawn, and what is left out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "tarn/io/file.hpp"
#include "tarn/report/capacity_figure.hpp"
#include "tarn/report/neuron_figures.hpp"

namespace tarn {
namespace {

using testing::HasSubstr;
using testing::Not;

const double nan = std::nan("");

const Series* find(const Panel& panel, const std::string& name) {
  for (const Series& s : panel.series) {
    if (s.name == name) return &s;
  }
  return nullptr;
}

CapacityLaw small_law() {
  CapacityLaw law;
  law.name = "peaks";
  law.kl.neurons = law.score_error.neurons = {8.0, 64.0, 512.0};
  law.kl.reservoir = {{0.1, 0.08, 0.2}, {0.002, -0.001, 0.01}, {nan, nan, nan}};
  law.kl.rivals = {{"sampler_only_sc", {0.5, 0.4, 0.6}, 0.45}, {"sampler_only_fr", {HUGE_VAL, 1.0, HUGE_VAL}, nan}};
  law.kl.floor = 0.004;
  law.score_error.reservoir = {{0.1, 0.08, 0.2}, {0.0, -0.001, 0.01}, {0.01, 0.01, 0.01}};
  law.score_error.floor = nan;
  return law;
}

TEST(CapacityFigure, ValuesBelowTheFloorLieOnItAndOthersLeaveGaps) {
  const Figure figure = figure_capacity({small_law(), small_law()});
  ASSERT_EQ(figure.panels.size(), 4U);
  const Panel& kl = figure.panels[0];
  EXPECT_EQ(kl.log_x, 2);
  EXPECT_TRUE(kl.log_y);
  const Series* line = find(kl, "reservoir_sampler");
  ASSERT_NE(line, nullptr);
  EXPECT_EQ(line->y[0], 0.1);
  EXPECT_EQ(line->y[1], 0.004);
  EXPECT_TRUE(std::isnan(line->y[2]));
  ASSERT_NE(find(kl, "sampler_only_sc, best fit"), nullptr);
  EXPECT_EQ(find(kl, "sampler_only_sc, best fit")->mark, Mark::dashed);
  EXPECT_EQ(find(kl, "sampler_only_fr"), nullptr) << "infinite: no line";
  EXPECT_EQ(find(kl, "exact draws")->y, (std::vector<double>{0.004, 0.004}));
  const Panel& error = figure.panels[2];
  EXPECT_EQ(find(error, "exact draws"), nullptr);
  EXPECT_TRUE(std::isnan(find(error, "reservoir_sampler")->y[1])) << "no logarithm of 0";
  EXPECT_THAT(gnuplot_script(figure, "a.svg", ""), HasSubstr("set logscale x 2"));
  EXPECT_FALSE(gnuplot_script(figure_capacity({}), "a.svg", "").empty());
}

TEST(NeuronFigures, ThePanelsHoldWhatTheyAreGiven) {
  const Figure tuning =
      figure_tuning("tuning_input_0", "input u_0", {{"neuron 3", {0.0, 1.0}, {2.0, 3.0}, {0.1, nan}}});
  ASSERT_EQ(tuning.panels.size(), 1U);
  EXPECT_EQ(find(tuning.panels[0], "two standard errors")->y[0], 1.8);
  EXPECT_EQ(find(tuning.panels[0], "two standard errors")->y2[0], 2.2);
  PopulationPanels population;
  population.mean_rates = {1.0, 1.0, nan, 3.0};
  population.correlations = {0.5, -0.5};
  population.shuffled = {0.01, -0.01};
  const Figure four = figure_population(population);
  ASSERT_EQ(four.panels.size(), 4U);
  const Series& bars = four.panels[0].series[0];
  double mass = 0.0;
  for (const double y : bars.y) mass += y * (bars.x[1] - bars.x[0]);
  EXPECT_NEAR(mass, 1.0, 1e-12) << "a density, NaN left out";
  EXPECT_TRUE(four.panels[3].series.empty());
  EXPECT_THAT(gnuplot_script(four, "a.svg", ""), Not(HasSubstr("nan")));
  CalibrationPanel c{"x_0", {0.0, 0.5, 1.0}, {0.0, 0.6, 1.0}, 0.2, {1.0, 1.0}, 0.1};
  const Figure calibration = figure_calibration({c});
  ASSERT_EQ(calibration.panels.size(), 2U);
  EXPECT_EQ(find(calibration.panels[0], "exact draws, 95 % at once")->y2[2], 1.0) << "coverage ends at 1";
  EXPECT_NEAR(find(calibration.panels[0], "exact draws, 95 % at once")->y[1], 0.3, 1e-12);
}

TEST(StudyFigures, Gnuplot) {
  if (std::system("gnuplot --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "gnuplot is not installed";
  const ScratchFolder folder("tarn_study");
  PopulationPanels empty;
  for (const Figure& figure : {figure_capacity({small_law(), small_law()}), figure_population(empty),
                               figure_calibration({}), figure_tuning("t", "x", {})}) {
    const FigureFile file = draw(figure, folder.path());
    ASSERT_TRUE(file) << figure.name;
    EXPECT_THAT(read_text_file(file.svg), HasSubstr("</svg>"));
  }
}

}  // namespace
}  // namespace tarn
