#include <fmt/format.h>

#include <algorithm>

#include "html_parts.hpp"

namespace tarn {

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::good:
      return "good";
    case Verdict::watch:
      return "watch";
    case Verdict::bad:
      return "bad";
    case Verdict::none:
      break;
  }
  return "";
}

std::string verdict_html(Verdict verdict) {
  if (verdict == Verdict::none) return "";
  return fmt::format("<span class=\"verdict {0}\">{0}</span>", name_of(verdict));
}

namespace {

enum class Column { numbers, intervals, words, prose };

// "4.57 [4.31, 4.84]"
bool is_interval(const std::string& cell) { return cell.ends_with(']') && cell.find(" [") != std::string::npos; }

bool is_number(const std::string& cell) {
  if (cell.empty() || cell == "–" || cell == "n/a" || cell == "inf" || cell == "-inf") return true;
  const std::size_t at = cell[0] == '-' || cell[0] == '+' ? 1 : 0;
  return at < cell.size() && cell[at] >= '0' && cell[at] <= '9';
}

// Columns of numbers are set to the right, those with intervals in two lines where there is little room; one cell of words makes a column of words, a long one a column that wraps.
Column kind_of(const ReportTable& table, std::size_t column) {
  Column kind = Column::numbers;
  for (const auto& row : table.rows) {
    if (column >= row.size()) continue;
    if (!is_number(row[column])) kind = std::max(kind, Column::words);
    if (is_interval(row[column])) {
      kind = std::max(kind, Column::intervals);
      continue;
    }
    if (row[column].size() > 24 && row[column].find(' ') != std::string::npos) kind = Column::prose;
  }
  return kind;
}

std::string opening(const char* tag, Column kind) {
  if (kind == Column::numbers) return fmt::format("<{}>", tag);
  return fmt::format("<{} class=\"{}\">", tag,
                     kind == Column::intervals ? "intervals"
                     : kind == Column::words   ? "words"
                                               : "prose");
}

}  // namespace

std::string table_html(const ReportTable& table) {
  const bool judged = !table.verdicts.empty();
  std::size_t n_columns = table.columns.size();
  for (const auto& row : table.rows) n_columns = std::max(n_columns, row.size());
  std::vector<Column> kinds;
  for (std::size_t i = 0; i < n_columns; ++i) kinds.push_back(kind_of(table, i));
  std::string html = fmt::format("<div class=\"table\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table>\n",
                                 escape_html(table.caption.empty() ? std::string("Table") : table.caption));
  if (!table.caption.empty()) html += "<caption>" + escape_html(table.caption) + "</caption>\n";
  if (!table.columns.empty()) {
    html += "<thead><tr>";
    for (std::size_t i = 0; i < table.columns.size(); ++i)
      html +=
          opening("th scope=\"col\"", i == 0 ? Column::numbers : kinds[i]) + escape_html(table.columns[i]) + "</th>";
    if (judged) html += "<th scope=\"col\">verdict</th>";
    html += "</tr></thead>\n";
  }
  html += "<tbody>\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const auto& row = table.rows[r];
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i == 0) {
        html += "<th scope=\"row\">" + escape_html(row[i]) + "</th>";
        continue;
      }
      const bool best = r < table.best.size() && std::ranges::find(table.best[r], i) != table.best[r].end();
      if (best)
        html += "<td class=\"best\">" + escape_html(row[i]) + " <span>best</span></td>";
      else
        html += opening("td", kinds[i]) + escape_html(row[i]) + "</td>";
    }
    if (judged) html += "<td>" + verdict_html(r < table.verdicts.size() ? table.verdicts[r] : Verdict::none) + "</td>";
    html += "</tr>\n";
  }
  html += "</tbody></table></div>\n";
  if (!table.note.empty()) html += "<p class=\"note\">" + escape_html(table.note) + "</p>\n";
  return html;
}

}  // namespace tarn
