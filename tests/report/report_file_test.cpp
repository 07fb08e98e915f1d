#include "tarn/report/report_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "message_of.hpp"
#include "tarn/io/file.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using testing::HasSubstr;
using testing::Not;

class ReportFile : public testing::Test {
 protected:
  ReportFile() {
    fs::create_directories(folder_ / "figures");
    write_file_atomically(folder_ / "figures" / "a.svg",
                          std::string_view("<svg viewBox=\"0 0 900 500\"><text>score</text></svg>"));
  }

  Report example() const {
    Report r;
    r.title = "t <&>";
    r.summary = "what was done";
    r.statements = {{"converged", Verdict::good}, {"lost", Verdict::bad}, {"cost", Verdict::none}};
    r.facts = {{"time", "3 s", "of all"}};
    r.warnings = {"one", "σ\n2"};
    ReportTable table{"caption", {"a", "b"}, {{"1", "2"}, {"3", "4"}}, "note", {}, {}};
    table.verdicts = {Verdict::watch, Verdict::none};
    table.best = {{1}, {}};
    ReportSection section{"Results", "text", {table}, {}, "x = 1", false, true};
    section.figures.push_back({folder_ / "figures" / "a.svg", "caption", true, "Results"});
    r.sections = {section, {"Config", "", {}, {}, "y = 2", true}};
    ReportCurve curve{"distance", "W1", "step", "W1", true, false, {0.0, 1.0, 2.0}, {0.1, NAN, 1e-300}};
    r.curves = {curve};
    r.footer = "f";
    return r;
  }
  fs::path file() const { return folder_ / "report.json"; }
  std::string refusal_of(const std::string& text) const {
    write_file_atomically(file(), std::string_view(text));
    return message_of([&] { load_report(file()); });
  }

  const ScratchFolder scratch_{"tarn_report"};
  const fs::path folder_ = scratch_.path();
};

TEST_F(ReportFile, ThePageIsTheSameAfterTheWayThroughTheFile) {
  const Report report = example();
  save_report(file(), report);
  const Report back = load_report(file());
  EXPECT_EQ(to_html(back), to_html(report));
  EXPECT_THAT(to_html(back), HasSubstr("<svg"));
  ASSERT_EQ(back.curves.size(), 1u);
  EXPECT_EQ(back.curves[0].x, report.curves[0].x);
  EXPECT_TRUE(std::isnan(back.curves[0].y[1]));
  EXPECT_EQ(back.curves[0].y[2], 1e-300);
  EXPECT_TRUE(back.curves[0].log_y);
}

// A run folder may be moved: figures are found beside the file.
TEST_F(ReportFile, FiguresMoveWithTheFolder) {
  save_report(file(), example());
  EXPECT_THAT(read_text_file(file()), Not(HasSubstr(folder_.string())));
  const fs::path moved = folder_.string() + "-moved";
  fs::rename(folder_, moved);
  EXPECT_THAT(to_html(load_report(moved / "report.json")), HasSubstr("<svg"));
  fs::rename(moved, folder_);
}

TEST_F(ReportFile, WhatIsNoReportIsRefusedInOneLine) {
  save_report(file(), example());
  const std::string whole = read_text_file(file());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = whole;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return refusal_of(text.replace(at, from.size(), to));
  };
  EXPECT_THAT(refusal_of(whole.substr(0, whole.size() / 2)), HasSubstr("not well-formed JSON"));
  EXPECT_THAT(refusal_of("[]"), HasSubstr("is not the report of a run"));
  EXPECT_THAT(refusal_of("{}"), HasSubstr("is not the report of a run"));
  EXPECT_THAT(with("\"format\": 1", "\"format\": 2"), HasSubstr("has format 2, expected 1"));
  EXPECT_THAT(with("\"watch\"", "\"fine\""), HasSubstr("knows no verdict \"fine\""));
  EXPECT_THAT(with("\"title\"", "\"tilte\""), HasSubstr("is not the report of a run"));
  EXPECT_THAT(with("1e-300", "1e-300, 2"), HasSubstr("has 3 x and 4 y"));
  for (const std::string outside : {"/etc/passwd", "../secret.svg", "figures/../../secret.svg", ""})
    EXPECT_THAT(with("figures/a.svg", outside), HasSubstr("outside of its folder")) << outside;
  const std::string one = refusal_of("{\"format\": \"a\\nb\"}");
  EXPECT_EQ(one.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace tarn
