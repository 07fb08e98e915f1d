// Does adaptation make inference faster, and leave the law as it is? Each method at its own best step, by the slowest of coordinates, squares
// and energy.
#include <algorithm>
#include <cmath>

#include "adaptation_trials.hpp"
#include "hee_judgements.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/models/hee_stability.hpp"

namespace tarn {
namespace {

constexpr std::int64_t gaussian_dimensions = 10;
constexpr double gaussian_condition = 100.0;
constexpr double reference_share = 0.1;  // of the largest stable step: Leimkuhler-Matthews' error is then some 0.1 %
constexpr double near = 0.1;             // standard deviations from the mean that count as being there

// Chains from their start at zero until the means of the data's chains are where they should be.
struct Approach {
  Curve distance;              // over gradient evaluations
  double steps_to_near = NAN;  // after which it stays below `near`; NaN: never
};

Approach approach(LawChains& chains, const AdaptationLaw& law, double worst_time) {
  constexpr std::int64_t n_points = 120;
  const auto spacing = std::max<std::int64_t>(1, std::llround(6.0 * worst_time / n_points));
  Approach found;
  Matrix<float> x(chains.n_chains(), chains.n_coordinates());
  chains.start_at_zero();
  for (std::int64_t t = 0; t <= n_points; ++t) {
    if (t > 0) chains.advance(spacing);
    chains.read(x);
    const double distance = distance_of_means(x, law.chains_per_datum, law.mean.view(), law.variance);
    found.distance.x.push_back(static_cast<double>(t * spacing));
    found.distance.y.push_back(std::max(distance, 1e-3));  // for a logarithmic axis
    if (!(distance <= near)) {
      found.steps_to_near = NAN;
    } else if (std::isnan(found.steps_to_near)) {
      found.steps_to_near = static_cast<double>(t * spacing);
    }
  }
  return found;
}

// Means over time of each chain, and its mean square deviation from the law's means, in units of the law's variances.
struct MomentCheck {
  double mean_distance = 0.0;
  double variance = 0.0,
         variance_error = 0.0;  // 1 where nothing has changed; its standard error, from the chains' spread
};

MomentCheck moments_of(LawChains& chains, const AdaptationLaw& law, const AdaptationTrial& trial) {
  constexpr std::int64_t n_draws = 1000;
  const auto spacing = std::max<std::int64_t>(1, std::llround(trial.speed.worst().time / 10.0));
  const std::int64_t n = chains.n_chains(), d = chains.n_coordinates();
  Matrix<float> x(n, d), mean(n, d);
  Matrix<double> sum(n, d);
  std::vector<double> square(static_cast<std::size_t>(n));
  chains.advance(20 * spacing);
  for (std::int64_t t = 0; t < n_draws; ++t) {
    chains.advance(spacing);
    chains.read(x);
    for (std::int64_t i = 0; i < n; ++i) {
      const double* const centre = law.mean.row(i / law.chains_per_datum);
      double part = 0.0;
      for (std::int64_t k = 0; k < d; ++k) {
        const double off = x(i, k) - centre[k];
        sum(i, k) += x(i, k);
        part += off * off / law.variance[static_cast<std::size_t>(k)];
      }
      square[static_cast<std::size_t>(i)] += part / static_cast<double>(d * n_draws);
    }
  }
  for (std::int64_t i = 0; i < sum.size(); ++i) mean.data()[i] = static_cast<float>(sum.data()[i] / n_draws);
  MomentCheck m;
  m.mean_distance = distance_of_means(mean, law.chains_per_datum, law.mean.view(), law.variance);
  for (const double s : square) m.variance += s / static_cast<double>(n);
  for (const double s : square) m.variance_error += (s - m.variance) * (s - m.variance);
  m.variance_error = std::sqrt(m.variance_error / static_cast<double>(n) / static_cast<double>(n - 1));
  return m;
}

// A method on a law.
struct Judged {
  AdaptationSearch search;
  Approach approach;
  MomentCheck moments;
};

AdaptationLaw posterior_law(const HeeEvaluationInput& in) {
  const EvaluationConfig& e = in.config.evaluation;
  AdaptationLaw law;
  law.key = std::string("posterior");
  law.name = fmt::format("posteriors of {} data under the trained model", e.adaptation_data);
  law.source = fmt::format("Leimkuhler-Matthews in steps of {:.0f} % of the largest", 100.0 * reference_share);
  law.parameters = in.training.model.parameters;
  law.chains_per_datum = std::max<std::int64_t>(2, e.adaptation_chains / e.adaptation_data);
  const std::int64_t n = std::min(e.adaptation_data, in.data.rows.rows());
  law.observations = Matrix<float>(n, in.data.n_outputs);
  for (std::int64_t i = 0; i < n; ++i) std::copy_n(in.data.rows.row(i), in.data.n_outputs, law.observations.row(i));
  return law;
}

// Fills moments that are not known, and returns a state of the chains at rest. The first run is there to forget the start.
std::vector<Matrix<float>> come_to_rest(AdaptationLaw& law, Backend& backend, std::uint64_t seed) {
  const AdaptationMethod method = adaptation_methods()[1];
  LawChains chains(law, backend, seed, 0);
  chains.use(method, reference_share * method.largest_step(largest_curvature(law.parameters)), 0.0);
  chains.start_at_zero();
  SpeedSettings settings;
  settings.n_draws = 100;
  measure_speed(chains, settings);
  if (law.mean.empty()) {
    SamplerSpeed speed = measure_speed(chains);
    law.mean = std::move(speed.mean);
    law.variance = std::move(speed.variance);
  }
  return chains.latents();
}

std::string words(const SpeedOf& s) { return fmt::format("{:.3g} ± {:.2g}", s.time, s.standard_error); }

void report(const AdaptationLaw& law, const std::vector<Judged>& all, EvaluationOutcome& out) {
  const auto best = [&](std::size_t i) { return all[i].search.best(); };
  for (std::size_t i = 0; i < all.size(); ++i) {
    const AdaptationMethod& method = all[i].search.method;
    const std::string key = law.key + "_" + method.key, name = law.name + ", " + method.name;
    const AdaptationTrial* const trial = best(i);
    if (!trial) {
      out.warnings.push_back(name + ": no step was found that keeps the variances within 5 %");
      continue;
    }
    std::string note = fmt::format("gradient evaluations; x {}, x² {}, E {}; step {:.3g}", words(trial->speed.x),
                                   words(trial->speed.square), words(trial->speed.energy), trial->dt);
    if (method.has_momentum()) note += fmt::format(", friction {:.3g}", trial->friction);
    note += fmt::format(", bias of variances {:+.1f} %", 100.0 * trial->bias);
    if (!trial->speed.settled) note += "; the chains were too short for it";
    out.add("autocorrelation_time_" + key, name + ": worst autocorrelation time", trial->speed.worst().time, note);
    out.add("steps_to_law_" + key, fmt::format("{}: evaluations until means are within {} sd", name, near),
            all[i].approach.steps_to_near, "from zero");
    const MomentCheck& m = all[i].moments;
    out.add("variance_ratio_" + key, name + ": variance over the expected one", m.variance,
            fmt::format("95 %: {:.4f} to {:.4f}; means are {:.2g} sd off; expected: {}",
                        m.variance - 1.96 * m.variance_error, m.variance + 1.96 * m.variance_error, m.mean_distance,
                        law.source));
  }
  if (!best(1) || !best(2)) return;
  out.add("adaptation_speedup_" + law.key, law.name + ": speed-up by adaptation",
          best(1)->speed.worst().time / best(2)->speed.worst().time, "worst times; against Leimkuhler-Matthews");
  out.add("adaptation_speedup_approach_" + law.key, law.name + ": speed-up of the approach",
          all[1].approach.steps_to_near / all[2].approach.steps_to_near, "against Leimkuhler-Matthews");
}

void add_panels(const AdaptationLaw& law, const std::vector<Judged>& all, Figure& figure) {
  const std::string palette[] = {colors::faint, colors::other, colors::learned};
  Panel times, course;
  times.title = course.title = law.name;
  times.title[0] = course.title[0] = static_cast<char>(std::toupper(times.title[0]));
  times.log_y = course.log_y = true;
  times.x_label = std::string("step / largest stable step");
  times.y_label = std::string("worst autocorrelation time");
  times.x_range = AxisRange{0.0, 1.0};
  course.x_label = std::string("gradient evaluations");
  course.y_label = std::string("distance of means / sd");
  double end = 0.0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<const AdaptationTrial*> trials;
    if (!all[i].search.best()) continue;
    for (const AdaptationTrial& t : all[i].search.trials) {
      if (t.admissible()) trials.push_back(&t);
    }
    // Of each step the best friction.
    std::ranges::sort(trials, {}, [](const auto* t) { return std::pair(t->share, t->speed.worst().time); });
    const auto same_step = [](const auto* a, const auto* b) { return a->share == b->share; };
    trials.erase(std::unique(trials.begin(), trials.end(), same_step), trials.end());
    Series line{all[i].search.method.name, {}, {}, Mark::line, palette[i], 2.0, {}};
    for (const auto* t : trials) {
      line.x.push_back(t->share);
      line.y.push_back(t->speed.worst().time);
    }
    times.series.push_back(line);
    Series dots = line;
    dots.name.clear();
    dots.mark = Mark::points;
    dots.width = 5.0;
    times.series.push_back(dots);
    course.series.push_back({all[i].search.method.name,
                             all[i].approach.distance.x,
                             all[i].approach.distance.y,
                             Mark::line,
                             palette[i],
                             2.0,
                             {}});
    if (i == 1) end = all[i].approach.distance.x.back();
  }
  if (end > 0.0) course.x_range = AxisRange{0.0, end};
  course.series.push_back(
      {fmt::format("{} sd", near), {0.0, end}, {near, near}, Mark::dashed, colors::fourth, 1.3, {}});
  course.y_range = AxisRange{0.01, 10.0};
  figure.panels.push_back(std::move(times));
  figure.panels.push_back(std::move(course));
}

}  // namespace

