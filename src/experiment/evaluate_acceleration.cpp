// The trained network with irreversible drifts of several strengths and without, from one start and with one noise.
#include <algorithm>
#include <cmath>

#include "course_sink.hpp"
#include "plane.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/evaluation/autocorrelation.hpp"
#include "tarn/evaluation/moments.hpp"
#include "tarn/report/figures.hpp"

namespace tarn {
namespace {

// What is looked at for autocorrelations.
struct Observable {
  const char *key, *label;
  double (*of)(double x, double y);  // about the law's mean
};
constexpr Observable observables[] = {
    {"x1", "x_1", [](double, double y) { return y; }},
    {"arm", "which arm, sign(x_0 x_1)",
     [](double x, double y) { return x * y > 0.0   ? 1.0
                                     : x * y < 0.0 ? -1.0
                                                   : x * y; }},
    {"log_r", "log r", [](double x, double y) { return 0.5 * std::log(x * x + y * y); }},
};

// Mean of the squares along a direction, with its standard error from the spread between chains: right whatever the autocorrelation.
struct SecondMoment {
  double value = 0.0, error = 0.0;
};
SecondMoment second_moment(const std::vector<Matrix<float>>& draws, const PlaneDirection& direction) {
  const std::int64_t n = draws.front().rows();
  std::vector<double> sums(static_cast<std::size_t>(n), 0.0);
  for (const Matrix<float>& x : draws) {
    const std::vector<float> values = projection(x, direction.unit);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(values[i]) * values[i];
  }
  // A chain that was lost on the way is NaN from there on, and left out.
  std::vector<float> means;
  for (const double sum : sums) means.push_back(static_cast<float>(sum / static_cast<double>(draws.size())));
  const Moments m = moments(means);
  return {m.mean, std::sqrt(m.variance / static_cast<double>(m.n))};
}

struct Accelerated {
  double strength = 0.0;
  std::vector<double> times;
  std::array<std::vector<double>, 4> w1;  // by direction
  std::int64_t n_chains = 0;
  // Of chains at rest:
  AutocorrelationTime autocorrelation[std::size(observables)];
  double spacing = 0.0;                       // of the draws of the autocorrelation, in tau
  std::array<SecondMoment, 4> second_moment;  // by direction
  std::int64_t n_quarantined = 0;

  std::string name() const { return strength == 0.0 ? "reversible" : fmt::format("|J| = {:.3g}", strength); }
  std::string key() const { return fmt::format("c{:.3g}", strength); }
};

class Accelerator {
 public:
  Accelerator(const EvaluationInput& in, const PlaneReference& law)
      : in_(in), law_(law), centre_(in.data.target->mean()) {}

  Accelerated run(double strength) {
    Config config = in_.config;
    SamplingConfig& s = config.sampling;
    s.irreversible.strength = strength;
    s.drift = std::string("score");
    if (strength == 0.0) s.irreversible.matrix.clear();
    s.integrator = "euler_maruyama";  // Leimkuhler-Matthews is first order here too, and of another constant
    s.record.reservoir = false;
    s.noise = std::string("output");
    SamplingSetup setup = make_sampling(config, in_.data, {in_.training.levels.back()}, in_.backend);
    Accelerated result;
    result.strength = strength;
    result.n_chains = setup.run.n_chains;
    SamplingRun plan = setup.run;
    plan.denoise = false;
    const Stage stage = plan.stages.back();
    const std::int64_t n_steps = s.burn_in + s.steps;
    plan.stages = plain_schedule(stage, 0, n_steps, std::max<std::int64_t>(1, n_steps / n_times));
    CourseSink course(plan.n_chains, n_draws(plan.stages), 2);
    const SamplingResult first = run_chains(in_.backend, plan, &course);
    result.n_quarantined = first.n_quarantined;
    result.times = course.times;
    for (Matrix<float>& x : course.draws) {
      x = in_.data.to_data_units(x);
      for (std::size_t k = 0; k < 4; ++k) result.w1[k].push_back(law_.w1()(x, k));
    }

    // At rest, on some of the chains.
    const std::int64_t n = std::min(in_.config.evaluation.accelerate_chains, plan.n_chains);
    const auto more = static_cast<std::int64_t>(std::ceil(in_.config.evaluation.accelerate_time / stage.dt));
    const std::int64_t thin = std::max<std::int64_t>(1, more / n_rest_draws);
    plan.first_step = static_cast<std::uint64_t>(n_steps) + 1;
    plan.n_chains = n;
    plan.initial.kind = InitialKind::file;
    plan.initial.space = InitialSpace::x;
    Matrix<float> start(n, 2);
    std::copy_n(first.last_draw.data(), start.size(), start.data());
    plan.initial.rows = start.view();
    plan.stages = plain_schedule(stage, 0, more, thin);
    CourseSink rest(n, n_draws(plan.stages), 2);
    run_chains(in_.backend, plan, &rest);
    result.spacing = stage.dt * static_cast<double>(thin);
    std::vector<Matrix<float>> draws;
    for (const Matrix<float>& x : rest.draws) draws.push_back(in_.data.to_data_units(x));
    for (std::size_t k = 0; k < 4; ++k) result.second_moment[k] = second_moment(draws, plane_directions()[k]);
    for (std::size_t o = 0; o < std::size(observables); ++o) {
      Matrix<float> values(n, static_cast<std::int64_t>(draws.size()));
      for (std::size_t t = 0; t < draws.size(); ++t) {
        for (std::int64_t i = 0; i < n; ++i) {
          values(i, static_cast<std::int64_t>(t)) =
              static_cast<float>(observables[o].of(draws[t](i, 0) - centre_[0], draws[t](i, 1) - centre_[1]));
        }
      }
      result.autocorrelation[o] = integrated_autocorrelation_time(values);
    }
    return result;
  }

