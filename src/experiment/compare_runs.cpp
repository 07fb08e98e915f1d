#include "tarn/experiment/compare_runs.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "config_check.hpp"
#include "run_files.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/core/version.hpp"
#include "tarn/experiment/run_page.hpp"
#include "tarn/io/file.hpp"
#include "tarn/report/chain_figures.hpp"
#include "tarn/report/report_file.hpp"
#include "thresholds.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;

constexpr const char* no_value = "–";

struct Compared {
  RunFolder folder;
  std::string name;
  bool finished = false;
  std::map<std::string, std::string> config;  // dotted key -> value as TOML writes it
  std::vector<Metric> metrics;
  std::optional<RunClock> clock;
  std::optional<Report> report;  // empty for runs without report.json
};

// Keys with their values, those of tables within tables dotted; arrays are one value.
void flatten(const toml::table& table, const std::string& prefix, std::map<std::string, std::string>& out) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const toml::table* inner = node.as_table()) {
      flatten(*inner, name + ".", out);
      continue;
    }
    std::ostringstream text;
    node.visit([&](const auto& value) { text << value; });
    out[name] = one_line(text.str());
  }
}

std::map<std::string, std::string> config_of(const RunFolder& folder) {
  const std::string source = folder.config().string(), text = read_text_file(folder.config());
  check_key_depth(text, source);
  std::map<std::string, std::string> keys;
  try {
    flatten(toml::parse(std::string_view(text)), "", keys);
  } catch (const toml::parse_error& error) {
    fail("{}:{}: not valid TOML: {}", source, error.source().begin.line, error.description());
  }
  return keys;
}

// Short names, told apart by as much of the path as it takes.
void name_runs(std::vector<Compared>& runs) {
  const auto unique = [&] {
    std::set<std::string> names;
    for (const Compared& run : runs) names.insert(run.name);
    return names.size() == runs.size();
  };
  for (Compared& run : runs) {
    const auto found = run.config.find("run.name");
    run.name = found == run.config.end() ? run.folder.path().filename().string() : found->second;
    std::erase_if(run.name, [](char c) { return c == '"' || c == '\''; });
  }
  if (unique()) return;
  for (Compared& run : runs) run.name = fs::absolute(run.folder.path()).lexically_normal().filename().string();
  if (unique()) return;
  for (std::size_t i = 0; i < runs.size(); ++i) runs[i].name = fmt::format("{} ({})", runs[i].name, i + 1);
}

std::vector<Compared> read_runs(const std::vector<fs::path>& paths) {
  std::vector<Compared> runs;
  for (fs::path path : paths) {
    if (path.filename().empty()) path = path.parent_path();  // "runs/a/" is runs/a
    Compared run{RunFolder::open(path), {}, false, {}, {}, {}, {}};
    run.finished = fs::exists(run.folder.done());
    run.config = config_of(run.folder);
    run.metrics = stored_metrics(run.folder);
    run.clock = read_clock(run.folder);
    if (fs::exists(run.folder.report_json())) run.report = load_report(run.folder.report_json());
    runs.push_back(std::move(run));
  }
  name_runs(runs);
  return runs;
}

ReportTable runs_table(const std::vector<Compared>& runs) {
  ReportTable t;
  t.columns = {"run", "time", "training", "sampling", "chain-steps/s", "device", "what"};
  for (const Compared& run : runs) {
    const RunClock c = run.clock.value_or(RunClock{});
    const auto time = [&](double seconds) { return run.clock ? duration(seconds) : std::string(no_value); };
    const bool rated = c.sampling > 0.0 && c.chain_steps > 0.0 && !c.resumed;
    t.rows.push_back({run.name, time(c.total), time(c.training), time(c.sampling),
                      rated ? count_text(c.chain_steps / c.sampling) : no_value, c.device.empty() ? no_value : c.device,
                      !run.finished ? "unfinished: has not ended"
                      : run.report  ? run.report->summary
                                    : ""});
    t.verdicts.push_back(run.finished ? Verdict::none : Verdict::bad);
  }
  if (std::ranges::all_of(t.verdicts, [](Verdict v) { return v == Verdict::none; })) t.verdicts.clear();
  return t;
}

