#include "run_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "json_number.hpp"
#include "tarn/experiment/run_page.hpp"
#include "tarn/io/file.hpp"
#include "tarn/report/chain_figures.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;

std::string words(std::string name) {
  std::ranges::replace(name, '_', ' ');
  return name;
}

std::string text_at(const nlohmann::json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Drawings, and pictures of which there is no drawing, by name.
std::vector<ReportFigure> stored_figures(const fs::path& folder) {
  std::vector<ReportFigure> figures;
  if (!fs::is_directory(folder)) return figures;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const fs::path& file : files) {
    const bool drawing = file.extension() == ".svg";
    fs::path other = file;
    if (!drawing && (file.extension() != ".png" || fs::exists(other.replace_extension(".svg")))) continue;
    figures.push_back({file, words(file.stem().string()), !drawing, {}});
  }
  return figures;
}

}  // namespace

std::vector<nlohmann::json> json_lines(const fs::path& path) {
  std::vector<nlohmann::json> lines;
  if (!fs::exists(path)) return lines;
  const std::string text = read_text_file(path);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    auto line = nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(at),
                                      text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (line.is_object()) lines.push_back(std::move(line));
    at = end + 1;
  }
  return lines;
}

std::optional<RunClock> read_clock(const RunFolder& folder) {
  const auto lines = json_lines(folder.timing());
  if (lines.empty()) return std::nullopt;
  const nlohmann::json& line = lines.back();
  const auto number = [&](const char* key) {
    const double value = number_at(line, key);
    return std::isfinite(value) && value > 0.0 ? value : 0.0;
  };
  RunClock c;
  c.prepare = number("prepare_s");
  c.training = number("training_s");
  c.sampling = number("sampling_s");
  c.total = number("total_s");
  c.training_steps = number("training_steps");
  c.chain_steps = number("chain_steps");
  c.operations = number("operations_per_chain_step");
  c.nominal_peak = number("nominal_peak");
  c.n_threads = static_cast<int>(std::min(number("threads"), 1e6));
  c.resumed = line.value("resumed", nlohmann::json(false)) == true;
  c.device = text_at(line, "device");
  c.hardware = text_at(line, "hardware");
  return c;
}

std::vector<Metric> stored_metrics(const RunFolder& folder) {
  std::vector<Metric> metrics;
  for (const auto& line : json_lines(folder.metrics())) {
    if (text_at(line, "kind") != "evaluation") continue;
    const std::string name = text_at(line, "name");
    const Metric metric{name,
                        words(name),
                        number_at(line, "value"),
                        number_at(line, "floor"),
                        number_at(line, "floor_deviation"),
                        text_at(line, "note")};
    const auto before = std::ranges::find(metrics, name, &Metric::name);
    if (before == metrics.end())
      metrics.push_back(metric);
    else
      *before = metric;
  }
  return metrics;
}

std::vector<ReportCurve> stored_training(const RunFolder& folder) {
  struct Quantity {
    const char* key;
    const char* label;
  };
  std::vector<ReportCurve> curves;
  const auto lines = json_lines(folder.metrics());
  for (const Quantity q : {Quantity{"excess_loss", "excess loss"},
                           Quantity{"reconstruction", "squared reconstruction error"}, Quantity{"energy", "energy"}}) {
    ReportCurve c;
    c.plot = fmt::format("training_{}", q.key);
    c.name = q.label;
    c.x_label = "training step";
    c.y_label = q.label;
    for (const auto& line : lines) {
      if (text_at(line, "kind") != "training" || !line.contains(q.key)) continue;
      c.x.push_back(number_at(line, "step"));
      c.y.push_back(number_at(line, q.key));
    }
    if (!c.x.empty()) curves.push_back(std::move(c));
  }
  return curves;
}

Report report_from_files(const RunFolder& folder, const fs::path& scratch) {
  EvaluationOutcome outcome;
  outcome.metrics = stored_metrics(folder);
  outcome.figures = stored_figures(folder.figures());
  if (!fs::exists(folder.figures() / "training.svg")) {
    for (const ReportCurve& c : stored_training(folder)) {
      if (const FigureFile file = draw(figure_curves(c.plot, c.name, {c}), scratch, {.png = false}))
        outcome.figures.push_back({file.svg, "Training so far: " + c.name + ".", false, "Training"});
    }
  }
  const std::string config = read_text_file(folder.config());
  Report report = report_of_results(outcome, config, "made of the files of the run folder");
  report.title = folder.path().filename().string();
  // the first line of the resolved config names the run and the version
  if (config.starts_with("# ")) report.summary = config.substr(2, config.find('\n') - 2) + ".";
  return report;
}

}  // namespace tarn
