#include "tarn/report/html_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "tarn/io/file.hpp"

namespace tarn {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

class HtmlReport : public testing::Test {
 protected:
  HtmlReport()
      : folder_(fs::path(testing::TempDir()) /
                ("report-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~HtmlReport() override { fs::remove_all(folder_); }

  fs::path put(const std::string& name, const std::string& content) {
    write_file_atomically(folder_ / name, content);
    return folder_ / name;
  }
  std::string page_with(const fs::path& figure, const std::string& caption = "A figure") {
    Report report;
    report.sections.push_back({"Figures", "", {}, {{figure, caption}}, "", false});
    return to_html(report);
  }

  fs::path folder_;
};

constexpr const char* hostile = "<script>alert(\"x\")</script> & 'y'";
constexpr const char* harmless = "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;y&#39;";

TEST_F(HtmlReport, EveryTextIsEscaped) {
  EXPECT_EQ(escape_html(hostile), harmless);
  EXPECT_EQ(escape_html(std::string("a\x01"
                                    "b\nc")),
            "a\xef\xbf\xbd"
            "b\nc");
  EXPECT_EQ(escape_html("σ ± 3"), "σ ± 3");
  Report report;
  report.title = report.summary = report.footer = hostile;
  report.facts = {{hostile, hostile, hostile}};
  report.warnings = {hostile};
  report.statements = {{hostile, Verdict::bad}};
  for (const bool folded : {false, true}) {
    report.sections.push_back({hostile,
                               hostile,
                               {{hostile, {hostile, hostile}, {{hostile, hostile}}, hostile}},
                               {{hostile, hostile}},
                               hostile,
                               folded});
  }
  const std::string html = to_html(report);
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  std::size_t n = 0;
  for (std::size_t at = html.find(harmless); at != std::string::npos; at = html.find(harmless, at + 1)) ++n;
  // title twice, summary, footer, fact x 3, warning, statement; a section: heading, text, caption twice, columns x 2, cells
  // x 2, note, figure's caption, preformatted, and the missing figure's file name after its last slash once in another form
  EXPECT_EQ(n, 4u + 3u + 1u + 1u + 2u * 11u);
}

TEST_F(HtmlReport, PlainSvgIsInlinedWithIdsOfItsOwn) {
  const auto svg =
      put("a.svg",
          "<?xml version=\"1.0\"?>\n<svg width=\"90\" height=\"50\" viewBox=\"0 0 900 "
          "500\"><title>t</title><defs><circle id='gpDot' "
          "r='1'/></defs><use xlink:href='#gpDot'/><g clip-path=\"url(#gpDot)\"><text>score on x</text></g></svg>");
  Report report;
  report.sections.push_back({"", "", {}, {{svg, "one"}, {svg, "two"}}, "", false});
  const std::string html = to_html(report);
  EXPECT_THAT(html, HasSubstr("id='f1-gpDot'"));
  EXPECT_THAT(html, HasSubstr("id='f2-gpDot'"));
  EXPECT_THAT(html, HasSubstr("href='#f2-gpDot'"));
  EXPECT_THAT(html, HasSubstr("url(#f1-gpDot)"));
  EXPECT_THAT(html, HasSubstr("class=\"wide\" role=\"img\" aria-label=\"one\""));
  EXPECT_THAT(html, Not(HasSubstr("<?xml")));
  EXPECT_THAT(html, Not(HasSubstr("<title>t")));
}

TEST_F(HtmlReport, AnSvgThatCouldDoMoreIsShutAwayInAnImage) {
  for (const std::string body :
       {"<script>alert(1)</script>", "<g onload=\"alert(1)\"/>", "<g\nonclick = 'x'/>", "<a href='javascript:x'/>",
        "<image href='http://x'/>", "<use href='http://x/y.svg#z'/>", "<g style='background:url(http://x)'/>",
        "<g fill='url(http://x)'/>", "<foreignObject/>", "<g fill='url(#a)' stroke='url(http://x)'/>",
        "<!-- <svg> -->"}) {
    const std::string html = page_with(put("bad.svg", "<svg viewBox=\"0 0 9 9\">" + body + "</svg>"));
    EXPECT_THAT(html, Not(HasSubstr("<svg"))) << body;
    EXPECT_THAT(html, HasSubstr("src=\"data:image/svg+xml;base64,")) << body;
  }
}

TEST_F(HtmlReport, PngBecomesADataUri) {
  // the first 24 bytes are all that is read: magic, IHDR, 3 x 2 pixels
  const std::string png = std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x03\0\0\0\x02", 24) + "ab";
  Report report;
  report.sections.push_back({"", "", {}, {{put("a.png", png), "p", true}}, "", false});
  EXPECT_THAT(to_html(report), HasSubstr("<img class=\"pixelated\" width=\"948\" height=\"632\" alt=\"p\" "
                                         "src=\"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAMAAAACYWI=\">"));
  report.sections[0].figures[0].pixelated = false;
  EXPECT_THAT(to_html(report), HasSubstr("<img width=\"3\" height=\"2\""));
}

TEST_F(HtmlReport, AFigureThatIsNotThereIsSaid) {
  EXPECT_THAT(page_with(folder_ / "gone.svg"), HasSubstr("The figure gone.svg cannot be shown"));
  EXPECT_THAT(page_with(put("text.txt", "hello")), HasSubstr("neither SVG nor PNG"));
  EXPECT_THAT(page_with(put("empty.png", "")), HasSubstr("neither SVG nor PNG"));
}

TEST_F(HtmlReport, NothingIsLoadedFromElsewhere) {
  Report report;
  report.title = "t";
  report.sections.push_back({"Config", "a\n\nb", {}, {}, "x = 1", true});
  const std::string html = to_html(report);
  EXPECT_THAT(html, Not(HasSubstr("http:")));
  EXPECT_THAT(html, Not(HasSubstr("https:")));
  EXPECT_THAT(html, Not(HasSubstr(" src=\"h")));
  EXPECT_THAT(html, Not(HasSubstr("<link")));
  EXPECT_THAT(html, Not(HasSubstr("@import")));
  EXPECT_THAT(html, HasSubstr("<p>a</p>\n<p>b</p>"));
  EXPECT_THAT(html, HasSubstr("<details><summary>Config</summary>"));
  write_report(folder_ / "report.html", report);
  EXPECT_EQ(read_text_file(folder_ / "report.html"), html);
}

// The policy names our script by its hash; one that differs by a byte would not run.
TEST_F(HtmlReport, OnlyThePagesOwnScriptRuns) {
  const std::string html = to_html({});
  const std::size_t begin = html.find("<script>") + 8, end = html.find("</script>");
  ASSERT_LT(begin, end);
  EXPECT_EQ(html.find("<script", begin), std::string::npos) << "one script";
  const fs::path script = put("script", html.substr(begin, end - begin)), hash = folder_ / "hash";
  const std::string command =
      "openssl dgst -sha256 -binary '" + script.string() + "' | openssl base64 -A > '" + hash.string() + "'";
  if (std::system(command.c_str()) != 0) GTEST_SKIP() << "no openssl";
  EXPECT_THAT(html, HasSubstr("script-src &#39;sha256-" + read_text_file(hash) + "&#39;"));
  EXPECT_THAT(html, HasSubstr("default-src &#39;none&#39;"));
}

TEST_F(HtmlReport, VerdictsAreWords) {
  Report report;
  report.statements = {{"all is well", Verdict::good}, {"cost", Verdict::none}};
  ReportTable table;
  table.columns = {"diagnostic", "value"};
  table.rows = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
  table.verdicts = {Verdict::good, Verdict::bad};  // none for the third
  table.best = {{}, {1}};
  report.sections.push_back({"Diagnostics", "", {table}, {}, "", false});
  const std::string html = to_html(report);
  EXPECT_THAT(html, HasSubstr("<li><span class=\"verdict good\">good</span>all is well</li>"));
  EXPECT_THAT(html, HasSubstr("<li class=\"none\">cost</li>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"col\">verdict</th>"));
  EXPECT_THAT(html, HasSubstr("<td>1</td><td><span class=\"verdict good\">good</span></td>"));
  EXPECT_THAT(html,
              HasSubstr("<td class=\"best\">2 <span>best</span></td><td><span class=\"verdict bad\">bad</span></td>"));
  EXPECT_THAT(html, HasSubstr("<td>3</td><td></td>"));
}

TEST_F(HtmlReport, AColumnOfNumbersStaysOneWithoutAValue) {
  ReportTable table;
  table.columns = {"quantity", "R-hat", "remark"};
  table.rows = {{"x_0", number_text(1.01), "good"}, {"x_1", number_text(std::nan("")), "n/a"}};
  Report report;
  report.sections.push_back({"Results", "", {table}, {}, "", false});
  EXPECT_THAT(to_html(report), HasSubstr("<td>n/a</td><td class=\"words\">n/a</td>"));
}

TEST_F(HtmlReport, ValuesWithIntervalsAreNumbersWhateverTheirLength) {
  Report report;
  ReportTable table;
  table.columns = {"figure of merit", "this run", "remark"};
  table.rows = {{"MMD", "-0.000984 [-0.00322, 0.00109]", "1024 chains of 100 draws, of which 3"}, {"W1", "n/a", "4"}};
  report.sections.push_back({"Results", "", {table}, {}, "", false});
  const std::string html = to_html(report);
  EXPECT_THAT(html, HasSubstr("<td class=\"intervals\">-0.000984 [-0.00322, 0.00109]</td><td class=\"prose\">1024"));
  EXPECT_THAT(html, HasSubstr("<td class=\"intervals\">n/a</td>"));
}

TEST_F(HtmlReport, ALongPageHasContents) {
  Report report;
  for (const char* heading : {"One", "Two"}) report.sections.push_back({heading, "text", {}, {}, "", false});
  EXPECT_THAT(to_html(report), Not(HasSubstr("<nav")));
  report.sections.push_back({"Three & more", "text", {}, {}, "", true});
  const std::string html = to_html(report);
  EXPECT_THAT(html, HasSubstr("<li><a href=\"#s3\">Three &amp; more</a></li>"));
  EXPECT_THAT(html, HasSubstr("<section id=\"s3\"><details>"));
}

TEST_F(HtmlReport, Numbers) {
  EXPECT_EQ(number_text(0.00571), "0.00571");
  EXPECT_EQ(number_text(0.0571234), "0.0571");
  EXPECT_EQ(number_text(12.345), "12.3");
  EXPECT_EQ(number_text(1234.5), "1234");
  EXPECT_EQ(number_text(-0.5, 2), "-0.50");
  EXPECT_EQ(number_text(3e-7), "3.00e-07");
  EXPECT_EQ(number_text(0.0), "0");
  EXPECT_EQ(number_text(std::nan("")), "n/a");
  EXPECT_EQ(number_text(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(count_text(950), "950");
  EXPECT_EQ(count_text(28), "28");
  EXPECT_EQ(count_text(2.5), "2.50");
  EXPECT_EQ(count_text(12345), "12.3 k");
  EXPECT_EQ(count_text(999960), "1.00 M");
  EXPECT_EQ(count_text(4.56e9), "4.56 G");
}

}  // namespace
}  // namespace tarn
