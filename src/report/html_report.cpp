#include "tarn/report/html_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "html_style.hpp"
#include "tarn/core/error.hpp"
#include "tarn/io/file.hpp"

namespace tarn {
namespace {

constexpr std::uint64_t most_bytes = 1 << 26;  // of one figure
constexpr std::int64_t page_width = 950;       // pixels a figure can take

std::string base64(ByteView data) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((data.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < data.size(); i += 3) {
    std::uint32_t word = 0;
    const std::size_t n = std::min<std::size_t>(3, data.size() - i);
    for (std::size_t k = 0; k < 3; ++k) word = word << 8 | (k < n ? std::to_integer<std::uint32_t>(data[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) text += k <= n ? digits[word >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Whether an SVG holds nothing but the elements gnuplot draws with, no event handlers and no links out of itself.
bool is_plain_svg(std::string_view svg) {
  static constexpr std::array<std::string_view, 16> allowed{
      "svg", "title",  "desc",    "g",       "rect",        "defs", "circle", "path",
      "use", "filter", "feFlood", "polygon", "feComposite", "text", "tspan",  "polyline"};
  if (svg.find("<!") != std::string_view::npos || svg.find("<?") != std::string_view::npos) return false;
  for (std::size_t at = svg.find('<'); at != std::string_view::npos; at = svg.find('<', at + 1)) {
    std::size_t begin = at + 1;
    if (begin < svg.size() && svg[begin] == '/') ++begin;
    std::size_t end = begin;
    while (end < svg.size() && is_letter(svg[end])) ++end;
    if (std::find(allowed.begin(), allowed.end(), svg.substr(begin, end - begin)) == allowed.end()) return false;
  }
  for (std::size_t at = svg.find("on"); at != std::string_view::npos; at = svg.find("on", at + 1)) {
    if (at == 0 || is_letter(svg[at - 1]) || svg[at - 1] == '-') continue;
    std::size_t end = at;
    while (end < svg.size() && is_letter(svg[end])) ++end;
    while (end < svg.size() && (svg[end] == ' ' || svg[end] == '\n' || svg[end] == '\t' || svg[end] == '\r')) ++end;
    if (end < svg.size() && svg[end] == '=') return false;
  }
  for (std::size_t at = svg.find("href"); at != std::string_view::npos; at = svg.find("href", at + 1)) {
    const std::string_view after = svg.substr(at + 4, 3);
    if (after != "='#" && after != "=\"#") return false;
  }
  for (std::size_t at = svg.find("url("); at != std::string_view::npos; at = svg.find("url(", at + 1)) {
    if (svg.substr(at + 4, 1) != "#") return false;
  }
  return svg.find("style") == std::string_view::npos;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

void erase_element(std::string& svg, const std::string& name) {
  const std::size_t begin = svg.find("<" + name + ">"), end = svg.find("</" + name + ">");
  if (begin != std::string::npos && end != std::string::npos && begin < end)
    svg.erase(begin, end + name.size() + 3 - begin);
}

std::string without_prolog(std::string svg) {
  if (svg.starts_with("<?xml")) {
    const std::size_t end = svg.find("?>");
    if (end != std::string::npos) svg.erase(0, end + 2);
  }
  return svg;
}

// An SVG element for the page: its ids made unique, its name for screen readers, its size left to the style sheet.
std::string inline_svg(std::string svg, const std::string& caption, int number) {
  erase_element(svg, "title");
  erase_element(svg, "desc");
  const std::string prefix = fmt::format("f{}-", number);
  for (const char quote : {'\'', '"'}) {
    replace_all(svg, fmt::format(" id={}", quote), fmt::format(" id={}{}", quote, prefix));
    replace_all(svg, fmt::format("href={}#", quote), fmt::format("href={}#{}", quote, prefix));
  }
  replace_all(svg, "url(#", "url(#" + prefix);
  const std::size_t box = svg.find("viewBox=\"0 0 ");
  const bool wide = box != std::string::npos && std::strtod(svg.c_str() + box + 13, nullptr) > 800.0;
  const std::size_t tag = svg.find("<svg");
  svg.insert(tag + 4,
             fmt::format("{} role=\"img\" aria-label=\"{}\"", wide ? " class=\"wide\"" : "", escape_html(caption)));
  return svg;
}

std::string missing(const ReportFigure& figure, const std::string& why) {
  return fmt::format("<p class=\"missing\">The figure {} cannot be shown: {}</p>",
                     escape_html(figure.path.filename().string()), escape_html(why));
}

std::string picture(const ReportFigure& figure, int number) {
  try {
    const Bytes bytes = read_file(figure.path, most_bytes);
    const auto at = [&](std::size_t i) { return std::to_integer<std::int64_t>(bytes[i]); };
    const bool png = bytes.size() > 24 && at(0) == 0x89 && at(1) == 'P' && at(2) == 'N' && at(3) == 'G';
    if (png) {
      std::int64_t width = at(16) << 24 | at(17) << 16 | at(18) << 8 | at(19);
      std::int64_t height = at(20) << 24 | at(21) << 16 | at(22) << 8 | at(23);
      // Whole multiples keep small pixels square; where none fits, smoothing hides that they are not.
      std::int64_t factor = 1;
      bool square = false;
      if (figure.pixelated && width > 0) {
        factor = std::max<std::int64_t>(1, page_width / width);
        square = factor > 1 || width == page_width;
        if (!square && width < page_width) {
          height = height * page_width / width;
          width = page_width;
        }
      }
      return fmt::format("<img{} width=\"{}\" height=\"{}\" alt=\"{}\" src=\"data:image/png;base64,{}\">",
                         square ? " class=\"pixelated\"" : "", width * factor, height * factor,
                         escape_html(figure.caption), base64(bytes));
    }
    std::string text = without_prolog(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    if (text.find("<svg") == std::string::npos) return missing(figure, "it is neither SVG nor PNG");
    if (is_plain_svg(text)) return inline_svg(std::move(text), figure.caption, number);
    return fmt::format("<img alt=\"{}\" src=\"data:image/svg+xml;base64,{}\">", escape_html(figure.caption),
                       base64(bytes));
  } catch (const Error&) {
    return missing(figure, "it could not be read");  // without its path, which differs from machine to machine
  }
}

std::string paragraphs(const std::string& text) {
  std::string html;
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = text.find("\n\n", begin);
    if (end == std::string::npos) end = text.size();
    if (const auto part = text.substr(begin, end - begin); part.find_first_not_of(" \n") != std::string::npos) {
      html += "<p>" + escape_html(part) + "</p>\n";
    }
    begin = end + 2;
  }
  return html;
}

std::string table_html(const ReportTable& table) {
  std::string html = "<div class=\"table\"><table>\n";
  if (!table.caption.empty()) html += "<caption>" + escape_html(table.caption) + "</caption>\n";
  if (!table.columns.empty()) {
    html += "<thead><tr>";
    for (const auto& column : table.columns) html += "<th scope=\"col\">" + escape_html(column) + "</th>";
    html += "</tr></thead>\n";
  }
  html += "<tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      html += i == 0 ? "<th scope=\"row\">" + escape_html(row[i]) + "</th>" : "<td>" + escape_html(row[i]) + "</td>";
    }
    html += "</tr>\n";
  }
  html += "</tbody></table></div>\n";
  if (!table.note.empty()) html += "<p class=\"note\">" + escape_html(table.note) + "</p>\n";
  return html;
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string html;
  html.reserve(text.size());
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '&') {
      html += "&amp;";
    } else if (c == '<') {
      html += "&lt;";
    } else if (c == '>') {
      html += "&gt;";
    } else if (c == '"') {
      html += "&quot;";
    } else if (c == '\'') {
      html += "&#39;";
    } else if ((code < 0x20 && c != '\n' && c != '\t') || code == 0x7f) {
      html += "\xef\xbf\xbd";
    } else {
      html += c;
    }
  }
  return html;
}

std::string number_text(double value, int digits) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0.0 ? "-inf" : "inf";
  if (value == 0.0) return "0";
  const double magnitude = std::abs(value);
  if (magnitude < 1e-5 || magnitude >= 1e7) return fmt::format("{:.{}e}", value, std::max(digits - 1, 0));
  // plain decimals, with the digits that are significant; the exponent is that of the rounded value
  const std::string rounded = fmt::format("{:.{}e}", magnitude, std::max(digits - 1, 0));
  const int exponent = std::stoi(rounded.substr(rounded.find('e') + 1));
  return fmt::format("{:.{}f}", value, std::max(0, digits - 1 - exponent));
}

std::string count_text(double value) {
  const double magnitude = std::abs(value);
  for (const auto& [factor, unit] : {std::pair{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}) {
    // 999.96 k is shown as 1.00 M
    if (magnitude >= factor * 0.9995 && std::isfinite(value)) return number_text(value / factor) + " " + unit;
  }
  return number_text(value);
}

std::string to_html(const Report& report) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, "
      "initial-scale=1\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n<h1>{}</h1>\n",
      escape_html(report.title), html_style, escape_html(report.title));
  if (!report.summary.empty()) html += "<p class=\"summary\">" + escape_html(report.summary) + "</p>\n";
  if (!report.facts.empty()) {
    html += "<dl class=\"facts\">\n";
    for (const ReportFact& fact : report.facts) {
      html +=
          fmt::format("<div><dt>{}</dt><dd class=\"value\">{}</dd>", escape_html(fact.label), escape_html(fact.value));
      if (!fact.note.empty()) html += "<dd class=\"note\">" + escape_html(fact.note) + "</dd>";
      html += "</div>\n";
    }
    html += "</dl>\n";
  }
  if (!report.warnings.empty()) {
    html += "<div class=\"warnings\"><strong>Warnings</strong><ul>\n";
    for (const auto& warning : report.warnings) html += "<li>" + escape_html(warning) + "</li>\n";
    html += "</ul></div>\n";
  }
  int number = 0;
  for (const ReportSection& section : report.sections) {
    html += section.folded ? "<section><details><summary>" + escape_html(section.heading) + "</summary>\n"
                           : "<section>\n<h2>" + escape_html(section.heading) + "</h2>\n";
    html += paragraphs(section.text);
    for (const ReportTable& table : section.tables) html += table_html(table);
    for (const ReportFigure& figure : section.figures) {
      html += fmt::format("<figure><div class=\"frame\">{}</div>", picture(figure, ++number));
      if (!figure.caption.empty()) html += "<figcaption>" + escape_html(figure.caption) + "</figcaption>";
      html += "</figure>\n";
    }
    if (!section.preformatted.empty()) html += "<pre>" + escape_html(section.preformatted) + "</pre>\n";
    html += section.folded ? "</details></section>\n" : "</section>\n";
  }
  if (!report.footer.empty()) html += "<footer>" + escape_html(report.footer) + "</footer>\n";
  html += "</main>\n</body>\n</html>\n";
  return html;
}

void write_report(const std::filesystem::path& path, const Report& report) {
  write_file_atomically(path, to_html(report));
}

}  // namespace tarn
