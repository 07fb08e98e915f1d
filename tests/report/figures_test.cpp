#include "tarn/report/figures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "tarn/core/error.hpp"
#include "tarn/io/file.hpp"
#include "tarn/io/png.hpp"

namespace tarn {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

bool have_gnuplot() { return std::system("gnuplot --version > /dev/null 2>&1") == 0; }

class Figures : public testing::Test {
 protected:
  Figures()
      : folder_(fs::path(testing::TempDir()) /
                ("figures-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    fs::remove_all(folder_);
  }
  ~Figures() override { fs::remove_all(folder_); }
  std::size_t n_files() const {
    return fs::exists(folder_)
               ? static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator{}))
               : 0;
  }
  fs::path folder_;
};

Curve line(double slope) { return {{-1.0, 0.0, 1.0}, {-slope, 0.0, slope}}; }

Figure small_figure() {
  Figure f;
  f.name = "small";
  f.title = "It's a 'title' with `ticks` & <tags>";
  Panel p;
  p.x_label = "x";
  p.series = {{"lïne", {0.0, 1.0, 2.0}, {1.0, std::nan(""), 2.0}, Mark::line, "#0072b2", 2.0, {}},
              {"bars", {0.0, 1.0, 2.0}, {0.5, 0.6, 0.7}, Mark::bars, "#9ecae1", 1.0, {}}};
  p.markers = {{1.0, "here"}};
  f.panels = {p};
  return f;
}

TEST_F(Figures, DrawnTwiceTheBytesAreTheSame) {
  if (!have_gnuplot()) GTEST_SKIP() << "gnuplot is not installed";
  const FigureFile file = draw(small_figure(), folder_);
  ASSERT_TRUE(file);
  EXPECT_EQ(file.svg, folder_ / "small.svg");
  const std::string first = read_text_file(file.svg);
  EXPECT_THAT(first, HasSubstr("</svg>"));
  EXPECT_THAT(first, HasSubstr("It's a 'title' with `ticks` &amp; &lt;tags"));
  EXPECT_THAT(first, HasSubstr("lïne"));
  EXPECT_THAT(first, Not(HasSubstr("font-family=\"Helvetica\"")));
  EXPECT_THAT(first, Not(HasSubstr("using 1:2")));
  Bytes image;
  if (!file.png.empty()) {
    image = read_file(file.png);
    EXPECT_EQ(read_png(file.png).cols, 2 * small_figure().width);
  }
  // in another folder, under another locale and environment: nothing of them shows
  setenv("GNUTERM", "dumb", 1);
  setenv("LC_NUMERIC", "de_DE.UTF-8", 1);
  const FigureFile again = draw(small_figure(), folder_ / "another folder's");
  unsetenv("GNUTERM");
  unsetenv("LC_NUMERIC");
  ASSERT_TRUE(again);
  EXPECT_EQ(read_text_file(again.svg), first);
  if (!file.png.empty()) {
    EXPECT_EQ(read_file(again.png), image);
  }
  // no temporary files stay behind
  EXPECT_EQ(n_files(), file.png.empty() ? 2u : 3u);
}

TEST_F(Figures, WithoutGnuplotThereIsOneWarningAndNoFigure) {
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  const FigureFile first = draw(small_figure(), folder_, {"/nonexistent/gnuplot", true});
  const FigureFile second = draw(small_figure(), folder_, {"/nonexistent/gnuplot", true});
  const std::string said = testing::internal::GetCapturedStderr() + testing::internal::GetCapturedStdout();
  EXPECT_FALSE(first);
  EXPECT_FALSE(second);
  EXPECT_EQ(n_files(), 0u);
  const std::size_t at = said.find("no figures: /nonexistent/gnuplot was not found");
  ASSERT_NE(at, std::string::npos) << said;
  EXPECT_EQ(said.find("no figures", at + 1), std::string::npos) << said;
}

TEST_F(Figures, AProgramThatFailsOrAFolderThatCannotBeMadeIsNoFailure) {
  EXPECT_FALSE(draw(small_figure(), folder_, {"/bin/false", true}));
  EXPECT_FALSE(draw(small_figure(), folder_, {"/bin/true", true}));  // runs, draws nothing
  EXPECT_EQ(n_files(), 0u);
  write_file_atomically(folder_ / "file", "");
  EXPECT_FALSE(draw(small_figure(), folder_ / "file" / "below"));
}

