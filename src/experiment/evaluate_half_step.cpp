// What the step does to the law: some of the run's chains go on from their end with steps dt and dt/2 on one Brownian path.
#include <algorithm>
#include <cmath>

#include "chain_views.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/sampling/half_step.hpp"

namespace tarn {
namespace {

constexpr double most_products = 2e10;  // of weights, a second or two
constexpr std::int64_t most_chains = 256, fewest_chains = 32, fewest_steps = 32;
constexpr std::size_t most_outputs = 8;                        // that the table shows
constexpr std::uint64_t start_noise = std::uint64_t{1} << 40;  // chain numbers of normals that starts are made of

// Rows of the last draw that are whole, as many as asked for, and the numbers of their chains.
std::vector<std::int64_t> chains_that_are_well(MatrixView<const float> draw, std::int64_t n) {
  std::vector<std::int64_t> well;
  for (std::int64_t i = 0; i < draw.rows && std::ssize(well) < n; ++i) {
    if (std::all_of(draw.row(i), draw.row(i) + draw.cols, [](float v) { return std::isfinite(v); })) well.push_back(i);
  }
  return well;
}

Matrix<float> rows_of(MatrixView<const float> from, std::int64_t first, const std::vector<std::int64_t>& rows) {
  if (from.rows == 0) return {};
  Matrix<float> out(std::ssize(rows), from.cols);
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::copy_n(from.row(first + rows[i]), from.cols, out.row(static_cast<std::int64_t>(i)));
  return out;
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
  if (!in.config.evaluation.half_step || s.noise == "private") return;
  const std::int64_t n_wanted = std::min(most_chains, s.chains);
  SamplingSetup setup = make_sampling(in.config, in.data, in.training.levels, in.backend);
  if (setup.run.stages.empty()) return;
  const Stage& stage = setup.run.stages.back();
  const NetworkView& network = stage.network->view();
  // Three drifts for each step of length dt.
  const double each = 3.0 * static_cast<double>(network.n_neurons * (2 * network.n_outputs + network.n_inputs));
  const double affordable = most_products / each;  // chain-steps
  // As files hold it, so that `tarn evaluate` finds the same.
  const Matrix<float> ends = from_file_units(in.data, in.sampling.last_draw);
  std::vector<std::int64_t> well = chains_that_are_well(ends, n_wanted);
  const auto n_steps = static_cast<std::int64_t>(std::min(
      static_cast<double>(stage.n_steps), affordable / static_cast<double>(std::max<std::size_t>(well.size(), 1))));
  if (std::ssize(well) < fewest_chains) return;
  HalfStepPlan plan;
  plan.n_steps = n_steps;
  if (plan.n_steps < std::min(fewest_steps, stage.n_steps)) {
    plan.n_steps = std::min(fewest_steps, stage.n_steps);
    const auto n = static_cast<std::int64_t>(affordable / static_cast<double>(plan.n_steps));
    if (n < fewest_chains) return;
    well.resize(static_cast<std::size_t>(n));
  }
  if (plan.n_steps < 2) return;

  Matrix<float> start = rows_of(ends, 0, well);
  if (setup.run.denoise) {
    // denoised draws lie closer together than chains do
    Matrix<float> noise(start.rows(), start.cols());
    fill_normals(setup.run.seed, Stream::half_step, start_noise, 0, 1, noise);
    for (std::int64_t i = 0; i < start.size(); ++i)
      start.data()[i] += static_cast<float>(stage.sigma * static_cast<double>(noise.data()[i]));
  }
  const std::int64_t last_piece = (setup.run.n_input_pieces - 1) * setup.run.n_chains;
  const Matrix<float> inputs = rows_of(setup.run.inputs, last_piece, well);
  const Matrix<float> clamp = setup.run.clamp.rows > 1 ? rows_of(setup.run.clamp, 0, well) : Matrix<float>{};
  plan.network = stage.network;
  plan.integrator = setup.run.integrator;
  plan.dt = stage.dt;
  plan.friction = stage.friction;
  if (stage.bound > 0.0) plan.bound = stage.bound;
  plan.seed = setup.run.seed;
  plan.start = start.view();
  if (!inputs.empty()) plan.inputs = inputs.view();
  plan.clamp = clamp.empty() ? setup.run.clamp : clamp.view();
  const HalfStepCheck check = check_half_step(in.backend, plan);

  const int order = order_of(plan.integrator, in.config);
  out.add("half_step_spread", "spread with step dt less that with dt/2, relative", check.total.value,
          fmt::format("± {:.2g}; if of {} order in dt, dt is off by {:.2g}", check.total.error,
                      order == 1 ? "first" : "second", extrapolated(check.total.value, order)));
  out.tables.push_back(table_of(check, plan, in.data.scaling.scale));
}

}  // namespace tarn
