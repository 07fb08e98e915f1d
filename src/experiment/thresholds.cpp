#include "thresholds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tarn {
namespace {

// Good and tolerable ends of a range; NaN is bad.
Verdict at_most(double value, double good, double watch) {
  return value <= good ? Verdict::good : value <= watch ? Verdict::watch : Verdict::bad;
}
Verdict at_least(double value, double good, double watch) {
  return value >= good ? Verdict::good : value >= watch ? Verdict::watch : Verdict::bad;
}

const Metric* find(const EvaluationOutcome& outcome, std::string_view name) {
  const auto found = std::ranges::find(outcome.metrics, name, &Metric::name);
  return found == outcome.metrics.end() ? nullptr : &*found;
}

Verdict worst(Verdict a, Verdict b) { return std::max(a, b); }

// Distances are no less than zero, and better the smaller they are.
bool is_distance(std::string_view name) {
  constexpr std::string_view kinds[] = {"kl_", "w1_", "w2_", "sliced_", "frechet_", "mmd", "energy_distance"};
  return name.ends_with("_w2") ||
         std::ranges::any_of(kinds, [&](std::string_view kind) { return name.starts_with(kind); });
}

bool at_floor(const Metric& m) { return std::abs(m.value - m.floor) <= 3.0 * m.floor_deviation; }

// The "of N" of a metric's note; 0 where there is none.
double of_how_many(const Metric& metric) {
  return metric.note.starts_with("of ") ? std::strtod(metric.note.c_str() + 3, nullptr) : 0.0;
}

Verdict of_r_hat(double value) { return at_most(value, 1.01, 1.05); }
Verdict of_ess(double value) { return at_least(value, 400.0, 100.0); }

// By the draws that were kept; where these are too few, by what was seen while the chains ran.
void say_convergence(const EvaluationOutcome& outcome, std::vector<ReportStatement>& out) {
  const Metric* kept = find(outcome, "r_hat");
  const Metric* bulk = find(outcome, "ess_bulk");
  const Metric* tail = find(outcome, "ess_tail");
  const bool by_draws = kept && bulk && tail;
  if (outcome.is_exact) {
    out.push_back({"exact draws of the model, without chains", Verdict::none});
    return;
  }
  if (!by_draws && std::isnan(outcome.live_r_hat)) {
    out.push_back({"convergence not judged: too few draws of each chain were kept or looked at", Verdict::none});
    return;
  }
  const double r_hat = by_draws ? kept->value : outcome.live_r_hat;
  if (!by_draws && outcome.live_by_datum) {
    out.push_back({fmt::format("{}: R-hat {} while the chains ran, those of a datum among themselves, pooled over data",
                               of_r_hat(r_hat) == Verdict::good ? "converged" : "not converged", number_text(r_hat, 4)),
                   of_r_hat(r_hat)});
    return;
  }
  double ess = outcome.live_ess;
  if (by_draws)
    ess = std::isnan(bulk->value) ? bulk->value : std::min(tail->value, bulk->value);  // NaN of either stays
  out.push_back({fmt::format("{}: R-hat {}{}, {} effective draws or more",
                             of_r_hat(r_hat) == Verdict::good ? "converged" : "not converged", number_text(r_hat, 4),
                             by_draws ? "" : " while the chains ran", count_text(ess)),
                 worst(of_r_hat(r_hat), of_ess(ess))});
}

void say_chains(const EvaluationOutcome& outcome, std::vector<ReportStatement>& out) {
  const Metric* lost = find(outcome, "chains_quarantined");
  if (!lost) return;
  if (lost->value == 0.0)
    out.push_back({"no chain lost", Verdict::good});
  else
    out.push_back({fmt::format("{:.0f} chains lost {}", lost->value, lost->note), judge(*lost)->verdict});
}

// What the name of a figure of quality ends in: where sets were compared.
std::string_view space_of(const Metric& m) { return std::string_view(m.name).substr(m.quality->name.size()); }

// The first of these that was computed stands for the quality of the draws.
void say_quality(const EvaluationOutcome& outcome, std::vector<ReportStatement>& out) {
  constexpr std::string_view foremost[] = {"frechet_classifier",   "w1_smoothed",       "sliced_w2_smoothed",
                                           "frechet_filter_space", "frechet_pca_space", "frechet_generated"};
  const Metric* best = nullptr;
  for (const std::string_view name : foremost) {
    if (!best) best = find(outcome, name);
  }
  if (!best) {
    for (const Metric& m : outcome.metrics) {
      if (!std::isnan(m.floor) && is_distance(m.name) && !m.name.ends_with("_gaussian")) {
        best = &m;
        break;
      }
    }
  }
  if (!best || std::isnan(best->floor)) return;
  const std::string beside = beside_floor(*best);
  // One distance at its floor says little where other figures of the same draws are not: few draws have a high floor, and two moments are easily met.
  std::string others;
  for (const Metric& m : outcome.metrics) {
    if (best->quality && m.quality && space_of(m) == space_of(*best) && !std::isnan(m.value) && !at_floor(m) &&
        &m != best)
      others += (others.empty() ? "" : ", ") + m.quality->label;
  }
  const bool reached = beside == "at the floor";
  out.push_back({fmt::format("{}: {}, {}{}", best->label, number_text(best->value), beside,
                             reached && !others.empty() ? fmt::format("; not so {}", others) : ""),
                 reached && others.empty() ? Verdict::good : Verdict::none});
}

}  // namespace

