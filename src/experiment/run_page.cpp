#include "tarn/experiment/run_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "chain_views.hpp"
#include "run_files.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/io/file.hpp"
#include "tarn/report/chain_figures.hpp"
#include "tarn/report/report_file.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;

std::string percent(double share) { return fmt::format("{} %", number_text(100.0 * share, 2)); }

// Studies of many networks train and sample in turn, and only the whole is timed.
bool has_parts(const RunClock& c) { return c.training > 0.0 || c.sampling > 0.0; }

ReportSection time_section(const RunClock& c) {
  ReportSection s;
  s.heading = "Time and hardware";
  ReportTable t;
  t.columns = {"part", "time", "share", "count", "rate"};
  const double rest = c.total - c.prepare - c.training - c.sampling;
  const auto row = [&](const std::string& name, double seconds, const std::string& count, const std::string& rate) {
    t.rows.push_back({name, duration(seconds), c.total > 0.0 ? percent(seconds / c.total) : "", count, rate});
  };
  const auto rate = [](double n, double seconds, const char* unit) {
    return n > 0.0 && seconds > 0.0 ? count_text(n / seconds) + " " + unit : std::string();
  };
  row("preparation of the data", c.prepare, "", "");
  const bool parts = has_parts(c);
  if (parts)
    row("training", c.training, count_text(c.training_steps) + " steps", rate(c.training_steps, c.training, "steps/s"));
  if (parts)
    row("sampling", c.sampling, count_text(c.chain_steps) + " chain-steps",
        rate(c.chain_steps, c.sampling, "chain-steps/s"));
  row(parts ? "evaluation and the rest" : "training, sampling and evaluation", std::max(rest, 0.0), "", "");
  row("in all", c.total, "", "");
  if (c.resumed)
    t.note = "The run was interrupted: times are those since it last went on, counts are of the whole run.";
  s.tables.push_back(std::move(t));
  ReportTable machine;
  const auto fact = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) machine.rows.push_back({name, value});
  };
  fact("device", c.hardware.empty() ? c.device : c.device + ": " + c.hardware);
  if (c.n_threads > 0) fact("CPU threads", std::to_string(c.n_threads));
  if (c.operations > 0.0 && c.sampling > 0.0 && c.chain_steps > 0.0 && !c.resumed) {
    const double operations = c.operations * c.chain_steps / c.sampling;
    fact("arithmetic of sampling",
         fmt::format("{}FLOP/s: {} multiplications and additions a chain-step, in its products alone",
                     count_text(operations), count_text(c.operations)));
    fact("share of the limit",
         c.nominal_peak > 0.0
             ? fmt::format("{} of {}FLOP/s, the nominal peak: threads × stated clock × two vector units",
                           percent(operations / c.nominal_peak), count_text(c.nominal_peak))
             : std::string("not known for this device; docs/performance.md has measured limits"));
  }
  if (!machine.rows.empty()) {
    machine.columns = {"machine", ""};
    s.tables.push_back(std::move(machine));
  }
  return s;
}

void add_times(Report& page, const RunClock& c) {
  const double rate = c.sampling > 0.0 && !c.resumed ? c.chain_steps / c.sampling : 0.0;
  page.statements.push_back(
      {fmt::format("{} in all{}", duration(c.total),
                   rate > 0.0 ? fmt::format(", {} chain-steps/s on {}", count_text(rate), c.device) : std::string()),
       Verdict::none});
  page.facts.insert(page.facts.begin(),
                    {"time", duration(c.total),
                     has_parts(c) ? fmt::format("training {}, sampling {}", duration(c.training), duration(c.sampling))
                                  : std::string("training, sampling and evaluation")});
  if (rate > 0.0)
    page.facts.insert(page.facts.begin() + 1,
                      {"throughput", count_text(rate), fmt::format("chain-steps/s on {}", c.device)});
  const auto config = std::ranges::find(page.sections, true, &ReportSection::folded);
  page.sections.insert(config, time_section(c));
}

// Distance against the seconds that the whole run's sampling took for so many steps.
void add_distance_in_seconds(Report& page, const RunClock& c, const fs::path& scratch) {
  std::vector<ReportCurve> curves;
  double last = 0.0;
  for (const ReportCurve& curve : page.curves) {
    if (curve.plot != "distance" || curve.x.empty()) continue;
    last = std::max(last, curve.x.back());
    curves.push_back(curve);
  }
  const auto section = std::ranges::find(page.sections, convergence_heading, &ReportSection::heading);
  if (curves.empty() || last <= 0.0 || c.sampling <= 0.0 || c.resumed || section == page.sections.end()) return;
  for (ReportCurve& curve : curves) {
    curve.x_label = "seconds of sampling";
    for (double& x : curve.x) x *= c.sampling / last;
  }
  const FigureFile file =
      draw(figure_curves("distance_in_seconds", "Distance to the target, in seconds", curves), scratch, {.png = false});
  if (!file) return;
  const auto beside = std::ranges::find_if(
      section->figures, [](const ReportFigure& f) { return f.path.stem() == std::string("distance"); });
  section->figures.insert(
      beside == section->figures.end() ? beside : beside + 1,
      {file.svg, "The same against the time that all chains of the run took for so many steps.", false, {}});
}

Report page_of(const RunFolder& folder, bool finished, const fs::path& scratch) {
  const fs::path stored = folder.report_json();
  Report page = fs::exists(stored) ? load_report(stored) : report_from_files(folder, scratch);
  if (!finished)
    page.statements.insert(page.statements.begin(),
                           {"unfinished: the run has not ended; tarn resume goes on with it", Verdict::bad});
  if (const auto clock = read_clock(folder)) {
    add_times(page, *clock);
    add_distance_in_seconds(page, *clock, scratch);
  }
  return page;
}

}  // namespace

void write_run_page(const RunFolder& folder, const fs::path& out, bool finished) {
  // Figures with seconds on an axis are for this page alone: those of the run folder are the same for equal runs.
  const ScratchFolder scratch("tarn_page");
  write_report(out, page_of(folder, finished, scratch.path()));
}

}  // namespace tarn