 private:
  static constexpr std::int64_t n_times = 100, n_rest_draws = 1000;
  const EvaluationInput& in_;
  const PlaneReference& law_;
  std::vector<double> centre_;
};

void report(const Accelerated& run, const Accelerated& plain, EvaluationOutcome& out) {
  const std::string key = run.key(), name = run.name();
  for (std::size_t o = 0; o < std::size(observables); ++o) {
    const AutocorrelationTime& t = run.autocorrelation[o];
    const double factor = run.spacing * t.time / (plain.spacing * plain.autocorrelation[o].time);
    std::string note = fmt::format("in τ, ± {:.2g}", run.spacing * t.standard_error);
    if (&run != &plain) note += fmt::format("; {:.3g} of the reversible one", factor);
    if (!t.settled) note += "; the chains are too short for it: raise evaluation.accelerate_time";
    out.add(fmt::format("autocorrelation_time_{}_{}", observables[o].key, key),
            fmt::format("{}: autocorrelation time of {}", name, observables[o].label), run.spacing * t.time, note);
  }
  for (std::size_t k = 0; k < 4; ++k) {
    const PlaneDirection& d = plane_directions()[k];
    const SecondMoment &m = run.second_moment[k], &reference = plain.second_moment[k];
    std::string note = fmt::format("± {:.2g}", m.error);
    if (&run != &plain) {
      note += fmt::format("; {:+.3g} ± {:.2g} from the reversible one", m.value - reference.value,
                          std::hypot(m.error, reference.error));
    }
    out.add(fmt::format("second_moment_{}_{}", d.key, key), fmt::format("{}: E x² along {}", name, d.label), m.value,
            note);
  }
  if (run.n_quarantined > 0) {
    out.add("chains_quarantined_" + key, name + ": chains quarantined", static_cast<double>(run.n_quarantined),
            fmt::format("of {}", run.n_chains));
  }
}

}  // namespace

void evaluate_acceleration(const EvaluationInput& in, EvaluationOutcome& out) {
  if (in.config.evaluation.accelerate.empty()) return;
  std::vector<double> strengths = in.config.evaluation.accelerate;
  std::sort(strengths.begin(), strengths.end());
  strengths.insert(strengths.begin(), 0.0);
  const double sigma = in.training.levels.back().sigma * in.data.scaling.scale;
  const PlaneReference law(*in.data.target, sigma, in.config.sampling.chains, in.config.run.seed, 1);
  Accelerator accelerator(in, law);
  std::vector<Accelerated> runs;
  Progress bar("acceleration", static_cast<double>(strengths.size()), "drifts");
  for (const double strength : strengths) {
    runs.push_back(accelerator.run(strength));
    bar.update(static_cast<double>(runs.size()));
  }
  for (const Accelerated& run : runs) report(run, runs.front(), out);

  std::vector<std::string> panels;
  std::vector<std::vector<DistanceCourse>> courses;
  std::vector<double> floors;
  for (std::size_t k = 0; k < 4; ++k) {
    const PlaneDirection& d = plane_directions()[k];
    panels.push_back("along " + d.label);
    const PlaneReference::Level floor = law.floor([&](MatrixView<const float> set) { return law.w1()(set, k); });
    floors.push_back(floor.mean);
    courses.emplace_back();
    for (const Accelerated& run : runs) {
      courses.back().push_back({run.name(), {run.times, run.w1[k]}});
      out.add_with_floor(fmt::format("w1_{}_{}", d.key, run.key()),
                         fmt::format("{}: W1 along {} at the end", run.name(), d.label), run.w1[k].back(), floor.mean,
                         floor.deviation);
    }
  }
  if (const FigureFile file = draw(figure_distance_over_time("W1", panels, courses, floors), in.folder.figures())) {
    out.figures.push_back({file.svg,
                           "1-Wasserstein distance of the chains to the law smoothed by the last noise level, against "
                           "time: the same network, start and noise with the reversible drift and with irreversible "
                           "ones. Where curves level off above the floor, that is the learned score's own law."});
  }
}

}  // namespace tarn
