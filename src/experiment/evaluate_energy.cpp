// What only models with an energy have: the course of contrastive divergence, and a likelihood.
#include <algorithm>
#include <cmath>

#include "tarn/core/log.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/models/energy_likelihood.hpp"
#include "tarn/models/energy_model.hpp"

namespace tarn {
namespace {

void training_figure(const EvaluationInput& in, EvaluationOutcome& out) {
  const auto& records = in.training.records;
  if (records.size() < 2) return;
  Figure figure;
  figure.name = "training";
  figure.columns = 2;
  figure.height = 340;
  const auto show = [&](const std::string& name, const std::string& label, double DsmLoss::*value) {
    Panel panel;
    panel.x_label = "updates";
    panel.y_label = label;
    ReportCurve curve;
    curve.plot = "training_" + name;
    curve.name = label;
    curve.x_label = panel.x_label;
    curve.y_label = label;
    for (const TrainingRecord& r : records) {
      curve.x.push_back(static_cast<double>(r.step));
      curve.y.push_back(r.loss.*value);
    }
    panel.series.push_back({"", curve.x, curve.y, Mark::line, colors::learned, 2.0, {}});
    figure.panels.push_back(std::move(panel));
    out.curves.push_back(std::move(curve));
  };
  show("reconstruction", "mean square reconstruction error", &DsmLoss::loss);
  show("energy_gap", "free energy, data less particles", &DsmLoss::excess);
  if (const FigureFile file = draw(figure, in.folder.figures())) {
    out.figures.push_back({file.svg,
                           "Training: mean square of x - E[x | h at its mean given x], an output, and the mean free "
                           "energy of the data less that of "
                           "the particles, 0 where the two cannot be told apart.",
                           false, "Training"});
  }
}

// Fewer than so many importance weights carry the estimate: too few for its error to be trusted.
constexpr double fewest_effective = 5.0;

void judge_likelihood(const EvaluationInput& in, EvaluationOutcome& out) {
  const EvaluationConfig& e = in.config.evaluation;
  const std::int64_t n = std::min(e.likelihood_data, in.data.rows.rows());
  if (n == 0) return;
  const SamplingNetwork& network = in.training.levels.back();
  Annealing annealing;
  annealing.n_temperatures = e.likelihood_temperatures;
  annealing.chains_per_datum = e.likelihood_chains;
  info("likelihood: log Z by {} chains, {} temperatures", annealing.chains_per_datum, annealing.n_temperatures);
  const GaussianBase base = gaussian_base(in.data.rows, network.s);
  const LogPartition log_z = annealed_log_partition(network, base, annealing, in.config.run.seed);
  const auto rows = in.data.rows.view().slice(0, n);
  double mean = -log_z.value, independent = 0.0;
  for (const double f : free_energies(network, rows)) mean -= f / static_cast<double>(n);
  for (const double l : log_density(base, rows)) independent += l / static_cast<double>(n);
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
