// The look of the figures, as a gnuplot script: margins in pixels, thin grid, one legend above all panels.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tarn/core/error.hpp"
#include "tarn/report/gnuplot.hpp"

namespace tarn {
namespace {

constexpr const char* ink = "#1f2933";
constexpr const char* soft_ink = "#5b6770";
constexpr const char* grid_color = "#e9ecef";
constexpr const char* axis_color = "#9aa5b1";
constexpr double character = 6.8;  // pixels of one character of the legend, on average

// gnuplot's single quotes know one escape, the doubled quote; a control character could end the line.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') result += '\'';
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  return result + "'";
}

std::string number(double value) { return std::isfinite(value) ? fmt::format("{:.7g}", value) : "NaN"; }

std::int64_t n_characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

bool is_color(const std::string& color) {
  return color.size() == 7 && color[0] == '#' &&
         color.find_first_not_of("0123456789abcdefABCDEF", 1) == std::string::npos;
}

void check(const Figure& figure) {
  const auto& name = figure.name;
  require(!name.empty() && name.size() <= 100 &&
              name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
                  std::string::npos,
          "a figure's name holds letters, digits, '_' and '-' only, found '{}'", name);
  require(figure.columns >= 1 && !figure.panels.empty() && figure.width >= 100 && figure.height >= 100 &&
              figure.width <= 10000 && figure.height <= 10000,
          "figure {}: needs panels, a column and 100 to 10000 pixels a side, found {} panels, {} columns, {} x {}",
          name, figure.panels.size(), figure.columns, figure.width, figure.height);
  for (const Panel& panel : figure.panels) {
    if (panel.map) {
      const ColorMap& m = *panel.map;
      require(m.n_x >= 1 && m.n_y >= 1 && static_cast<std::int64_t>(m.values.size()) == m.n_x * m.n_y && m.low < m.high,
              "figure {}: a map of {} x {} cells has {} values from {} to {}", name, m.n_x, m.n_y, m.values.size(),
              m.low, m.high);
    }
    for (const Series& s : panel.series) {
      require(s.x.size() == s.y.size() && (s.mark != Mark::band || s.y2.size() == s.x.size()),
              "figure {}: series '{}' has {} x, {} y and {} y2 values", name, s.name, s.x.size(), s.y.size(),
              s.y2.size());
      require(is_color(s.color), "figure {}: series '{}' has the colour '{}', expected #rrggbb", name, s.name, s.color);
    }
  }
}

struct LegendEntry {
  const Series* series;
  double left;  // pixels
  int row;
};

class Script {
 public:
  explicit Script(const Figure& figure) : f_(figure) {
    const int n = static_cast<int>(f_.panels.size());
    columns_ = std::min(f_.columns, n);
    rows_ = (n + columns_ - 1) / columns_;
    lay_out_legend();
  }

  std::string text(const std::string& svg, const std::string& png) {
    out_ = "set encoding utf8\n";
    for (std::size_t i = 0; i < f_.panels.size(); ++i) {
      if (f_.panels[i].map) write_map(i);
      for (std::size_t j = 0; j < f_.panels[i].series.size(); ++j) write_data(i, j);
    }
    line("set terminal svg noenhanced size {},{} font 'Helvetica,13' background '#ffffff' name {}", f_.width, f_.height,
         quoted(f_.name));
    write_page(svg);
    if (!png.empty()) {
      line("if (strstrt(GPVAL_TERMINALS, ' pngcairo ') > 0) {{");
      line(
          "set terminal pngcairo noenhanced size {},{} font 'sans,13' fontscale 1.5 linewidth 2 pointscale 2 "
          "background '#ffffff'",
          2 * f_.width, 2 * f_.height);
      write_page(png);
      line("}}");
    }
    return out_;
  }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    out_ += fmt::format(format, std::forward<Args>(args)...);
    out_ += '\n';
  }

  double sx(double pixels) const { return pixels / f_.width; }
  double sy(double pixels_from_top) const { return 1.0 - pixels_from_top / f_.height; }

  static bool is_bar(const Series& s) { return s.mark == Mark::bars || s.mark == Mark::band || s.mark == Mark::area; }

