// What the step does to the law: some of the run's chains go on from their end with steps dt and dt/2 on one Brownian path.
#include <algorithm>
#include <cmath>

#include "chain_views.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/evaluation/resampling.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/sampling/half_step.hpp"

namespace tarn {
namespace {

constexpr double most_products = 4e9;  // of weights, a second or two
constexpr std::int64_t most_chains = 256, fewest_chains = 32, fewest_steps = 32;
constexpr std::size_t most_outputs = 8;                        // that the table shows
constexpr std::uint64_t start_noise = std::uint64_t{1} << 40;  // chain numbers of normals that starts are made of

// The first `n` rows that are finite, fewer where there are not so many.
std::vector<std::int64_t> chains_that_are_well(MatrixView<const float> draw, std::int64_t n) {
  std::vector<std::int64_t> well;
  for (std::int64_t i = 0; i < draw.rows && std::ssize(well) < n; ++i) {
    if (std::all_of(draw.row(i), draw.row(i) + draw.cols, [](float v) { return std::isfinite(v); })) well.push_back(i);
  }
  return well;
}

// How many chains and steps of length dt are worth their time: as many chains as there may be, and fewer of those before steps get few.
struct Size {
  std::int64_t n_chains = 0, n_steps = 0;
};
Size affordable(const SamplingNetwork& network, std::int64_t n_chains, std::int64_t n_steps) {
  const double weights = static_cast<double>(network.n_neurons() * (2 * network.n_outputs + network.n_inputs));
  const double chain_steps = most_products / (3.0 * weights);  // three drifts for each step of length dt
  const auto quotient = [&](std::int64_t by) {
    return static_cast<std::int64_t>(std::min(1e12, chain_steps / static_cast<double>(by)));
  };
  const std::int64_t least = std::min(fewest_steps, n_steps);
  Size size{std::min(n_chains, std::max<std::int64_t>(1, quotient(least))), 0};
  size.n_steps = std::min(n_steps, std::max(least, quotient(size.n_chains)));
  return size;
}

// Euler-Maruyama is of first order, and so is Leimkuhler-Matthews where the drift is no gradient.
int order_of(Integrator integrator, const Config& config) {
  const SamplingConfig& s = config.sampling;
  const bool irreversible = s.drift == "circuit" || s.irreversible.strength > 0.0 || !s.irreversible.matrix.empty();
  return integrator == Integrator::euler_maruyama || irreversible ? 1 : 2;
}

ReportTable table_of(const HalfStepCheck& c, const HalfStepPlan& plan, double scale) {
  ReportTable table;
  table.caption = "Step dt against dt/2";
  table.section = convergence_heading;
  table.columns = {"output",    "change of the mean",   "its error", "change of the mean square",
                   "its error", "mean square with dt/2"};
  const std::size_t shown = std::min(c.mean.size(), most_outputs);
  for (std::size_t d = 0; d < shown; ++d) {
    table.rows.push_back({fmt::format("x_{}", d), number_text(scale * c.mean[d].value),
                          number_text(scale * c.mean[d].error), number_text(scale * scale * c.mean_square[d].value),
                          number_text(scale * scale * c.mean_square[d].error),
                          number_text(scale * scale * c.spread[d])});
  }
  table.note = fmt::format(
      "{} chains went on from the run's end for {:.3g} τ with steps of {:.3g} and of half of that, driven by the same "
      "Brownian path{}; "
      "averages over the second half of that time, dt less dt/2, the mean square about the draws' mean.{} The paths "
      "end up {:.2g} of the spread apart.",
      c.n_chains, c.time, plan.dt, c.n_lost > 0 ? fmt::format(" ({} more were lost)", c.n_lost) : "",
      shown < c.mean.size() ? fmt::format(" The first {} of {} outputs.", shown, c.mean.size()) : "", c.path);
  return table;
}

}  // namespace

void evaluate_half_step(const EvaluationInput& in, EvaluationOutcome& out) {
  const SamplingConfig& s = in.config.sampling;
  if (!in.config.evaluation.half_step || s.noise == "private" || in.sampling.stages.empty()) return;
  const SamplingNetwork& network = in.training.levels.back();
  // As files hold it, so that `tarn evaluate` finds the same.
  const Matrix<float> ends = from_file_units(in.data, in.sampling.last_draw);
  const std::vector<std::int64_t> all = chains_that_are_well(ends, most_chains);
  if (std::ssize(all) < fewest_chains) return;
  const Size size = affordable(network, std::ssize(all), in.sampling.stages.back().n_steps);
  if (size.n_chains < fewest_chains || size.n_steps < 2) return;
  const std::span<const std::int64_t> chains(all.data(), static_cast<std::size_t>(size.n_chains));

  const SamplingSetup setup = make_sampling(in.config, in.data, {network}, in.backend);
  const SamplingRun& run = setup.run;
  const Stage& stage = run.stages.back();
  Matrix<float> start = gather_rows(ends, chains);
  if (run.denoise) {
    // denoised draws lie closer together than chains do
    Matrix<float> noise(start.rows(), start.cols());
    fill_normals(run.seed, Stream::half_step, start_noise, 0, 1, noise);
    for (std::int64_t i = 0; i < start.size(); ++i)
      start.data()[i] += static_cast<float>(stage.sigma * static_cast<double>(noise.data()[i]));
  }
  Matrix<float> inputs, clamp;
  if (run.inputs.rows > 0)  // those of the last piece of time
    inputs = gather_rows(run.inputs.slice((run.n_input_pieces - 1) * run.n_chains, run.n_input_pieces * run.n_chains),
                         chains);
  if (run.clamp.rows > 1) clamp = gather_rows(run.clamp, chains);
  HalfStepPlan plan;
  plan.network = stage.network;
  plan.integrator = run.integrator;
  plan.dt = stage.dt;
  plan.friction = stage.friction;
  if (stage.bound > 0.0) plan.bound = stage.bound;
  plan.n_steps = size.n_steps;
  plan.seed = run.seed;
  plan.start = start.view();
  plan.inputs = inputs.view();
  plan.clamp = clamp.empty() ? run.clamp : clamp.view();
  const HalfStepCheck check = check_half_step(in.backend, plan);

  const int order = order_of(plan.integrator, in.config);
  out.add("half_step_spread", "spread with step dt less that with dt/2, relative", check.total.value,
          fmt::format("± {:.2g}; if of {} order in dt, dt is off by {:.2g}", check.total.error,
                      order == 1 ? "first" : "second", extrapolated(check.total.value, order)));
  out.tables.push_back(table_of(check, plan, in.data.scaling.scale));
}

}  // namespace tarn
