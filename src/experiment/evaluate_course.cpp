// The way of some chains from their start: traces, and the distance to the target against steps. These are the run's own chains, run once
// more with a draw kept now and then, since most runs keep the end only.
#include <algorithm>
#include <cmath>

#include "chain_views.hpp"
#include "course_sink.hpp"
#include "plane.hpp"
#include "tarn/evaluation/one_dimensional.hpp"

namespace tarn {
namespace {

constexpr std::int64_t n_times = 120;       // draws along the way
constexpr std::int64_t most_outputs = 4;    // kept of each draw
constexpr std::int64_t most_chains = 2000;  // for distances
constexpr double most_chain_steps = 2e7;    // likewise
constexpr double most_bytes = 6e10;         // of weights read, some seconds
constexpr std::int64_t n_slices = 32;
constexpr std::int64_t fewest_kept = 8;  // draws of the run itself from which ranks are taken

// Of each draw the first outputs, in the units of files.
struct Course {
  std::vector<std::int64_t> steps;
  std::vector<double> times;
  std::vector<Matrix<float>> draws;  // `[n_chains, n_kept]`

  Course(const PreparedData& data, CourseSink&& sink) : steps(std::move(sink.steps)), times(std::move(sink.times)) {
    const std::int64_t n_kept = std::min(data.n_outputs, most_outputs);
    for (const Matrix<float>& x : sink.draws) {
      const Matrix<float> there = in_file_units(data, x);
      Matrix<float> kept(x.rows(), n_kept);
      for (std::int64_t i = 0; i < x.rows(); ++i) std::copy_n(there.row(i), n_kept, kept.row(i));
      draws.push_back(std::move(kept));
    }
  }
  std::int64_t n_chains() const { return draws[0].rows(); }

