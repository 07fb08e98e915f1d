// Pictures within the page: SVG of plain shapes as it is, anything else as a data URI, in which scripts do not run.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "html_parts.hpp"
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

}  // namespace

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

}  // namespace tarn
