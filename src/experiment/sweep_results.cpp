#include "sweep_results.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Networks that differ in their seed alone.
struct Group {
  std::string kind;
  std::int64_t neurons = 0;
  bool best_fit = false;
  std::vector<const PointResult*> results;

  Spread spread(double PointResult::*value) const {
    std::vector<double> values;
    for (const PointResult* r : results) values.push_back(r->*value);
    return spread_of(std::move(values));
  }
};

// Sizes of the reservoir first, in the order of the config; then the classes without one, each with its best fit.
std::vector<Group> groups_of(const Config& sweep, const SweepResults& found, std::size_t target) {
  std::vector<Group> groups;
  for (const std::int64_t N : sweep.sweep.neurons) groups.push_back({"reservoir_sampler", N, false, {}});
  for (const std::string& kind : sweep.sweep.rivals) {
    groups.push_back({kind, 0, false, {}});
    groups.push_back({kind, 0, true, {}});
  }
  for (std::size_t i = 0; i < found.points.size(); ++i) {
    const SweepPoint& p = found.points[i];
    if (p.target != target) continue;
    for (Group& group : groups) {
      const bool sized = group.kind == "reservoir_sampler";
      if (group.kind != p.kind || group.best_fit != p.best_fit || (sized && group.neurons != p.neurons)) continue;
      group.neurons = p.neurons;
      group.results.push_back(&found.results[i]);
    }
  }
  return groups;
}

std::string text_of(double value) { return std::isnan(value) ? "n/a" : fmt::format("{:.3g}", value); }

std::string range_of(const Spread& s) { return fmt::format("{} to {}", text_of(s.low), text_of(s.high)); }

ReportTable table_of(const Config& sweep, const SweepResults& found, std::size_t target,
                     const std::vector<Group>& groups) {
  ReportTable table;
  table.caption = sweep.targets[target].run.name;
  table.columns = {"network", "N", "score error", "over seeds", "KL", "over seeds", "chains lost", "remark"};
  for (const Group& group : groups) {
    std::int64_t lost = 0;
    for (const PointResult* r : group.results) lost += r->n_lost;
    const Spread error = group.spread(&PointResult::score_error), kl = group.spread(&PointResult::kl);
    const bool many = group.results.size() > 1;
    std::string remark = group.best_fit ? group.results.front()->note : "";
    if (!group.best_fit) {
      for (const PointResult* r : group.results) {
        if (!r->note.empty()) remark = r->note;
      }
    }
    table.rows.push_back({group.kind + (group.best_fit ? ", best fit" : ""), fmt::format("{}", group.neurons),
                          text_of(error.median), many ? range_of(error) : "", text_of(kl.median),
                          many ? range_of(kl) : "", fmt::format("{}", lost), remark});
  }
  table.note = std::isnan(found.kl_floor[target])
                   ? "Medians and ranges over seeds. Both figures by quadrature: no floor."
                   : fmt::format(
                         "Medians and ranges over seeds. KL over {} cells of equal probability, less its bias; as many "
                         "exact draws "
                         "give {:.2g} ± {:.2g}.",
                         sweep.sweep.cells, found.kl_floor[target], found.kl_floor_deviation[target]);
  return table;
}

// Below this, chains cannot be told from exact draws.
double detectable(const SweepResults& found, std::size_t target) {
  return std::max(0.0, found.kl_floor[target]) + 2.0 * found.kl_floor_deviation[target];
}

std::string csv_number(double value) { return std::isnan(value) ? "nan" : fmt::format("{:.9g}", value); }

}  // namespace

Spread spread_of(std::vector<double> values) {
  if (values.empty() || std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); }))
    return {nan, nan, nan};
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  const double median = n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
  return {median, values.front(), values.back()};
}

std::string points_csv(const Config& sweep, const SweepResults& found) {
  std::string text = "law,model,best_fit,neurons,seed,score_error,score_error_deviation,kl,n_lost\n";
  for (std::size_t i = 0; i < found.points.size(); ++i) {
    const SweepPoint& p = found.points[i];
    const PointResult& r = found.results[i];
    text += fmt::format("{},{},{},{},{},{},{},{},{}\n", sweep.targets[p.target].run.name, p.kind, p.best_fit ? 1 : 0,
                        p.neurons, p.seed, csv_number(r.score_error), csv_number(r.score_error_deviation),
                        csv_number(r.kl), r.n_lost);
  }
  return text;
}

EvaluationOutcome summary_of(const Config& sweep, const SweepResults& found) {
  EvaluationOutcome outcome;
  for (std::size_t t = 0; t < sweep.targets.size(); ++t) {
    const std::string& law = sweep.targets[t].run.name;
    const std::vector<Group> groups = groups_of(sweep, found, t);
    outcome.tables.push_back(table_of(sweep, found, t, groups));
    for (const Group& group : groups) {
      const std::string size = group.kind == "reservoir_sampler" ? fmt::format("_N{}", group.neurons) : "",
                        fit = group.best_fit ? "_best_fit" : "", key = law + "_" + group.kind + size + fit,
                        label = fmt::format("{}, {}{}{}", law, group.kind,
                                            size.empty() ? "" : fmt::format(", N = {}", group.neurons),
                                            group.best_fit ? ", best fit" : "");
      const Spread error = group.spread(&PointResult::score_error), kl = group.spread(&PointResult::kl);
      outcome.add("score_error_" + key, label + ": score error", error.median, "over seeds " + range_of(error));
      outcome.add_with_floor("kl_" + key, label + ": KL", kl.median, found.kl_floor[t], found.kl_floor_deviation[t]);
      outcome.metrics.back().note = "over seeds " + range_of(kl);
    }
    std::int64_t lost = 0, runs = 0;
    for (std::size_t i = 0; i < found.points.size(); ++i) {
      if (found.points[i].target != t || found.results[i].n_lost == 0) continue;
      lost += found.results[i].n_lost;
      ++runs;
    }
    if (lost > 0) {
      outcome.warnings.push_back(fmt::format(
          "{}: {} chains of {} networks ran away and were quarantined; their KL is of the chains that stayed", law,
          lost, runs));
    }
  }
  return outcome;
}

std::vector<CapacityLaw> capacity_laws(const Config& sweep, const SweepResults& found) {
  std::vector<CapacityLaw> laws;
  for (std::size_t t = 0; t < sweep.targets.size(); ++t) {
    CapacityLaw law;
    law.name = sweep.targets[t].run.name;
    std::replace(law.name.begin(), law.name.end(), '_', ' ');
    const std::vector<Group> groups = groups_of(sweep, found, t);
    const auto curve = [&](double PointResult::*value, double floor) {
      CapacityCurve c;
      c.floor = floor;
      for (const Group& group : groups) {
        const Spread spread = group.spread(value);
        if (group.kind == "reservoir_sampler") {
          c.neurons.push_back(static_cast<double>(group.neurons));
          c.reservoir.push_back(spread);
        } else if (!group.best_fit) {
          c.rivals.push_back({group.kind, spread, nan});
        } else {
          c.rivals.back().best_fit = spread.median;
        }
      }
      return c;
    };
    law.kl = curve(&PointResult::kl, std::isnan(found.kl_floor[t]) ? nan : detectable(found, t));
    law.score_error = curve(&PointResult::score_error, nan);
    laws.push_back(std::move(law));
  }
  return laws;
}

}  // namespace tarn
