#include "learning_results.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <ranges>

#include "likelihood_settings.hpp"
#include "sweep_results.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

using Value = double LearningLook::*;

std::vector<const LearningResult*> those_that_learned(const std::vector<LearningResult>& seeds) {
  std::vector<const LearningResult*> kept;
  for (const LearningResult& seed : seeds) {
    if (!diverged(seed)) kept.push_back(&seed);
  }
  return kept;
}

// Over the seeds that did not diverge; NaN where none is left.
template <class F>
Spread spread_over(const std::vector<LearningResult>& seeds, F value) {
  std::vector<double> values;
  for (const LearningResult* seed : those_that_learned(seeds)) values.push_back(value(*seed));
  return spread_of(std::move(values));
}

Spread at_the_end(const std::vector<LearningResult>& seeds, Value value) {
  return spread_over(seeds, [&](const LearningResult& seed) { return seed.looks.back().*value; });
}

// The last look within a time; none where even the first was later.
const LearningLook* look_at(const LearningResult& result, double seconds) {
  const LearningLook* found = nullptr;
  for (std::size_t k = 0; k < result.looks.size() && result.seconds[k] <= seconds; ++k) found = &result.looks[k];
  return found;
}

std::string text_of(double value) {
  if (std::isnan(value)) return "n/a";
  return std::isinf(value) ? "never" : fmt::format("{:.4g}", value);
}
std::string text_of(const Spread& s) {
  return s.low == s.high ? text_of(s.median)
                         : fmt::format("{} ({} to {})", text_of(s.median), text_of(s.low), text_of(s.high));
}

double seconds_of(const LearningResult& result) { return result.seconds.back(); }

// The shortest of the models' median times.
double shortest_time(const LearningStudy& study) {
  double shortest = infinity;
  for (const auto& seeds : study.results) {
    const double median = spread_over(seeds, seconds_of).median;
    if (!std::isnan(median)) shortest = std::min(shortest, median);
  }
  return shortest;
}

ReportTable table_at_the_end(const Config& sweep, const LearningStudy& study) {
  ReportTable table;
  table.caption = "At the end of training";
  table.columns = {
      "model",     "weights", "updates", "CPU s", "log likelihood", "reconstruction error", "Frechet distance",
      "sliced W2", "diverged"};
  for (std::size_t t = 0; t < study.results.size(); ++t) {
    const auto& seeds = study.results[t];
    const auto n_diverged = std::ranges::count_if(seeds, diverged);
    table.rows.push_back(
        {sweep.targets[t].run.name, fmt::format("{}", seeds.front().n_weights),
         text_of(spread_over(seeds, [](const LearningResult& r) { return static_cast<double>(r.looks.back().step); })),
         text_of(spread_over(seeds, seconds_of)), text_of(at_the_end(seeds, &LearningLook::log_likelihood)),
         text_of(at_the_end(seeds, &LearningLook::reconstruction)), text_of(at_the_end(seeds, &LearningLook::frechet)),
         text_of(at_the_end(seeds, &LearningLook::sliced_w2)), fmt::format("{} of {}", n_diverged, seeds.size())});
  }
  table.note = fmt::format(
      "Medians and ranges over the seeds that did not diverge. Log likelihood: nats a test datum; independent normals "
      "with the "
      "data's moments have {:.5g}. Distances of draws to test data; real data to real data: {:.3g} and {:.3g}, one "
      "Gaussian with the "
      "data's moments: {:.3g} and {:.3g}. Seconds: processor time of training alone.",
      study.independent, study.frechet_floor, study.sliced_w2_floor, study.frechet_gaussian, study.sliced_w2_gaussian);
  return table;
}

