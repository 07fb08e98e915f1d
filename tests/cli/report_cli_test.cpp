// `tarn report` and `tarn compare`, as a person calls them. What a browser makes of the pages: tests/report/browser.py.
#include <nlohmann/json.hpp>

#include "program.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;
using test::read_text;
using test::write_text;
using testing::HasSubstr;
using testing::Not;

class ReportCli : public test::Program {
 protected:
  std::string run_peak(const std::string& more = "") const {
    write_text(folder / "tiny.toml", test::tiny_peak);
    return run("tiny.toml", more);
  }
  std::string page(const std::string& path) const { return read_text(folder / path); }
};

TEST_F(ReportCli, AReportIsMadeAgainFromTheFolder) {
  const std::string run = run_peak("--set sampling.thin=5");
  const std::string before = page(run + "/report.html");
  for (const char* part : {"converged", "no chain lost", "in all", "chain-steps/s", "should be", "at most 1.01",
                           "Time and hardware", "share of the limit", "Traces", "Ranks among all draws",
                           "Autocorrelation", "Distance to the target", "seconds of sampling", "neurons = 32"})
    EXPECT_THAT(before, HasSubstr(part)) << part;
  fs::remove(folder / run / "report.html");
  expect_fine("-q report " + run);
  EXPECT_TRUE(page(run + "/report.html") == before) << "made again, it is the same";
  expect_fine("-q report " + run + " --out elsewhere.html");
  EXPECT_TRUE(page("elsewhere.html") == before);
  EXPECT_THAT(read_text(folder / run / "metrics.jsonl"),
              HasSubstr("\"name\":\"chains_quarantined\",\"value\":0.0,\"verdict\":\"good\""));
}

// The curve's end is what the run itself says of its final draws: the same chains, the same law, the same floor.
TEST_F(ReportCli, TheDistanceEndsWhereTheRunEnded) {
  const std::string run = run_peak("--set sampling.thin=0");
  const auto report = nlohmann::json::parse(read_text(folder / run / "report.json"));
  nlohmann::json distance, floor, w1;
  for (const auto& curve : report.at("curves")) {
    if (curve.at("plot") == "distance") (curve.at("reference").get<bool>() ? floor : distance) = curve;
  }
  for (const std::string& line : test::lines_of(read_text(folder / run / "metrics.jsonl"))) {
    const auto metric = nlohmann::json::parse(line);
    if (metric.value("name", "") == "w1_smoothed") w1 = metric;
  }
  ASSERT_FALSE(distance.is_null() || floor.is_null() || w1.is_null());
  EXPECT_EQ(distance.at("x").back(), 70.0);
  EXPECT_EQ(distance.at("y").back(), w1.at("value"));
  EXPECT_EQ(floor.at("y").back(), w1.at("floor"));
  EXPECT_GT(distance.at("y").size(), 60u);
}

TEST_F(ReportCli, WhatIsMissingIsSaid) {
  const std::string run = run_peak();
  fs::remove(folder / run / "report.json");  // as in runs of older versions
  fs::remove(folder / run / "timing.jsonl");
  fs::remove(folder / run / "DONE");
  expect_fine("-q report " + run + " --out page.html");
  const std::string html = page("page.html");
  EXPECT_THAT(html, HasSubstr("unfinished"));
  EXPECT_THAT(html, HasSubstr("w1 smoothed"));
  EXPECT_THAT(html, HasSubstr("excess loss"));
  EXPECT_THAT(html, Not(HasSubstr("Time and hardware")));
  expect_refused("report nowhere", 1, "nowhere: no such run folder");
  fs::create_directory(folder / "empty");
  expect_refused("report empty", 1, "empty: not a run folder");
  write_text(folder / run / "report.json", "{");
  expect_refused("report " + run, 1, "report.json: is not well-formed JSON");
}

TEST_F(ReportCli, RunsSideBySide) {
  const std::string a = run_peak(), b = run_peak("--set model.neurons=16 --set run.name=other");
  expect_fine("-q compare " + a + " " + b + " --out both");
  const std::string html = page("both/comparison.html");
  for (const char* part : {"2 runs compared", "tiny", "other", "model.neurons", ">16<", ">32<", "w1_smoothed",
                           "<span>best</span>", "Training", "Density", "Distance", "seconds of sampling"})
    EXPECT_THAT(html, HasSubstr(part)) << part;
  EXPECT_THAT(html, Not(HasSubstr("run.seed"))) << "only keys that differ";
  EXPECT_THAT(html, Not(HasSubstr("unfinished")));
  EXPECT_TRUE(fs::exists(folder / "both" / "figures" / "training.svg"));

  expect_refused("compare " + a + " " + b + " --out both", 1, "both: exists already");
  expect_refused("compare " + a + " --out one", 2, "takes two run folders or more, found 1");
  expect_refused("compare " + a + " nowhere --out two", 1, "nowhere: no such run folder");
  EXPECT_FALSE(fs::exists(folder / "two"));

  fs::remove(folder / b / "DONE");
  expect_fine("-q compare " + a + " " + b + "/ --out three");
  EXPECT_THAT(page("three/comparison.html"), HasSubstr("other is unfinished"));
}

}  // namespace
}  // namespace tarn