TEST_F(Figures, WhatIsNoFigureIsRefused) {
  Figure f = small_figure();
  f.name = "../up";
  EXPECT_THROW(draw(f, folder_), Error);
  f = small_figure();
  f.panels[0].series[0].y.pop_back();
  EXPECT_THROW(draw(f, folder_), Error);
  f = small_figure();
  f.panels[0].series[0].color = "red'; system('x')";
  EXPECT_THROW(draw(f, folder_), Error);
  f = small_figure();
  f.panels.clear();
  EXPECT_THROW(draw(f, folder_), Error);
}

TEST_F(Figures, TextCannotLeaveItsQuotes) {
  Figure f = small_figure();
  f.title = "a'\nset output 'b'; system(\"touch pwned\")\n";
  const std::string script = gnuplot_script(f, "out.svg", "");
  EXPECT_THAT(script, HasSubstr("'a'' set output ''b''; system(\"touch pwned\") '"));
}

TEST_F(Figures, ScoreLevelsAreSortedAndThinned) {
  std::vector<ScoreLevel> levels;
  for (int i = 1; i <= 33; ++i) levels.push_back({i / 33.0, line(-i), line(-i - 1.0)});
  const Figure f = figure_score_levels(levels);
  ASSERT_EQ(f.panels.size(), 12u);
  EXPECT_EQ(f.panels.front().title, "σ = 1");
  EXPECT_EQ(f.panels.back().title, "σ = 0.0303");
  // axes are common and set by the true scores
  for (const Panel& p : f.panels) {
    EXPECT_EQ(p.y_range, f.panels[0].y_range);
    ASSERT_EQ(p.series.size(), 2u);
  }
  EXPECT_NEAR(f.panels[0].y_range->second, 34.0 * 1.24, 1e-9);
  EXPECT_THROW(figure_score_levels({}), Error);
}

TEST_F(Figures, TrainingIsTheMeanOverStretchesWithGapsAtLevels) {
  TrainingCurve c;
  c.dimension = 100;
  for (int i = 0; i < 1200; ++i) {
    c.step.push_back(i);
    c.sigma.push_back(i < 600 ? 1.0 : 0.1);
    c.excess.push_back(i < 600 ? -20.0 + (i % 2) : -3000.0);
  }
  const Figure f = figure_training(c);
  const Series& mean = f.panels[0].series.back();
  EXPECT_EQ(mean.name, "mean");
  EXPECT_NEAR(mean.y.front(), 1.0 - 2.0 * 19.5 / 100.0, 1e-12);
  EXPECT_NEAR(mean.y.back(), 1.0 - 2.0 * 0.01 * 3000.0 / 100.0, 1e-12);
  EXPECT_EQ(std::count_if(mean.y.begin(), mean.y.end(), [](double v) { return std::isnan(v); }), 1);
  ASSERT_EQ(f.panels[0].markers.size(), 2u);
  EXPECT_EQ(f.panels[0].markers[1].x, 600.0);
  EXPECT_EQ(f.panels[0].markers[1].text, "σ 0.1");

  // a NaN loss is a gap, not a mean of the rest; in few dimensions the excess loss is shown as it is
  c.dimension = 1;
  c.excess[0] = std::nan("");
  c.exact.assign(1200, -21.0);
  const Figure plain = figure_training(c);
  ASSERT_EQ(plain.panels[0].series.size(), 3u);
  EXPECT_TRUE(std::isnan(plain.panels[0].series[1].y.front()));
  EXPECT_EQ(plain.panels[0].series[1].y.back(), -3000.0);
  EXPECT_EQ(plain.panels[0].series[2].name, "exact score");
  EXPECT_EQ(plain.panels[0].series[2].y.front(), -21.0);
  c.exact.pop_back();
  EXPECT_THROW(figure_training(c), Error);
  EXPECT_NO_THROW(figure_training({}));
}