ReportTable table_of_levels(const Config& sweep, const LearningStudy& study) {
  ReportTable table;
  table.caption = "Until a log likelihood is reached";
  table.columns = {"log likelihood", "model", "updates", "CPU s", "seeds that reached it"};
  for (const double above : sweep.sweep.levels) {
    for (std::size_t t = 0; t < study.results.size(); ++t) {
      std::vector<double> steps, seconds;
      for (const LearningResult& seed : study.results[t]) {
        const FirstReach first = first_reach(seed, study.independent + above);
        steps.push_back(first.step);
        seconds.push_back(first.seconds);
      }
      const auto reached = std::ranges::count_if(steps, [](double s) { return std::isfinite(s); });
      table.rows.push_back({fmt::format("{:.5g}", study.independent + above), sweep.targets[t].run.name,
                            text_of(spread_of(steps)), text_of(spread_of(seconds)),
                            fmt::format("{} of {}", reached, steps.size())});
    }
  }
  table.note = "The first look at which it holds, so at most so many; medians and ranges over all seeds.";
  return table;
}

ReportTable table_at_equal_time(const Config& sweep, const LearningStudy& study) {
  const double time = shortest_time(study);
  ReportTable table;
  table.caption = fmt::format("After equal time: {:.3g} s of processor time", time);
  table.columns = {"model", "updates", "log likelihood", "Frechet distance", "sliced W2"};
  for (std::size_t t = 0; t < study.results.size(); ++t) {
    const auto value = [&](auto of) {
      return spread_over(study.results[t], [&](const LearningResult& seed) {
        const LearningLook* look = look_at(seed, 1.02 * time);  // seeds of the quickest model differ by as much
        return look == nullptr ? nan : static_cast<double>(look->*of);
      });
    };
    table.rows.push_back({sweep.targets[t].run.name, text_of(value(&LearningLook::step)),
                          text_of(value(&LearningLook::log_likelihood)), text_of(value(&LearningLook::frechet)),
                          text_of(value(&LearningLook::sliced_w2))});
  }
  table.note = "The last look within that time of each seed; the time is the median of the model that is done first.";
  return table;
}

void warn_of(const std::string& name, const std::vector<LearningResult>& seeds, EvaluationOutcome& outcome) {
  std::int64_t few = 0, looks = 0;
  for (const LearningResult& seed : seeds) {
    if (diverged(seed)) {
      outcome.warnings.push_back(fmt::format(
          "{}: a seed diverged: {}", name,
          seed.stopped.empty() ? "its log likelihood is no better at the end than at the first look" : seed.stopped));
    }
    for (const LearningLook& look : seed.looks) {
      ++looks;
      few += look.effective < fewest_effective ? 1 : 0;
    }
  }
  if (few > 0) {
    outcome.warnings.push_back(
        fmt::format("{}: {} of {} likelihoods rest on fewer than {:.0f} importance weights; raise "
                    "evaluation.likelihood_temperatures or "
                    "evaluation.likelihood_chains",
                    name, few, looks, fewest_effective));
  }
}

struct Shade {
  std::string line, band;
};
const Shade& shade_of(std::size_t t) {
  static const std::vector<Shade> shades{{colors::learned, "#cfe3f1"},
                                         {colors::other, "#f8dfcc"},
                                         {colors::third, "#cfe9e0"},
                                         {colors::fourth, "#f3e0ea"}};
  return shades[t % shades.size()];
}

}  // namespace

FirstReach first_reach(const LearningResult& result, double log_likelihood) {
  for (std::size_t k = 0; k < result.looks.size(); ++k) {
    if (result.looks[k].log_likelihood >= log_likelihood)
      return {static_cast<double>(result.looks[k].step), result.seconds[k]};
  }
  return {infinity, infinity};
}

std::string learning_csv(const Config& sweep, const LearningStudy& study) {
  std::string text = "model,seed,step,log_likelihood,log_likelihood_error,effective,reconstruction,frechet,sliced_w2\n";
  for (std::size_t t = 0; t < study.results.size(); ++t) {
    for (std::size_t i = 0; i < study.results[t].size(); ++i) {
      for (const LearningLook& look : study.results[t][i].looks) {
        text += fmt::format("{},{},{},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g}\n", sweep.targets[t].run.name,
                            sweep.run.seed + i, look.step, look.log_likelihood, look.log_likelihood_error,
                            look.effective, look.reconstruction, look.frechet, look.sliced_w2);
      }
    }
  }
  return text;
}

