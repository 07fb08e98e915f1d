// Figures as plain data, and the one place that knows how gnuplot draws them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tarn {

/// How a series is drawn.
enum class Mark {
  line,    ///< y over x
  dashed,  ///< the same, dashed
  points,  ///< small dots
  bars,    ///< filled bars of even width, x their centres
  band,    ///< filled between y and y2
  area,    ///< filled between y and zero
};

/// One curve or set of bars. NaN values leave a gap.
struct Series {
  std::string name;  ///< in the figure's legend, once for all series of that name; empty = not listed
  std::vector<double> x;
  std::vector<double> y;
  Mark mark = Mark::line;
  std::string color = "#0072b2";  ///< "#rrggbb"
  double width = 2.0;             ///< of lines, pixels; of points relative to it
  std::vector<double> y2;         ///< Mark::band
};

/// A line across a panel at one x, with a word beside it.
struct Marker {
  double x = 0.0;
  std::string text;
};

using AxisRange = std::pair<double, double>;

/// Colours over the plane, from white at `low` to dark blue at `high`, below the series of a panel.
struct ColorMap {
  std::int64_t n_x = 0, n_y = 0;  ///< cells
  AxisRange x, y;                 ///< the outer edges
  std::vector<double> values;     ///< `[n_y * n_x]`, x running fastest; NaN is left white
  double low = 0.0, high = 1.0;
};

/// One set of axes.
struct Panel {
  std::string title;
  std::string x_label;  ///< with its unit
  std::string y_label;
  std::optional<AxisRange> x_range;
  std::optional<AxisRange> y_range;
  int log_x = 0;  ///< base of a logarithmic x axis, 2 or 10; 0: an even one
  bool log_y = false;
  bool no_x_ticks = false;     ///< places along x have no numbers
  bool bare = false;           ///< a frame without ticks and grid: a picture, not a plot
  std::vector<Series> series;  ///< the first lies at the bottom
  std::vector<Marker> markers;
  std::optional<ColorMap> map;
};

/// Panels in a grid, row by row, under one title and one legend. Written to `<name>.svg` and `<name>.png`.
struct Figure {
  std::string name;   ///< letters, digits, '_' and '-'
  std::string title;  ///< above all panels; may be empty
  int columns = 1;
  int width = 900;  ///< pixels
  int height = 440;
  std::vector<Panel> panels;
};

/// Colours that stay apart for colour-blind readers (Okabe and Ito 2008), by meaning.
namespace colors {
inline const std::string truth = "#222222";
inline const std::string learned = "#0072b2";
inline const std::string draws = "#9ecae1";
inline const std::string other = "#d55e00";
inline const std::string third = "#009e73";
inline const std::string fourth = "#cc79a7";
inline const std::string faint = "#c8ccd0";
}  // namespace colors

struct FigureOptions {
  std::string gnuplot = "gnuplot";  ///< program, looked up in PATH
  bool png = true;                  ///< also `<name>.png`, where gnuplot can
};

/// Where a drawn figure lies; empty paths where it could not be drawn.
struct FigureFile {
  std::filesystem::path svg;
  std::filesystem::path png;
  explicit operator bool() const { return !svg.empty(); }
};

/// The script that draws the figure: the same figure gives the same text. Throws `Error` for a bad name or series whose
/// lengths differ.
std::string gnuplot_script(const Figure& figure, const std::string& svg_output, const std::string& png_output);

/// Draws into `folder` (made where it is missing), atomically; the same figure gives the same bytes. Where gnuplot is
/// missing or fails, one line is logged as a warning (the first time only) and nothing is written: a run never fails
/// for want of a figure. Throws `Error` as `gnuplot_script`.
FigureFile draw(const Figure& figure, const std::filesystem::path& folder, const FigureOptions& options = {});

}  // namespace tarn