std::optional<Judgement> judge(const Metric& m) {
  const std::string_view name = m.name;
  if (name == "r_hat") return Judgement{of_r_hat(m.value), "at most 1.01"};
  if (name == "ess_bulk" || name == "ess_tail") return Judgement{of_ess(m.value), "at least 400"};
  if (name == "chains_quarantined") {
    const double all = of_how_many(m);
    return Judgement{at_most(m.value, 0.0, 0.01 * all), "none; up to 1 % to watch"};
  }
  if (name == "largest_stable_dt") {
    constexpr std::string_view word = "used: ";
    const double used = m.note.starts_with(word) ? std::strtod(m.note.c_str() + word.size(), nullptr) : std::nan("");
    return Judgement{at_least(m.value, 2.0 * used, used), "twice the dt used, at least"};
  }
  if (name == "half_step_spread") {
    constexpr std::string_view word = "± ";
    const double error = m.note.starts_with(word) ? std::strtod(m.note.c_str() + word.size(), nullptr) : std::nan("");
    return Judgement{at_most(std::abs(m.value) - 2.0 * error, 0.01, 0.05), "within 0.01 of 0, beside two errors"};
  }
  // An outward drift is no error while chains stay near the data: the noise of a run decides how far they get.
  if (name == "outward_rate") return Judgement{m.value <= 0.0 ? Verdict::good : Verdict::watch, "at most 0"};
  return std::nullopt;
}

std::string beside_floor(const Metric& m) {
  if (std::isnan(m.floor) || std::isnan(m.value)) return "";
  const double away = m.value - m.floor;
  if (at_floor(m)) return is_distance(m.name) ? "at the floor" : "as exact draws";
  if (is_distance(m.name) && away <= 0.0) return "below the floor";
  if (is_distance(m.name) && m.floor > 0.0) return fmt::format("{} × the floor", number_text(m.value / m.floor, 2));
  return m.floor_deviation > 0.0 ? fmt::format("{} deviations off", number_text(std::abs(away) / m.floor_deviation, 2))
                                 : "off";
}

std::vector<std::size_t> best_of(const std::string& name, const std::vector<double>& values) {
  constexpr std::string_view less[] = {"chains_quarantined", "r_hat",         "score_error",
                                       "stationary_kl",      "stationary_w1", "reconstruction"};
  constexpr std::string_view more[] = {"ess_",      "fields_passed", "fields_r_squared", "coverage", "density",
                                       "precision", "recall"};
  const auto starts = [&](const auto& list) {
    return std::ranges::any_of(list, [&](std::string_view start) { return name.starts_with(start); });
  };
  // what a baseline reaches says nothing of the run
  const bool baseline = name.ends_with("_gaussian") || name.ends_with("_mixture") || name.ends_with("_best_fit");
  const bool smaller = is_distance(name) || starts(less);
  std::vector<double> finite;
  std::ranges::copy_if(values, std::back_inserter(finite), [](double v) { return std::isfinite(v); });
  if (baseline || !(smaller || starts(more)) || finite.size() < 2) return {};
  const auto [low, high] = std::ranges::minmax(finite);
  std::vector<std::size_t> best;
  for (std::size_t i = 0; i < values.size() && low < high; ++i) {
    if (values[i] == (smaller ? low : high)) best.push_back(i + 1);
  }
  return best;
}

std::vector<ReportStatement> statements(const EvaluationOutcome& outcome) {
  std::vector<ReportStatement> out;
  say_convergence(outcome, out);
  say_chains(outcome, out);
  say_quality(outcome, out);
  return out;
}

}  // namespace tarn
