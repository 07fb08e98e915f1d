// What only models with an energy have: the course of contrastive divergence, and a likelihood.
#include <algorithm>
#include <cmath>

#include "likelihood_settings.hpp"
#include "tarn/core/log.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/models/energy_likelihood.hpp"
#include "tarn/models/energy_model.hpp"
#include "training_course.hpp"

namespace tarn {
namespace {

void training_figure(const EvaluationInput& in, EvaluationOutcome& out) {
  std::vector<double> steps;
  TrainingCourse error{"reconstruction", "mean square reconstruction error", {}};
  TrainingCourse gap{"energy_gap", "free energy, data less particles", {}};
  for (const TrainingRecord& r : in.training.records) {
    steps.push_back(static_cast<double>(r.step));
    error.values.push_back(r.loss.loss);
    gap.values.push_back(r.loss.excess);
  }
  add_training_courses(
      "updates", steps, {error, gap},
      "Training: mean square of x - E[x | h at its mean given x], an output, and the mean free energy of the data less "
      "that of the particles, 0 where the two cannot be told apart.",
      in.folder, out);
}

void judge_likelihood(const EvaluationInput& in, EvaluationOutcome& out) {
  const EvaluationConfig& e = in.config.evaluation;
  const std::int64_t n = std::min(e.likelihood_data, in.data.rows.rows());
  if (n == 0) return;
  const SamplingNetwork& network = in.training.levels.back();
  const Annealing annealing = annealing_of(e);
  info("likelihood: log Z by {} chains, {} temperatures", annealing.chains_per_datum, annealing.n_temperatures);
  const GaussianBase base = gaussian_base(in.data.rows, network.s);
  const LogPartition log_z = annealed_log_partition(network, base, annealing, in.config.run.seed);
  const auto rows = in.data.rows.view().slice(0, n);
  double mean = -log_z.value, independent = 0.0;
  for (const double f : free_energies(network, rows)) mean -= f / static_cast<double>(n);
  // the base of the annealing is widened to the model's s; what the data's moments alone give is not
  for (const double l : log_density(gaussian_base(in.data.rows), rows)) independent += l / static_cast<double>(n);
  out.add("log_likelihood_ais", "log likelihood by annealed importance sampling", mean,
          fmt::format(
              "nats in scaled filter space, the first {} data; 95 %: {:.5g} to {:.5g}; independent normals with the "
              "data's moments: {:.5g}",
              n, mean - 1.96 * log_z.standard_error, mean + 1.96 * log_z.standard_error, independent));
  out.add("log_partition", "log Z", log_z.value, fmt::format("nats; standard error {:.3g}", log_z.standard_error));
  out.add("log_likelihood_effective_chains", "effective weights of log Z", log_z.effective_chains,
          fmt::format("of {}; moves accepted: {:.0f} %", annealing.chains_per_datum, 100.0 * log_z.acceptance));
  if (log_z.effective_chains < fewest_effective) {
    out.warnings.push_back(
        fmt::format("log Z rests on fewer than {:.0f} weights: its interval is too narrow; raise "
                    "evaluation.likelihood_temperatures or "
                    "evaluation.likelihood_chains",
                    fewest_effective));
  }
}

}  // namespace

void evaluate_energy(const EvaluationInput& in, EvaluationOutcome& out) {
  judge_likelihood(in, out);
  training_figure(in, out);
}

}  // namespace tarn
