// Figures of receptive fields: what is drawn where, and that gnuplot draws it.
#include "tarn/report/field_figures.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numbers>

#include "message_of.hpp"
#include "tarn/io/png.hpp"

namespace tarn {
namespace {

using ::testing::HasSubstr;
constexpr double pi = std::numbers::pi;

std::vector<FieldShape> some_fields() {
  FieldShape flat{.x = 2.0,
                  .y = -1.0,
                  .orientation = 0.0,
                  .frequency = 0.2,
                  .sigma_y = 2.0,
                  .n_x = 0.3,
                  .n_y = 0.4,
                  .r_squared = 0.9,
                  .passes = true};
  FieldShape upright = flat;
  upright.orientation = pi / 2, upright.x = -3.0, upright.r_squared = 1.0;
  FieldShape nearly_flat = flat;
  nearly_flat.orientation = pi - 0.01, nearly_flat.frequency = 0.25;
  FieldShape poor{.frequency = 0.4, .n_x = 9.0, .n_y = 8.0, .r_squared = 0.2, .passes = false};
  return {flat, upright, nearly_flat, poor};
}

const Series& series_named(const Panel& panel, const std::string& name) {
  for (const Series& s : panel.series) {
    if (s.name == name) return s;
  }
  ADD_FAILURE() << "no series " << name;
  return panel.series.front();
}

TEST(FieldFigures, PopulationsAreCountedAndPlaced) {
  const Figure figure = figure_receptive_fields(some_fields(), 0.7);
  ASSERT_EQ(figure.panels.size(), 4u);
  EXPECT_EQ(series_named(figure.panels[0], "fields that pass both criteria").x.size(), 3u);
  EXPECT_EQ(series_named(figure.panels[0], "fields that fail").x, std::vector<double>{2.0}) << "held at the edge";
  EXPECT_DOUBLE_EQ(figure.panels[0].x_range->second, 1.0) << "a field that fails does not set the scale";
  // frequency and orientation: upright bars lie on the vertical axis, each field twice
  const Series& polar = series_named(figure.panels[1], "fields that pass both criteria");
  ASSERT_EQ(polar.x.size(), 6u);
  EXPECT_NEAR(polar.x[2], 0.0, 1e-12);
  EXPECT_NEAR(polar.y[2], 0.2, 1e-12);
  EXPECT_NEAR(polar.y[3], -0.2, 1e-12);
  // an orientation just below 180 degrees is horizontal
  EXPECT_EQ(figure.panels[2].series[0].y, (std::vector<double>{2, 0, 0, 0, 1, 0, 0, 0}));
  const Series& fits = figure.panels[3].series[0];
  EXPECT_EQ(fits.y[5], 1.0) << "0.2";
  EXPECT_EQ(fits.y[22], 2.0) << "0.9";
  EXPECT_EQ(fits.y[24], 1.0) << "1.0 belongs to the last bin";
  EXPECT_EQ(figure.panels[3].markers[0].x, 0.7);
  EXPECT_THAT(test::message_of([] { figure_receptive_fields({}, 0.7); }), HasSubstr("one field or more"));
}

TEST(FieldFigures, PoolingShowsTheStrongestFieldsWhereTheyLie) {
  const auto fields = some_fields();
  const Figure figure = figure_pooling(fields, {{7, {0.1, -3.0, 2.9, 50.0}}, {3, {0.0, 0.0, 0.0, 0.0}}}, 12.0, 2);
  ASSERT_EQ(figure.panels.size(), 2u);
  const Panel& panel = figure.panels[0];
  EXPECT_EQ(panel.title, "unit 7");
  EXPECT_EQ(panel.x_range->second, 6.0);
  // Of the three that pass the strongest two are drawn; the poor field, whatever its weight, has no place.
  const Series& negative = series_named(panel, "negative weight");
  ASSERT_EQ(negative.x.size(), 3u);
  EXPECT_NEAR(negative.x[0], -3.0, 1e-9) << "upright, so along y";
  EXPECT_NEAR(negative.x[1], -3.0, 1e-9);
  EXPECT_NEAR(negative.y[1] - negative.y[0], 3.2, 1e-9) << "as long as its envelope";
  EXPECT_TRUE(std::isnan(negative.x[2])) << "a gap between lines";
  const Series& positive = series_named(panel, "positive weight");
  ASSERT_EQ(positive.x.size(), 3u);
  EXPECT_NEAR(positive.y[0], -1.0, 0.03);
  std::size_t n_values = 0;
  for (const Series& s : panel.series) n_values += s.x.size();
  EXPECT_EQ(n_values, 6u) << "the weak one is left out";
  for (const Series& s : figure.panels[1].series) EXPECT_TRUE(s.x.empty()) << "no weights, no lines";
  EXPECT_THAT(test::message_of([&] {
                figure_pooling(fields, {{0, {1.0}}}, 12.0);
              }),
              HasSubstr("unit 0 has 1 weights for 4 fields"));
  EXPECT_THAT(test::message_of([&] { figure_pooling(fields, {}, 12.0); }), HasSubstr("found 4 and 0"));
}

TEST(FieldFigures, GnuplotDrawsThem) {
  if (std::system("gnuplot --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "gnuplot is not installed";
  const auto folder = std::filesystem::path(::testing::TempDir()) / fmt::format("field_figures_{}", getpid());
  for (const Figure& figure : {figure_receptive_fields(some_fields(), 0.7),
                               figure_pooling(some_fields(), {{7, {1.0, -3.0, 2.9, 50.0}}}, 12.0)}) {
    const FigureFile file = draw(figure, folder);
    ASSERT_TRUE(file) << figure.name;
    EXPECT_EQ(read_png(file.png).cols, 2 * figure.width);
  }
  std::filesystem::remove_all(folder);
}

TEST(FieldFigures, BarePanelsHaveNoTicks) {
  Figure figure;
  figure.name = "bare";
  figure.panels.resize(1);
  figure.panels[0].series = {{"", {0.0, 1.0}, {0.0, 1.0}, Mark::points, "#000000", 4.0, {}}};
  EXPECT_THAT(gnuplot_script(figure, "a.svg", ""), ::testing::Not(HasSubstr("unset grid")));
  figure.panels[0].bare = true;
  EXPECT_THAT(gnuplot_script(figure, "a.svg", ""), HasSubstr("unset xtics\nunset ytics\nunset grid"));
  EXPECT_THAT(gnuplot_script(figure, "a.svg", ""), HasSubstr("pointsize 0.6"));
}

}  // namespace
}  // namespace tarn