void judge_adaptation(const HeeEvaluationInput& in, EvaluationOutcome& out) {
  std::vector<AdaptationLaw> laws;
  for (const std::string& law : in.config.evaluation.adaptation) {
    laws.push_back(law == "gaussian"
                       ? gaussian_law(gaussian_dimensions, gaussian_condition, in.config.evaluation.adaptation_chains)
                       : posterior_law(in));
  }
  Figure figure;
  figure.name = std::string("adaptation");
  figure.columns = 2;
  figure.height = 60 + 320 * static_cast<int>(laws.size());
  const std::vector<AdaptationMethod> methods = adaptation_methods();
  Progress bar("adaptation", static_cast<double>(laws.size() * methods.size()), "searches");
  const std::uint64_t seed = in.config.run.seed;
  double done = 0.0;
  for (AdaptationLaw& law : laws) {
    const auto rest = come_to_rest(law, in.backend, seed);
    std::vector<Judged> all;
    for (std::size_t i = 0; i < methods.size(); ++i) {
      // Noise of its own for each: steps of one method are far from those of the others.
      const std::uint64_t first_step = (2 + static_cast<std::uint64_t>(i)) << 32;
      Judged judged{search_best_step(methods[i], law, in.backend, rest, seed, first_step), {}, {}};
      if (const AdaptationTrial* const best = judged.search.best()) {
        LawChains chains(law, in.backend, seed, first_step + (std::uint64_t{1} << 31));
        chains.use(methods[i], best->dt, best->friction);
        judged.approach = approach(chains, law, best->speed.worst().time);
        judged.moments = moments_of(chains, law, *best);
      }
      all.push_back(std::move(judged));
      bar.update(++done);
    }
    report(law, all, out);
    add_panels(law, all, figure);
  }
  if (const FigureFile file = draw(figure, in.folder.figures())) {
    out.figures.push_back({file.svg,
                           "Adaptation as momentum. Left: the worst integrated autocorrelation time over latents, "
                           "their squares and the energy, in gradient "
                           "evaluations, for steps that bias no variance by more than 5 %. Right: how far the means of "
                           "chains that start at zero "
                           "are from the posterior's, each method at its best step."});
  }
}

}  // namespace tarn