  void lay_out_legend() {
    double left = 16.0;
    int row = 0;
    for (const Panel& panel : f_.panels) {
      for (const Series& s : panel.series) {
        const bool known =
            std::any_of(legend_.begin(), legend_.end(), [&](const LegendEntry& e) { return e.series->name == s.name; });
        if (s.name.empty() || known) continue;
        const double width = 34.0 + character * static_cast<double>(n_characters(s.name)) + 18.0;
        if (left > 16.0 && left + width > f_.width) {
          left = 16.0;
          ++row;
        }
        legend_.push_back({&s, left, row});
        left += width;
      }
    }
    title_height_ = f_.title.empty() ? 8.0 : 36.0;
    legend_height_ = legend_.empty() ? 0.0 : 22.0 * (row + 1) + 2.0;
  }

  void write_map(std::size_t i) {
    const ColorMap& m = *f_.panels[i].map;
    line("$m{} << EOD", i);
    for (std::size_t k = 0; k < m.values.size(); ++k) {
      const double value = std::min(std::max(m.values[k], m.low), m.high);
      out_ += std::isnan(m.values[k]) ? "NaN" : fmt::format("{:.4g}", value);
      out_ += (k + 1) % static_cast<std::size_t>(m.n_x) == 0 ? '\n' : ' ';
    }
    line("EOD");
  }

  void write_data(std::size_t i, std::size_t j) {
    const Series& s = f_.panels[i].series[j];
    line("$d{}_{} << EOD", i, j);
    for (std::size_t k = 0; k < s.x.size(); ++k) {
      out_ += number(s.x[k]) + ' ' + number(s.y[k]);
      if (s.mark == Mark::band) out_ += ' ' + number(s.y2[k]);
      out_ += '\n';
    }
    line("EOD");
  }

  void write_page(const std::string& output) {
    line("set output {}", quoted(output));
    line("set multiplot");
    write_heading();
    // columns share the width left after the axes' labels, so that all panels are equally wide
    std::vector<double> left_margin(static_cast<std::size_t>(columns_), 38.0);
    for (std::size_t i = 0; i < f_.panels.size(); ++i) {
      auto& margin = left_margin[i % static_cast<std::size_t>(columns_)];
      if (!f_.panels[i].y_label.empty()) margin = 68.0;
      if (f_.panels[i].log_y) margin = std::max(margin, 56.0);  // "0.0001"
    }
    double taken = 8.0;  // at the right edge half of "10000" needs more room than between panels
    for (const double margin : left_margin) taken += margin + 14.0;
    const double width = (f_.width - taken) / columns_;
    const auto panels_in = [&](int column, int row) { return static_cast<std::size_t>(row * columns_ + column); };
    double heights_taken = title_height_ + legend_height_;
    std::vector<double> above(static_cast<std::size_t>(rows_), 10.0), below(static_cast<std::size_t>(rows_), 28.0);
    for (std::size_t i = 0; i < f_.panels.size(); ++i) {
      const std::size_t row = i / static_cast<std::size_t>(columns_);
      if (!f_.panels[i].title.empty()) above[row] = 30.0;
      if (!f_.panels[i].x_label.empty()) below[row] = 54.0;
    }
    for (std::size_t row = 0; row < above.size(); ++row) heights_taken += above[row] + below[row];
    const double height = (f_.height - heights_taken) / rows_;
    double top = title_height_ + legend_height_;
    for (int r = 0; r < rows_; ++r) {
      top += above[static_cast<std::size_t>(r)];
      double left = 0.0;
      for (int c = 0; c < columns_ && panels_in(c, r) < f_.panels.size(); ++c) {
        left += left_margin[static_cast<std::size_t>(c)];
        write_panel(panels_in(c, r), left, left + width, top, top + height);
        left += width + 14.0;
      }
      top += height + below[static_cast<std::size_t>(r)];
    }
    line("unset multiplot");
    line("set output");
  }

