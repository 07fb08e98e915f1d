#include "tarn/report/html_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "html_parts.hpp"
#include "html_script.hpp"
#include "html_style.hpp"
#include "tarn/io/file.hpp"

namespace tarn {
namespace {

constexpr std::size_t long_page = 3;  // sections from which a list of contents helps

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

// Nothing is loaded, and no script runs but ours.
std::string policy() {
  return fmt::format(
      "default-src &#39;none&#39;; img-src data:; style-src &#39;unsafe-inline&#39;; script-src &#39;sha256-{}&#39;; "
      "base-uri &#39;none&#39;; form-action &#39;none&#39;",
      html_script_hash);
}

std::string head(const Report& report, bool with_contents) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"{}\">\n<title>{}</title>\n<style>{}</style>\n</head>\n"
      "<body{}>\n<main>\n",
      policy(), escape_html(report.title), html_style, with_contents ? " class=\"long\"" : "");
}

std::string top(const Report& report) {
  std::string html = "<header>\n<h1>" + escape_html(report.title) + "</h1>\n";
  if (!report.summary.empty()) html += "<p class=\"summary\">" + escape_html(report.summary) + "</p>\n";
  if (!report.statements.empty()) {
    html += "<ul class=\"statements\">\n";
    for (const ReportStatement& s : report.statements) {
      html += fmt::format("<li{}>{}{}</li>\n", s.verdict == Verdict::none ? " class=\"none\"" : "",
                          verdict_html(s.verdict), escape_html(s.text));
    }
    html += "</ul>\n";
  }
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
  return html + "</header>\n";
}

std::string contents(const Report& report) {
  std::string html = "<nav class=\"contents\" aria-label=\"Contents\"><ul>\n";
  for (std::size_t i = 0; i < report.sections.size(); ++i)
    html += fmt::format("<li><a href=\"#s{}\">{}</a></li>\n", i + 1, escape_html(report.sections[i].heading));
  return html + "</ul></nav>\n";
}

std::string section_html(const ReportSection& section, std::size_t index, int& number) {
  std::string html = fmt::format("<section id=\"s{}\">", index + 1);
  html += section.folded ? "<details><summary>" + escape_html(section.heading) + "</summary>\n"
                         : "\n<h2>" + escape_html(section.heading) + "</h2>\n";
  html += paragraphs(section.text);
  for (const ReportTable& table : section.tables) html += table_html(table);
  if (section.abreast) html += "<div class=\"abreast\">\n";
  for (const ReportFigure& figure : section.figures) {
    html += fmt::format("<figure><div class=\"frame\">{}</div>", picture(figure, ++number));
    if (!figure.caption.empty()) html += "<figcaption>" + escape_html(figure.caption) + "</figcaption>";
    html += "</figure>\n";
  }
  if (section.abreast) html += "</div>\n";
  if (!section.preformatted.empty()) html += "<pre tabindex=\"0\">" + escape_html(section.preformatted) + "</pre>\n";
  return html + (section.folded ? "</details></section>\n" : "</section>\n");
}

}  // namespace

std::string to_html(const Report& report) {
  const bool with_contents = report.sections.size() >= long_page;
  std::string html = head(report, with_contents) + top(report);
  if (with_contents) html += contents(report);
  int number = 0;
  for (std::size_t i = 0; i < report.sections.size(); ++i) html += section_html(report.sections[i], i, number);
  if (!report.footer.empty()) html += "<footer>" + escape_html(report.footer) + "</footer>\n";
  html += fmt::format("</main>\n<script>{}</script>\n</body>\n</html>\n", html_script);
  return html;
}

void write_report(const std::filesystem::path& path, const Report& report) {
  write_file_atomically(path, to_html(report));
}

}  // namespace tarn
