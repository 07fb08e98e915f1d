// Texts and numbers as the report sets them.
#include <fmt/format.h>

#include <cmath>

#include "tarn/report/html_report.hpp"

namespace tarn {

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
  if (std::isnan(value)) return "n/a";
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
  return magnitude < 1e3 && value == std::trunc(value) ? fmt::format("{:.0f}", value) : number_text(value);
}

}  // namespace tarn