  void write_heading() {
    line("reset");
    line("set margins 0,0,0,0\nunset border\nunset tics\nunset key\nset xrange [0:1]\nset yrange [0:1]");
    int tag = 1;
    if (!f_.title.empty()) {
      line("set label {} {} at screen {:.5f},{:.5f} left font ',16' textcolor rgb '{}'", tag++, quoted(f_.title),
           sx(16), sy(20), ink);
    }
    for (const LegendEntry& e : legend_) {
      const double y = title_height_ + 11.0 + 22.0 * e.row;
      const Series& s = *e.series;
      if (is_bar(s)) {
        line(
            "set object {} rectangle from screen {:.5f},{:.5f} to screen {:.5f},{:.5f} fillstyle solid 1 noborder "
            "fillcolor rgb '{}'",
            tag, sx(e.left), sy(y + 5), sx(e.left + 24), sy(y - 5), s.color);
      } else if (s.mark == Mark::points) {
        line("set label {} '' at screen {:.5f},{:.5f} point pointtype 7 pointsize 0.5 linecolor rgb '{}'", tag + 1000,
             sx(e.left + 12), sy(y), s.color);
      } else {
        line(
            "set arrow {} from screen {:.5f},{:.5f} to screen {:.5f},{:.5f} nohead linewidth {:.2f} dashtype {} "
            "linecolor rgb '{}'",
            tag, sx(e.left), sy(y), sx(e.left + 24), sy(y), s.width, legend_dashes(s), s.color);
      }
      line("set label {} {} at screen {:.5f},{:.5f} left font ',13' textcolor rgb '{}'", tag++, quoted(s.name),
           sx(e.left + 31), sy(y), ink);
    }
    line("plot NaN notitle");
  }

  static const char* dashes(const Series& s) { return s.mark == Mark::dashed ? "(9,5)" : "1"; }
  // Dashes grow with the line's width, and a legend has room for 24 pixels: two dashes and a gap in any case.
  static std::string legend_dashes(const Series& s) {
    return s.mark == Mark::dashed ? fmt::format("({:.2f},{:.2f})", 9.0 / s.width, 5.0 / s.width) : "1";
  }

  static std::string range(const std::optional<AxisRange>& r) {
    return r ? fmt::format("[{}:{}]", number(r->first), number(r->second)) : "[*:*]";
  }

  void write_panel(std::size_t i, double left, double right, double top, double bottom) {
    const Panel& p = f_.panels[i];
    line("reset");
    line("set lmargin at screen {:.5f}\nset rmargin at screen {:.5f}", sx(left), sx(right));
    line("set tmargin at screen {:.5f}\nset bmargin at screen {:.5f}", sy(top), sy(bottom));
    line("unset key\nset border 3 linecolor rgb '{}' linewidth 1", axis_color);
    line("set tics nomirror scale 0.4 font ',11' textcolor rgb '{}'", soft_ink);
    line("set grid xtics ytics back linetype 1 linewidth 1 linecolor rgb '{}'", grid_color);
    // at most about one tick every 75 by 40 pixels
    if (p.x_range && p.log_x == 0) line("set xtics {}", tick_step(*p.x_range, (right - left) / 75.0));
    if (p.y_range && !p.log_y) line("set ytics {}", tick_step(*p.y_range, (bottom - top) / 40.0));
    line("set xtics offset 0,0.2");
    if (p.no_x_ticks) line("unset xtics");
    if (p.bare) line("set border 15\nunset xtics\nunset ytics\nunset grid");
    if (!p.title.empty()) {
      line("set label 1 {} at graph 0,1 left offset 0,0.9 font ',13' textcolor rgb '{}'", quoted(p.title), ink);
    }
    if (!p.x_label.empty()) line("set xlabel {} font ',13' offset 0,0.2 textcolor rgb '{}'", quoted(p.x_label), ink);
    if (!p.y_label.empty()) line("set ylabel {} font ',13' offset 1.2,0 textcolor rgb '{}'", quoted(p.y_label), ink);
    if (p.log_x > 0) line("set logscale x {}\nset format x '%g'", p.log_x);
    if (p.log_y) line("set logscale y\nset format y '%g'");
    // over less than two decades powers of ten alone would leave an axis with one number or none
    if (p.log_y && p.y_range && p.y_range->first > 0.0 && p.y_range->second < 100.0 * p.y_range->first)
      line("set ytics ({})", log_ticks(*p.y_range));
    line("set xrange {} noextend\nset yrange {}", range(p.x_range), range(p.y_range));
    int tag = 10;
    for (const Marker& m : p.markers) {
      line(
          "set arrow {} from first {},graph 0 to first {},graph 1 nohead back linewidth 1 dashtype (2,4) linecolor rgb "
          "'{}'",
          tag, number(m.x), number(m.x), axis_color);
      if (!m.text.empty()) {
        line("set label {} {} at first {},graph 1 left front offset 0.2,-0.7 font ',10' textcolor rgb '{}'", tag,
             quoted(m.text), number(m.x), soft_ink);
      }
      ++tag;
    }
    std::string curves;
    if (p.map) {
      const ColorMap& m = *p.map;
      const double dx = (m.x.second - m.x.first) / static_cast<double>(m.n_x),
                   dy = (m.y.second - m.y.first) / static_cast<double>(m.n_y);
      line("set palette defined (0 '#ffffff', 0.3 '#9ecae1', 0.7 '#0072b2', 1 '#08213f')\nunset colorbox");
      line("set cbrange [{}:{}]", number(m.low), number(m.high));
      curves = fmt::format("plot $m{} matrix using ({}+($1+0.5)*{}):({}+($2+0.5)*{}):3 with image", i,
                           number(m.x.first), number(dx), number(m.y.first), number(dy));
    }
    for (std::size_t j = 0; j < p.series.size(); ++j) {
      if (!p.series[j].x.empty()) curves += (curves.empty() ? "plot " : ", ") + curve(i, j);
    }
    // a panel without data still shows its axes
    if (curves.empty()) {
      if (!p.x_range) line("set xrange [0:1]");
      if (!p.y_range) line("set yrange [0.1:1]");
      curves = "plot NaN";
    }
    line("{}", curves);
  }