  // Draws from `begin` on.
  ChainView view(std::size_t begin = 0) const {
    ChainView v;
    const std::int64_t n = n_chains(), T = static_cast<std::int64_t>(draws.size() - begin);
    for (std::int64_t k = 0; k < draws[0].cols(); ++k) {
      v.names.push_back(fmt::format("x_{}", k));
      Matrix<float> output(n, T);
      for (std::int64_t t = 0; t < T; ++t) {
        for (std::int64_t i = 0; i < n; ++i) output(i, t) = draws[begin + static_cast<std::size_t>(t)](i, k);
      }
      v.outputs.push_back(std::move(output));
    }
    v.steps.assign(steps.begin() + static_cast<std::ptrdiff_t>(begin), steps.end());
    v.times.assign(times.begin() + static_cast<std::ptrdiff_t>(begin), times.end());
    return v;
  }
};

std::vector<Marker> level_markers(const std::vector<Stage>& stages, double scale) {
  std::vector<Marker> markers;
  std::int64_t step = 0;
  const std::size_t every = (stages.size() + 9) / 10;
  for (std::size_t l = 0; l < stages.size(); ++l) {
    if (stages.size() > 1 && l % every == 0)
      markers.push_back({static_cast<double>(step), fmt::format("σ {:.2g}", stages[l].sigma * scale)});
    step += stages[l].n_steps;
  }
  return markers;
}

// The figure and its curves, `steps` and `distances` one a draw.
void add_distance(const std::string& what, const Course& course, std::vector<double> distances, double floor,
                  const RunFolder& folder, EvaluationOutcome& out) {
  ReportCurve c;
  c.plot = "distance";
  c.name = what;
  c.x_label = "step";
  c.y_label = what;
  c.log_y = true;
  for (const std::int64_t step : course.steps) c.x.push_back(static_cast<double>(step));
  c.y = std::move(distances);
  ReportCurve exact = c;
  exact.name = fmt::format("floor: {} exact draws", course.n_chains());
  exact.reference = true;
  exact.y.assign(exact.x.size(), floor);
  const std::vector<ReportCurve> curves{c, exact};
  if (const FigureFile file = draw(figure_curves("distance", "Distance to the target", curves), folder.figures())) {
    out.figures.push_back(
        {file.svg,
         fmt::format("{} between the first {} chains and the data's law smoothed by the last noise level, from their "
                     "start on. A curve that levels off above the floor has reached what was learned, not what was to "
                     "be learned.",
                     what, course.n_chains()),
         false, convergence_heading});
  }
  out.curves.insert(out.curves.end(), curves.begin(), curves.end());
}

void distance_on_the_line(const EvaluationInput& in, const Course& course, double sigma, EvaluationOutcome& out) {
  const Law1d law = Law1d::from_target(*in.data.target, sigma);
  std::vector<double> distances;
  for (const Matrix<float>& x : course.draws)
    distances.push_back(wasserstein_1(std::span(x.data(), static_cast<std::size_t>(x.size())), law).value);
  const SamplingFloors floors = sampling_floors(*in.data.target, sigma, course.n_chains(), {}, in.config.run.seed);
  add_distance("W1", course, std::move(distances), floors.w1.mean, in.folder, out);
}

void distance_in_the_plane(const EvaluationInput& in, const Course& course, double sigma, EvaluationOutcome& out) {
  const PlaneReference law(*in.data.target, sigma, course.n_chains(), in.config.run.seed, n_slices);
  std::vector<double> distances;
  for (const Matrix<float>& x : course.draws) distances.push_back(law.sliced()(x.view()));
  const auto floor = law.floor([&](MatrixView<const float> set) { return law.sliced()(set); });
  add_distance("sliced W2", course, std::move(distances), floor.mean, in.folder, out);
}

}  // namespace

void evaluate_course(const EvaluationInput& in, EvaluationOutcome& out) {
  const SamplingConfig& s = in.config.sampling;
  const bool stationary = s.schedule == "last_level" && in.sampling.result.n_draws < fewest_kept;
  const bool known = in.data.target && in.data.n_outputs <= 2 && in.data.n_inputs == 0;
  const std::int64_t steps = n_steps(in.sampling.stages);
  if (steps < 2) return;
  std::int64_t n = stationary ? 64 : 4;
  if (known) n = std::clamp(static_cast<std::int64_t>(most_chain_steps / static_cast<double>(steps)), n, most_chains);
  n = std::min(n, s.chains);
  // few chains on a large network wait for its weights at every step
  const SamplingNetwork& network = in.training.levels.back();
  const double weights = static_cast<double>(network.n_neurons() * (2 * network.n_outputs + network.n_inputs));
  if (!known && 4.0 * weights * static_cast<double>(steps) > most_bytes) return;
  SamplingSetup setup = make_sampling(in.config, in.data, in.training.levels, in.backend, {0, n});
  setup.run.recording = {};
  const std::int64_t thin = std::max<std::int64_t>(1, steps / n_times);
  for (Stage& stage : setup.run.stages) {
    stage.thin = thin;
    stage.keep_end = true;
  }
  CourseSink sink(n, n_draws(setup.run.stages), in.data.n_outputs);
  run_chains(in.backend, setup.run, &sink);
  const Course course(in.data, std::move(sink));

  add_traces(course.view(), level_markers(setup.run.stages, in.data.scaling.scale),
             fmt::format("The first {} chains from their start, {}.", std::min<std::int64_t>(n, 4),
                         thin == 1 ? std::string("every step") : fmt::format("a draw every {} steps", thin)),
             in.folder, out);
  const double sigma = in.training.levels.back().sigma * in.data.scaling.scale;
  if (known && in.data.n_outputs == 1) distance_on_the_line(in, course, sigma, out);
  if (known && in.data.n_outputs == 2) distance_in_the_plane(in, course, sigma, out);
  if (stationary)
    add_rank_and_autocorrelation(course.view(course.draws.size() / 2),
                                 fmt::format("the first {} chains, second half of their steps", n), in.folder, out);
}

}  // namespace tarn
