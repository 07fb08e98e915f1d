// One self-contained HTML page about a run: no scripts, no network, figures inside.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tarn/report/gnuplot.hpp"

namespace tarn {

/// A picture with its caption. An SVG made of plain shapes and text is put into the page as it is, any
/// other file as a data URI, in which scripts do not run.
struct ReportFigure {
  std::filesystem::path path;
  std::string caption;
  bool pixelated = false;  ///< grids of small images: enlarge without smoothing
};

struct ReportTable {
  std::string caption;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  ///< first cell names the row; the others are set as numbers
  std::string note;                            ///< below the table
};

/// Text, then tables, then figures, then preformatted text; what is empty is left out.
struct ReportSection {
  std::string heading;
  std::string text;  ///< paragraphs separated by blank lines
  std::vector<ReportTable> tables;
  std::vector<ReportFigure> figures;
  std::string preformatted;  ///< e.g. the resolved config
  bool folded = false;       ///< the section opens on a click
};

/// A number that stands out at the top.
struct ReportFact {
  std::string label;
  std::string value;
  std::string note;
};

struct Report {
  std::string title;
  std::string summary;  ///< one line: what was done and how well it went
  std::vector<ReportFact> facts;
  std::vector<std::string> warnings;
  std::vector<ReportSection> sections;
  std::string footer;
};

/// `&`, `<`, `>`, quotes; control characters become U+FFFD.
std::string escape_html(const std::string& text);

/// `value` to `digits` significant digits; "NaN", "inf"; "–" is for callers that have no value.
std::string number_text(double value, int digits = 3);
/// With a factor, for counts and rates: "950", "12.3 k", "4.56 M", "7.9 G".
std::string count_text(double value);

/// The page. All texts are escaped. A figure that cannot be read becomes a line that says so.
std::string to_html(const Report& report);

/// Written atomically. Throws `Error`.
void write_report(const std::filesystem::path& path, const Report& report);

}  // namespace tarn