EvaluationOutcome learning_outcome(const Config& sweep, const LearningStudy& study) {
  EvaluationOutcome outcome;
  for (std::size_t t = 0; t < study.results.size(); ++t) {
    const std::string& name = sweep.targets[t].run.name;
    const auto& seeds = study.results[t];
    const auto add = [&](const std::string& key, const std::string& label, Value value) {
      const Spread s = at_the_end(seeds, value);
      outcome.add(key + "_" + name, name + ": " + label, s.median,
                  fmt::format("over seeds {} to {}", text_of(s.low), text_of(s.high)));
    };
    add("log_likelihood", "log likelihood of test data", &LearningLook::log_likelihood);
    outcome.metrics.back().note += fmt::format("; standard error of the annealing, median: {}",
                                               text_of(at_the_end(seeds, &LearningLook::log_likelihood_error).median));
    add("reconstruction", "mean square reconstruction error", &LearningLook::reconstruction);
    add("frechet", "Frechet distance to test data", &LearningLook::frechet);
    add("sliced_w2", "sliced W2 to test data", &LearningLook::sliced_w2);
    outcome.add("diverged_" + name, name + ": share of seeds that diverged",
                static_cast<double>(std::ranges::count_if(seeds, diverged)) / static_cast<double>(seeds.size()));
    warn_of(name, seeds, outcome);
  }
  outcome.add("log_likelihood_independent", "independent normals: log likelihood of test data", study.independent);
  outcome.tables = {table_at_the_end(sweep, study), table_of_levels(sweep, study), table_at_equal_time(sweep, study)};
  return outcome;
}

Figure figure_learning(const Config& sweep, const LearningStudy& study) {
  Figure figure;
  figure.name = "learning";
  figure.columns = 2;
  figure.width = 900;
  figure.height = 900;
  const auto panel = [&](const std::string& label, Value value, bool over_time, double level,
                         const std::string& level_name) {
    Panel p;
    p.x_label = over_time ? "processor time of training, s" : "updates";
    p.y_label = label;
    p.log_x = 10;
    std::vector<double> ends{infinity, 0.0};
    for (std::size_t t = 0; t < study.results.size(); ++t) {
      const auto& seeds = study.results[t];
      const auto kept = those_that_learned(seeds);
      if (kept.empty()) continue;
      Series band{"", {}, {}, Mark::band, shade_of(t).band, 1.0, {}},
          line{sweep.targets[t].run.name, {}, {}, Mark::line, shade_of(t).line, 2.2, {}};
      for (std::size_t k = 0; k < kept.front()->looks.size(); ++k) {
        const Spread x = spread_over(seeds, [&](const LearningResult& r) {
          return over_time ? std::max(1e-3, r.seconds[k]) : static_cast<double>(r.looks[k].step);
        });
        const Spread y = spread_over(seeds, [&](const LearningResult& r) { return r.looks[k].*value; });
        line.x.push_back(x.median);
        line.y.push_back(y.median);
        band.y.push_back(y.low);
        band.y2.push_back(y.high);
      }
      band.x = line.x;
      ends = {std::min(ends[0], line.x.front()), std::max(ends[1], line.x.back())};
      p.series.insert(p.series.begin(), std::move(band));
      p.series.push_back(std::move(line));
    }
    if (ends[0] < ends[1] && std::isfinite(level))
      p.series.push_back({level_name, ends, {level, level}, Mark::dashed, "#6b7680", 1.4, {}});
    figure.panels.push_back(std::move(p));
  };
  for (const bool over_time : {false, true})
    panel("log likelihood, nats", &LearningLook::log_likelihood, over_time, study.independent,
          "independent normals, one Gaussian");
  for (const bool over_time : {false, true})
    panel("reconstruction error", &LearningLook::reconstruction, over_time, nan, "");
  for (const bool over_time : {false, true})
    panel("sliced W2 to test data", &LearningLook::sliced_w2, over_time, study.sliced_w2_gaussian,
          "independent normals, one Gaussian");
  return figure;
}

}  // namespace tarn