TEST_F(Figures, ComparisonHasAColumnANetwork) {
  ComparedModel wild{"wild", "score error 9", line(50.0), line(2.0), {}, {{-1.0, 0.0, 1.0}, {0.0, 80.0, 0.0}}};
  ComparedModel tame{"tame", "score error 0", line(1.0), {}, {{-0.5, 0.5}, {0.5, 0.5}}, {}};
  const Figure f = figure_comparison({tame, wild}, line(1.0), {{-1.0, 0.0, 1.0}, {0.0, 1.0, 0.0}});
  EXPECT_EQ(f.columns, 2);
  ASSERT_EQ(f.panels.size(), 4u);
  EXPECT_EQ(f.panels[1].title, "wild");
  EXPECT_EQ(f.panels[3].title, "score error 9");
  // one wild network does not flatten the others
  EXPECT_LT(f.panels[0].y_range->second, 2.0);
  EXPECT_LT(f.panels[2].y_range->second, 3.0);
}

TEST_F(Figures, AllKindsCanBeDrawn) {
  if (!have_gnuplot()) GTEST_SKIP() << "gnuplot is not installed";
  DensityCurves density{"draws", {{-0.5, 0.5}, {0.4, 0.6}}, line(1.0), {}, line(0.5), "x"};
  EXPECT_TRUE(draw(figure_density(density), folder_));
  EXPECT_TRUE(draw(figure_density({}), folder_));
  EXPECT_TRUE(draw(figure_training({}), folder_));
  EXPECT_TRUE(draw(figure_score_levels({{1.0, line(-1.0), {}}}), folder_));
  EXPECT_TRUE(draw(figure_comparison({{"a", "b", line(1.0), {}, {}, {}}}, line(1.0), {}), folder_));
  EXPECT_TRUE(draw(figure_training({{1.0, 2.0}, {-1.0, -1.0}, {1.0, 1.0}, {}, 1}), folder_));
  Figure flat = small_figure();
  flat.panels[0].series[0].y = {2.0, 2.0, 2.0};
  flat.panels[0].x_range = AxisRange{1.0, 1.0};  // of no width
  EXPECT_NO_THROW(draw(flat, folder_));
}

TEST_F(Figures, PlanarDensitiesShareOneScale) {
  const PlanarDensity a{"a", 2, {-1.0, 1.0}, {-1.0, 1.0}, {10.0, 1.0, 0.0, 1e-9}};
  const PlanarDensity b{"b", 2, {-1.0, 1.0}, {-1.0, 1.0}, {0.1, std::nan(""), 0.1, 0.1}};
  const Figure f = figure_planar_densities({a, b});
  ASSERT_EQ(f.panels.size(), 2u);
  for (const Panel& p : f.panels) {
    EXPECT_DOUBLE_EQ(p.map->high, 1.0);
    EXPECT_DOUBLE_EQ(p.map->low, -2.0);
  }
  const std::string script = gnuplot_script(f, "a.svg", "");
  EXPECT_THAT(script, HasSubstr("$m0 << EOD\n1 0\n-2 -2\nEOD"));
  EXPECT_THAT(script, HasSubstr("$m1 << EOD\n-1 NaN\n"));
  EXPECT_THAT(script, HasSubstr("with image"));
  Figure wrong = f;
  wrong.panels[0].map->values.pop_back();
  EXPECT_THROW(gnuplot_script(wrong, "a.svg", ""), Error);
  if (have_gnuplot()) {
    EXPECT_TRUE(draw(f, folder_));
  }
}

TEST_F(Figures, DistanceOverTimeHasItsFloor) {
  const DistanceCourse slow{"slow", {{0.0, 1.0}, {1.0, 0.5}}}, fast{"fast", {{0.0, 1.0}, {1.0, 0.1}}};
  const Figure f = figure_distance_over_time("W1", {"along x", "along y"}, {{slow, fast}, {slow, fast}}, {0.01, 0.02});
  ASSERT_EQ(f.panels.size(), 2u);
  EXPECT_TRUE(f.panels[0].log_y);
  EXPECT_EQ(f.panels[1].series.back().y, (std::vector<double>{0.02, 0.02}));
  EXPECT_THROW(figure_distance_over_time("W1", {"one"}, {{slow}}, {}), Error);
  if (have_gnuplot()) {
    EXPECT_TRUE(draw(f, folder_));
  }
}

}  // namespace
}  // namespace tarn
