#include "tarn/experiment/evaluation_stage.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "chain_views.hpp"
#include "json_number.hpp"
#include "plane.hpp"
#include "tarn/core/isa.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/core/version.hpp"
#include "tarn/evaluation/moments.hpp"
#include "tarn/evaluation/set_comparison.hpp"
#include "thresholds.hpp"

namespace tarn {
namespace {

// Ends of an interval, where there are any.
void put_interval(nlohmann::ordered_json& line, const std::string& prefix, const Interval& interval) {
  if (std::isnan(interval.low)) return;
  line[prefix + "low"] = json_number(interval.low);
  line[prefix + "high"] = json_number(interval.high);
}

std::string json_line(const Metric& m) {
  nlohmann::ordered_json line;
  line["kind"] = "evaluation";
  line["name"] = m.name;
  line["value"] = json_number(m.value);
  if (const auto judgement = judge(m)) line["verdict"] = name_of(judgement->verdict);
  if (!std::isnan(m.floor)) {
    line["floor"] = json_number(m.floor);
    line["floor_deviation"] = json_number(m.floor_deviation);
  }
  if (m.interval) put_interval(line, "", *m.interval);
  if (m.quality) {
    const QualityFigure& q = *m.quality;
    put_interval(line, "", q.draws);
    put_interval(line, "floor_", q.real);
    if (!std::isnan(q.mixture.value)) line["mixture"] = json_number(q.mixture.value);
    put_interval(line, "mixture_", q.mixture);
    line["gaussian"] = json_number(q.gaussian.value);
    put_interval(line, "gaussian_", q.gaussian);
    line["n"] = q.n;
    line["n_reference"] = q.n_reference;
  }
  if (!m.note.empty()) line["note"] = m.note;
  return line.dump();
}

std::string text_of(double value) {
  if (std::isnan(value)) return "n/a";
  const double magnitude = std::abs(value);
  return magnitude >= 1e4 && magnitude < 1e7 ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

// The same quantity as in the figure, for pages about several runs.
ReportCurve training_curve(const TrainingCurve& t) {
  ReportCurve c;
  c.plot = "training";
  c.name = "training";
  c.x_label = "share of the training steps";
  c.y_label = t.dimension > 2 ? "1 + 2 σ² excess loss / D" : "excess loss";
  const std::size_t n = t.step.size(), pieces = std::min<std::size_t>(n, 300);
  for (std::size_t k = 0; k < pieces; ++k) {
    double sum = 0.0;
    const std::size_t begin = k * n / pieces, end = (k + 1) * n / pieces;
    for (std::size_t i = begin; i < end; ++i)
      sum += t.dimension > 2 ? 1.0 + 2.0 * t.sigma[i] * t.sigma[i] * t.excess[i] / static_cast<double>(t.dimension)
                             : t.excess[i];
    c.x.push_back(t.step[end - 1] / t.step.back());
    c.y.push_back(sum / static_cast<double>(end - begin));
  }
  return c;
}

void training_figure(const EvaluationInput& in, EvaluationOutcome& outcome) {
  if (in.training.records.empty()) return;
  TrainingCurve curve;
  for (const TrainingRecord& r : in.training.records) {
    curve.step.push_back(static_cast<double>(r.step));
    curve.excess.push_back(r.loss.excess);
    curve.sigma.push_back(r.sigma);
  }
  curve.dimension = in.data.n_outputs;
  if (const FigureFile file = draw(figure_training(curve), in.folder.figures())) {
    outcome.figures.push_back(
        {file.svg,
         fmt::format(
             "Training: {} for a network that knows nothing, less for one that knows the score. Vertical lines "
             "are changes of noise level.",
             curve.dimension > 2 ? "share of the noise that is left unexplained, 1" : "excess denoising loss, 0"),
         false, "Training"});
  }
  outcome.curves.push_back(training_curve(curve));
}

}  // namespace

void EvaluationOutcome::add(std::string name, std::string label, double value, std::string note) {
  metrics.push_back({std::move(name),
                     std::move(label),
                     value,
                     std::numeric_limits<double>::quiet_NaN(),
                     std::numeric_limits<double>::quiet_NaN(),
                     std::move(note),
                     {}});
}

void EvaluationOutcome::add_with_floor(std::string name, std::string label, double value, double floor,
                                       double floor_deviation) {
  metrics.push_back({std::move(name), std::move(label), value, floor, floor_deviation, {}, {}});
}

void add_intervals(MatrixView<const float> draws, std::size_t first, std::uint64_t seed, std::uint64_t sets,
                   std::int64_t n_resamples,
                   const std::function<std::vector<double>(MatrixView<const float>)>& statistics,
                   EvaluationOutcome& outcome) {
  const FiniteRows finite = finite_rows(draws);
  std::vector<double> values;
  for (std::size_t i = first; i < outcome.metrics.size(); ++i) values.push_back(outcome.metrics[i].value);
  const std::int64_t n_rows[] = {finite.rows.rows()};
  const std::vector<Interval> intervals =
      half_sample_intervals(values, n_rows, seed, sets, n_resamples,
                            [&](const HalfSample& half) { return statistics(gather_rows(finite.rows, half[0])); });
  for (std::size_t i = 0; i < intervals.size(); ++i) outcome.metrics[first + i].interval = intervals[i];
}

void evaluate_moments(const EvaluationInput& in, EvaluationOutcome& outcome) {
  const Matrix<float>& draws = in.sampling.last_draw;
  Matrix<float> reference(in.data.rows.rows(), in.data.n_outputs);
  for (std::int64_t i = 0; i < reference.rows(); ++i)
    std::copy_n(in.data.rows.row(i), reference.cols(), reference.row(i));
  invert_scaling(in.data.scaling, reference);
  const auto ours = column_moments(draws), theirs = column_moments(reference);
  constexpr std::size_t most = 8;
  for (std::size_t d = 0; d < ours.size() && d < most; ++d) {
    outcome.add(fmt::format("mean_{}", d), fmt::format("mean of x_{}", d), ours[d].mean,
                fmt::format("data: {:.4g}", theirs[d].mean));
    outcome.add(fmt::format("variance_{}", d), fmt::format("variance of x_{}", d), ours[d].variance,
                fmt::format("data: {:.4g}", theirs[d].variance));
    outcome.add(fmt::format("excess_kurtosis_{}", d), fmt::format("excess kurtosis of x_{}", d),
                ours[d].excess_kurtosis, fmt::format("data: {:.4g}", theirs[d].excess_kurtosis));
  }
  if (ours.size() > most)
    outcome.warnings.push_back(fmt::format("moments are shown for the first {} of {} outputs", most, ours.size()));
}

void add_set_comparison(MatrixView<const float> draws, MatrixView<const float> real, const std::string& name,
                        const std::string& label, std::uint64_t seed, EvaluationOutcome& outcome) {
  if (draws.rows < 2 || real.rows < 4) return;
  const SetComparison c = compare_sets(draws, real, seed);
  if (std::isnan(c.frechet.value)) return;
  const auto add = [&](const ReadDistance& d, const std::string& key, const std::string& text) {
    outcome.add_with_floor(key + "_" + name, text, d.value, d.floor.mean, d.floor.deviation);
    outcome.add_with_floor(fmt::format("{}_{}_gaussian", key, name), "... of one Gaussian with the data's moments",
                           d.gaussian, d.floor.mean, d.floor.deviation);
  };
  add(c.frechet, "frechet", fmt::format("Frechet distance {} (two moments only)", label));
  add(c.sliced_w2, "sliced_w2", fmt::format("sliced W2 {}", label));
}

void write_metrics(const RunFolder& folder, const EvaluationOutcome& outcome) {
  JsonLines lines(folder.metrics());
  info("{:<44} {:>10}  {:>10}", "evaluation", "value", "floor");
  for (const Metric& m : outcome.metrics) {
    lines.write(json_line(m));
    info("  {:<42} {:>10}  {:>10}{}", m.label, text_of(m.value), std::isnan(m.floor) ? "" : text_of(m.floor),
         m.note.empty() ? "" : "  " + m.note);
  }
  for (const std::string& warning : outcome.warnings) warn("{}", warning);
}

EvaluationOutcome evaluation_stage(const EvaluationInput& in) {
  EvaluationOutcome outcome;
  const double quarantined = static_cast<double>(in.sampling.result.n_quarantined);
  outcome.add("chains_quarantined", "chains quarantined", quarantined,
              fmt::format("of {}", in.sampling.last_draw.rows()));
  const DriftCheck& drift = in.sampling.drift;
  outcome.add("largest_stable_dt", "largest stable dt of the last level", drift.stable_dt,
              fmt::format("used: {:.4g}", drift.dt));
  outcome.add("outward_rate", "growth rate of |x| far from the data", drift.outward_rate,
              drift.outward_rate > 0.0 ? "above 0: the drift does not confine" : "below 0: the drift confines");
  if (in.data.target && in.data.n_outputs == 1 && in.data.n_inputs == 0 && in.data.target->has_density(0.0)) {
    evaluate_one_dimensional(in, outcome);
  } else if (in.data.image) {
    const Matrix<float> continued = evaluate_images(in, outcome);
    evaluate_quality(in, continued, outcome);
  } else {
    evaluate_moments(in, outcome);
    if (in.data.target && in.data.n_outputs == 2 && in.data.n_inputs == 0) {
      evaluate_plane(in, outcome);
      evaluate_acceleration(in, outcome);
    }
  }
  evaluate_live(in, outcome);
  evaluate_convergence(in, outcome);
  evaluate_half_step(in, outcome);
  evaluate_calibration(in, outcome);
  evaluate_neurons(in, outcome);
  evaluate_course(in, outcome);
  if (is_energy_based(in.config.model)) {
    evaluate_energy(in, outcome);
  } else {
    training_figure(in, outcome);
  }
  write_metrics(in.folder, outcome);
  // these were said before the chains ran
  outcome.warnings.insert(outcome.warnings.end(), drift.warnings.begin(), drift.warnings.end());
  return outcome;
}

namespace {

// Sections in the order in which they were first named, those with tables before.
ReportSection& section(Report& report, const std::string& heading) {
  const auto found = std::ranges::find(report.sections, heading, &ReportSection::heading);
  if (found != report.sections.end()) return *found;
  ReportSection added;
  added.heading = heading;
  report.sections.push_back(std::move(added));
  return report.sections.back();
}

std::string floor_text(const Metric& m) {
  if (std::isnan(m.floor)) return "";
  return std::isnan(m.floor_deviation) ? fmt::format("{:.3g}", m.floor)
                                       : fmt::format("{:.3g} ± {:.2g}", m.floor, m.floor_deviation);
}

ReportTable results_table(const EvaluationOutcome& outcome) {
  ReportTable table;
  table.columns = {"figure of merit", "value", "95 % interval", "floor", "beside the floor", "remark"};
  for (const Metric& metric : outcome.metrics) {
    if (metric.quality || judge(metric)) continue;
    table.rows.push_back(
        {metric.label, text_of(metric.value),
         metric.interval && !std::isnan(metric.interval->low)
             ? fmt::format("{} to {}", number_text(metric.interval->low), number_text(metric.interval->high))
             : "",
         floor_text(metric), beside_floor(metric), metric.note});
  }
  const auto is_empty = [&](std::size_t column) {
    return std::ranges::none_of(table.rows, [&](const auto& row) { return !row[column].empty(); });
  };
  if (!is_empty(3))
    table.note =
        "Floor: what exact draws reach at the same count, mean and standard deviation of one replicate. At the floor: "
        "within three deviations of it.";
  const bool of_kurtosis = std::ranges::any_of(outcome.metrics, [](const Metric& m) {
    return m.interval && !m.quality && m.name.starts_with("excess_kurtosis");
  });
  if (!is_empty(2))
    table.note +=
        fmt::format("{}Intervals are for the chains' draws, by half-samples{}.", table.note.empty() ? "" : " ",
                    of_kurtosis ? ", those of an excess kurtosis by bootstrap" : "");
  for (const std::size_t column : {5, 4, 3, 2}) {
    if (!is_empty(column)) continue;
    table.columns.erase(table.columns.begin() + static_cast<std::ptrdiff_t>(column));
    for (auto& row : table.rows) row.erase(row.begin() + static_cast<std::ptrdiff_t>(column));
  }
  return table;
}

ReportTable diagnostics_table(const EvaluationOutcome& outcome) {
  ReportTable table;
  table.columns = {"diagnostic", "value", "should be", "remark"};
  for (const Metric& metric : outcome.metrics) {
    const auto judgement = judge(metric);
    if (!judgement) continue;
    table.rows.push_back({metric.label, text_of(metric.value), judgement->threshold, metric.note});
    table.verdicts.push_back(judgement->verdict);
  }
  return table;
}

}  // namespace

Report report_of_results(const EvaluationOutcome& outcome, const std::string& resolved_config, const Backend& backend) {
  return report_of_results(outcome, resolved_config,
                           fmt::format("tarn {}, {}, {}", version(), backend.name(), name_of(current_isa())));
}

Report report_of_results(const EvaluationOutcome& outcome, const std::string& resolved_config,
                         const std::string& footer) {
  Report report;
  report.warnings = outcome.warnings;
  report.statements = statements(outcome);
  report.curves = outcome.curves;
  const std::string results = "Results", samples = "Samples";
  for (const std::string& heading :
       {results, samples, std::string("Receptive fields"), convergence_heading, std::string("Training")})
    section(report, heading);
  section(report, results).tables.push_back(results_table(outcome));
  section(report, convergence_heading).tables.push_back(diagnostics_table(outcome));
  for (const ReportTable& table : outcome.tables) {
    section(report, table.section.empty() ? results : table.section).tables.push_back(table);
  }
  for (const ReportFigure& figure : outcome.figures) {
    const std::string heading = !figure.section.empty() ? figure.section : figure.pixelated ? samples : results;
    section(report, heading).figures.push_back(figure);
  }
  for (ReportSection& s : report.sections)
    std::erase_if(s.tables, [](const ReportTable& table) { return table.rows.empty(); });
  std::erase_if(report.sections, [](const ReportSection& s) { return s.tables.empty() && s.figures.empty(); });
  report.sections.push_back({.heading = "Resolved config",
                             .text = "Every value this run used; the file runs again as it is.",
                             .tables = {},
                             .figures = {},
                             .preformatted = resolved_config,
                             .folded = true});
  report.footer = footer;
  return report;
}

Report make_report(const EvaluationInput& in, const EvaluationOutcome& outcome, const std::string& resolved_config) {
  const ModelConfig& m = in.config.model;
  const SamplingResult& s = in.sampling.result;
  Report report = report_of_results(outcome, resolved_config, in.backend);
  report.title = in.config.run.name;
  const std::int64_t n = in.training.levels.empty() ? m.neurons : in.training.levels.back().n_neurons();
  report.summary = fmt::format("{} with {} {} {}{} on {}.", m.kind, n, m.nonlinearity,
                               is_energy_based(m) ? "hidden unit" : "neuron", n == 1 ? "" : "s", in.data.description);
  const bool energy = is_energy_based(m);
  report.facts = {
      {"training", si(static_cast<double>(in.training.n_steps)),
       energy ? fmt::format("updates, {} particles", in.config.training.contrastive.particles)
              : fmt::format("steps, {} noise levels", in.training.levels.size())},
      {"sampling", si(s.chain_steps),
       fmt::format("chain-steps: {} chains, {} steps each", in.sampling.last_draw.rows(),
                   s.stopped_at >= 0 ? s.stopped_at : n_steps(in.sampling.stages))},
      {"quarantined", fmt::format("{}", s.n_quarantined), fmt::format("of {} chains", in.sampling.last_draw.rows())}};
  return report;
}

}  // namespace tarn