const Metric* find(const Compared& run, const std::string& name) {
  const auto found = std::ranges::find(run.metrics, name, &Metric::name);
  return found == run.metrics.end() ? nullptr : &*found;
}

// Rows go by the names of metrics.jsonl, which runs of different kinds share.
ReportTable metrics_table(const std::vector<Compared>& runs) {
  ReportTable t;
  t.columns = {"figure of merit"};
  for (const Compared& run : runs) t.columns.push_back(run.name);
  t.columns.push_back("floor");
  std::vector<std::string> names;
  for (const Compared& run : runs) {
    for (const Metric& m : run.metrics) {
      if (std::ranges::find(names, m.name) == names.end()) names.push_back(m.name);
    }
  }
  for (const std::string& name : names) {
    std::vector<std::string> row{name};
    std::vector<std::string> floors;
    std::vector<double> values;
    for (const Compared& run : runs) {
      const Metric* m = find(run, name);
      row.push_back(m ? number_text(m->value) : no_value);
      values.push_back(m ? m->value : std::nan(""));
      if (!m || std::isnan(m->floor)) continue;
      const std::string floor = number_text(m->floor, 2);
      if (std::ranges::find(floors, floor) == floors.end()) floors.push_back(floor);
    }
    std::string all;
    for (const std::string& floor : floors) all += (all.empty() ? "" : ", ") + floor;
    row.push_back(std::move(all));
    t.rows.push_back(std::move(row));
    t.best.push_back(best_of(name, values));
  }
  t.note =
      "Best: of the runs that have it, where less or more is better; no statement about significance. Runs of several "
      "seeds (tarn run --seeds) tell a difference from chance.";
  return t;
}

ReportTable config_table(const std::vector<Compared>& runs) {
  ReportTable t;
  t.caption = "Keys in which the configs differ";
  t.columns = {"key"};
  std::set<std::string> keys;
  for (const Compared& run : runs) {
    t.columns.push_back(run.name);
    for (const auto& [key, value] : run.config) keys.insert(key);
  }
  for (const std::string& key : keys) {
    std::vector<std::string> row{key};
    std::set<std::string> values;
    for (const Compared& run : runs) {
      const auto found = run.config.find(key);
      row.push_back(found == run.config.end() ? no_value : found->second);
      values.insert(row.back());
    }
    if (values.size() > 1 && key != "run.name") t.rows.push_back(std::move(row));
  }
  return t;
}

std::string words(std::string name) {
  std::ranges::replace(name, '_', ' ');
  if (!name.empty() && name[0] >= 'a' && name[0] <= 'z') name[0] = static_cast<char>(name[0] - 'a' + 'A');
  return name;
}

// Curves of one plot and one quantity, each run's under its name; references that agree stand once.
std::map<std::string, std::vector<ReportCurve>> common_plots(const std::vector<Compared>& runs) {
  std::map<std::string, std::vector<ReportCurve>> plots;
  std::map<std::string, std::string> quantities;  // of a plot's first curve
  for (const Compared& run : runs) {
    for (ReportCurve c : run.report ? run.report->curves : stored_training(run.folder)) {
      std::string plot = c.plot;
      if (const auto [first, added] = quantities.emplace(plot, c.y_label); !added && first->second != c.y_label)
        plot += "_2";  // another quantity needs axes of its own
      auto& curves = plots[plot];
      if (c.reference) {
        const bool known = std::ranges::any_of(curves, [&](const ReportCurve& other) {
          return other.reference && other.name == c.name && other.y == c.y;
        });
        if (known) continue;
        const bool other_data = std::ranges::any_of(
            curves, [&](const ReportCurve& other) { return other.reference && other.name == c.name; });
        if (other_data) c.name += " (" + run.name + ")";
      } else {
        const bool same_run =
            std::ranges::any_of(curves, [&](const ReportCurve& other) { return other.name == run.name; });
        c.name = same_run ? run.name + ", " + c.name : run.name;
      }
      curves.push_back(std::move(c));
    }
  }
  return plots;
}

