// Parts of the page; private to the report.
#pragma once

#include <string>

#include "tarn/report/html_report.hpp"

namespace tarn {

/// The figure as an element of the page; `number` keeps the ids of several drawings apart. A file that cannot be read becomes a line that
/// says so.
std::string picture(const ReportFigure& figure, int number);

/// Within a region that scrolls sideways by itself; the script makes its heads sort.
std::string table_html(const ReportTable& table);

/// The word in its colour; empty for `none`.
std::string verdict_html(Verdict verdict);

}  // namespace tarn
