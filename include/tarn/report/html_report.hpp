// One self-contained HTML page about a run: no network, figures inside, a short script that sorts tables and enlarges figures.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tarn/report/gnuplot.hpp"

namespace tarn {

/// A judgement by a stated threshold; `none` where there is nothing to hold a number against.
enum class Verdict { none, good, watch, bad };
/// "good", "watch", "bad"; "" for none.
std::string_view name_of(Verdict verdict);

/// A picture with its caption. An SVG made of plain shapes and text is put into the page as it is, any
/// other file as a data URI, in which scripts do not run.
struct ReportFigure {
  std::filesystem::path path;
  std::string caption;
  bool pixelated = false;    ///< grids of small images: enlarge without smoothing
  std::string section = {};  ///< heading under which it belongs; empty: with the results
};

struct ReportTable {
  std::string caption;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  ///< first cell names the row; the others are set as numbers
  std::string note;                            ///< below the table
  std::vector<Verdict> verdicts = {};          ///< one a row: a last column with the word; empty: no such column
  std::vector<std::vector<std::size_t>> best =
      {};                    ///< for each row the columns of its best values; empty: none are marked
  std::string section = {};  ///< heading under which it belongs; empty: with the results
};

/// Text, then tables, then figures, then preformatted text; what is empty is left out.
struct ReportSection {
  std::string heading;
  std::string text;  ///< paragraphs separated by blank lines
  std::vector<ReportTable> tables;
  std::vector<ReportFigure> figures;
  std::string preformatted;  ///< e.g. the resolved config
  bool folded = false;       ///< the section opens on a click
  bool abreast = false;      ///< figures side by side, as many as the page is wide
};

/// A number that stands out at the top.
struct ReportFact {
  std::string label;
  std::string value;
  std::string note;
};

/// A clause of the summary, e.g. "converged: R-hat 1.003".
struct ReportStatement {
  std::string text;
  Verdict verdict = Verdict::none;
};

/// A curve behind a figure, kept as numbers: pages about several runs draw those of one `plot` on common axes.
struct ReportCurve {
  std::string plot;  ///< "density", "training", "distance"
  std::string name;
  std::string x_label, y_label;
  bool log_y = false;
  bool reference = false;  ///< the truth or a floor: the same for runs on the same data
  std::vector<double> x, y;
};

struct Report {
  std::string title;
  std::string summary;  ///< one line: what was done
  std::vector<ReportFact> facts;
  std::vector<std::string> warnings;
  std::vector<ReportSection> sections;
  std::string footer;
  std::vector<ReportStatement> statements = {};  ///< how well it went, and at what cost
  std::vector<ReportCurve> curves = {};          ///< not shown on the page itself
};

/// `&`, `<`, `>`, quotes; control characters become U+FFFD.
std::string escape_html(const std::string& text);

/// `value` to `digits` significant digits; "n/a" for NaN, "inf"; "–" is for callers that have no value.
std::string number_text(double value, int digits = 3);
/// With a factor, for counts and rates: "950", "12.3 k", "4.56 M", "7.9 G".
std::string count_text(double value);

/// The page. All texts are escaped. A figure that cannot be read becomes a line that says so. A content security policy within lets nothing
/// load and no script run but the page's own.
std::string to_html(const Report& report);

/// Written atomically. Throws `Error`.
void write_report(const std::filesystem::path& path, const Report& report);

}  // namespace tarn