// Distances over the seconds that the whole run's sampling took.
std::vector<ReportCurve> in_seconds(const std::vector<Compared>& runs) {
  std::vector<ReportCurve> curves;
  for (const Compared& run : runs) {
    if (!run.report || !run.clock || run.clock->sampling <= 0.0 || run.clock->resumed) continue;
    for (ReportCurve c : run.report->curves) {
      if (c.plot != "distance" || c.reference || c.x.empty() || c.x.back() <= 0.0) continue;
      const double factor = run.clock->sampling / c.x.back();
      for (double& x : c.x) x *= factor;
      c.x_label = "seconds of sampling";
      c.name = run.name;
      curves.push_back(std::move(c));
    }
  }
  return curves;
}

ReportSection curves_section(const std::vector<Compared>& runs, const fs::path& figures) {
  ReportSection s;
  s.heading = "On common axes";
  auto plots = common_plots(runs);
  plots["distance_in_seconds"] = in_seconds(runs);
  for (const auto& [plot, curves] : plots) {
    const auto n = std::ranges::count(curves, false, &ReportCurve::reference);
    if (n < 2) continue;
    if (const FigureFile file = draw(figure_curves(plot, words(plot), curves), figures))
      s.figures.push_back({file.svg, "", false, {}});
  }
  return s;
}

// Figures that do not fit on common axes, those of one name side by side.
std::vector<ReportSection> side_by_side(const std::vector<Compared>& runs) {
  const std::set<std::string> on_axes{"training",        "density", "distance",    "traces",
                                      "autocorrelation", "ranks",   "score_levels"};
  std::vector<ReportSection> sections;
  for (const Compared& run : runs) {
    if (!run.report) continue;
    for (const ReportSection& from : run.report->sections) {
      for (const ReportFigure& figure : from.figures) {
        const std::string stem = figure.path.stem().string();
        if (on_axes.contains(stem)) continue;
        auto found = std::ranges::find(sections, words(stem), &ReportSection::heading);
        if (found == sections.end()) {
          ReportSection added;
          added.heading = words(stem);
          added.abreast = true;
          added.text = figure.caption;
          found = sections.insert(sections.end(), std::move(added));
        }
        found->figures.push_back({figure.path, run.name, figure.pixelated, {}});
      }
    }
  }
  std::erase_if(sections, [](const ReportSection& s) { return s.figures.size() < 2; });
  return sections;
}

}  // namespace

fs::path compare_runs(const std::vector<fs::path>& paths, const fs::path& out) {
  if (paths.size() < 2) fail_usage("compare: takes two run folders or more, found {}", paths.size());
  const std::vector<Compared> runs = read_runs(paths);
  if (fs::exists(out)) fail("{}: exists already; a comparison is written into a new folder", out.string());
  fs::create_directories(out);
  Report page;
  page.title = fmt::format("{} runs compared", runs.size());
  std::string names;
  for (const Compared& run : runs) names += (names.empty() ? "" : ", ") + run.name;
  page.summary = names + ".";
  for (const Compared& run : runs) {
    if (!run.finished) page.warnings.push_back(run.name + " is unfinished: what it has so far is shown");
    if (!run.report)
      page.warnings.push_back(run.name + " has no report.json: its curves and grids are not shown, but for training");
  }
  ReportSection overview;
  overview.heading = "Runs";
  overview.tables.push_back(runs_table(runs));
  page.sections.push_back(std::move(overview));
  ReportSection merits;
  merits.heading = "Figures of merit";
  merits.tables.push_back(metrics_table(runs));
  page.sections.push_back(std::move(merits));
  page.sections.push_back(curves_section(runs, out / "figures"));
  for (ReportSection& s : side_by_side(runs)) page.sections.push_back(std::move(s));
  ReportSection configs;
  configs.heading = "Configs";
  configs.tables.push_back(config_table(runs));
  if (configs.tables[0].rows.empty()) {
    configs.tables.clear();
    configs.text = "The configs are the same but for names.";
  }
  page.sections.push_back(std::move(configs));
  std::erase_if(page.sections,
                [](const ReportSection& s) { return s.text.empty() && s.tables.empty() && s.figures.empty(); });
  page.footer = fmt::format("tarn {}", version());
  const fs::path file = out / "comparison.html";
  write_report(file, page);
  return file;
}

}  // namespace tarn