  static std::string tick_step(const AxisRange& r, double wanted) {
    const double raw = std::abs(r.second - r.first) / std::max(wanted, 3.0),
                 power = std::pow(10.0, std::floor(std::log10(raw)));
    for (const double nice : {1.0, 2.0, 5.0, 10.0}) {
      if (raw <= nice * power * 1.3) return number(nice * power);
    }
    return number(raw);
  }

  static std::string log_ticks(const AxisRange& r) {
    std::string ticks;
    const bool narrow = r.second < 4.0 * r.first;
    for (int e = static_cast<int>(std::floor(std::log10(r.first))); std::pow(10.0, e) <= r.second; ++e) {
      for (const double m : {1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0}) {
        const double tick = m * std::pow(10.0, e);
        const bool wanted = m == 1.0 || m == 2.0 || m == 5.0 || narrow;
        if (wanted && tick >= r.first && tick <= r.second)
          ticks += fmt::format("{}'{:g}' {}", ticks.empty() ? "" : ", ", tick, number(tick));
      }
    }
    return ticks.empty() ? fmt::format("'{:.3g}' {}", r.first, number(r.first)) : ticks;
  }

  std::string curve(std::size_t i, std::size_t j) const {
    const Series& s = f_.panels[i].series[j];
    const std::string data = fmt::format("$d{}_{}", i, j), color = fmt::format("rgb '{}'", s.color);
    switch (s.mark) {
      case Mark::line:
      case Mark::dashed:
        return fmt::format("{} using 1:2 with lines linewidth {:.2f} dashtype {} linecolor {}", data, s.width,
                           dashes(s), color);
      case Mark::points:
        return fmt::format("{} using 1:2 with points pointtype 7 pointsize {:.4g} linecolor {}", data, 0.15 * s.width,
                           color);
      case Mark::bars: {
        const double width = s.x.size() > 1 ? std::abs(s.x[1] - s.x[0]) : 1.0;
        return fmt::format("{} using 1:2:({}) with boxes fillstyle solid 1 noborder linecolor {}", data, number(width),
                           color);
      }
      case Mark::band:
        return fmt::format("{} using 1:2:3 with filledcurves fillstyle solid 1 noborder linecolor {}", data, color);
      case Mark::area:
        return fmt::format("{} using 1:2 with filledcurves y=0 fillstyle solid 1 noborder linecolor {}", data, color);
    }
    fail("unknown mark {}", static_cast<int>(s.mark));
  }

  const Figure& f_;
  int columns_ = 1, rows_ = 1;
  double title_height_ = 0.0, legend_height_ = 0.0;
  std::vector<LegendEntry> legend_;
  std::string out_;
};

}  // namespace

std::string gnuplot_script(const Figure& figure, const std::string& svg_output, const std::string& png_output) {
  check(figure);
  return Script(figure).text(svg_output, png_output);
}

}  // namespace tarn
