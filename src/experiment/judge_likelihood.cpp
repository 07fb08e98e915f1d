// How probable the model finds the data, by annealed importance sampling; and whether interneurons know their partition functions.
#include <algorithm>
#include <cmath>

#include "hee_judgements.hpp"
#include "likelihood_settings.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/core/log.hpp"
#include "tarn/models/exponential_family.hpp"
#include "tarn/models/hee_likelihood.hpp"
#include "tarn/models/interneuron_partition.hpp"
#include "tarn/models/linear_gaussian.hpp"

namespace tarn {
namespace {

// Natural parameters of the first `n` observed units given a chain's x_1.
std::vector<double> natural_parameters(const HeeParameters& p, const float* x_1, std::int64_t n) {
  const ExponentialFamily family(p.layers[0].family, p.layers[0].parameters);
  const auto& nonlinearity = p.layers[1].nonlinearity;
  std::vector<double> eta;
  for (std::int64_t i = 0; i < n; ++i) {
    double a = p.b[0](0, i);
    for (std::int64_t j = 0; j < p.layers[1].size; ++j) {
      const float f =
          nonlinearity ? dispatch(*nonlinearity, [&](auto phi) { return activate<phi()>(x_1[j]); }) : x_1[j];
      a += static_cast<double>(p.W[0](i, j)) * static_cast<double>(f);
    }
    eta.push_back(family.link(a));
  }
  return eta;
}

void judge_partition(const HeeEvaluationInput& in, EvaluationOutcome& out) {
  constexpr std::int64_t most_units = 64;
  const HeeParameters& p = in.training.model.parameters;
  const Matrix<float>& x_1 = in.sampling.last_draw[1];
  const auto well = std::ranges::find(in.sampling.first_bad_step, -1);
  if (well == in.sampling.first_bad_step.end()) return;
  const std::int64_t chain = well - in.sampling.first_bad_step.begin(), n = std::min(most_units, p.layers[0].size);
  const std::vector<double> eta = natural_parameters(p, x_1.row(chain), n);
  const ExponentialFamily family(p.layers[0].family, p.layers[0].parameters);
  PartitionPath path;
  path.dt = in.config.inference.dt / in.config.inference.tau_ratio / static_cast<double>(in.config.inference.substeps);
  const PartitionEstimate found = interneuron_log_partition(p.layers[0], 0, eta, path, in.config.run.seed);
  double error = 0.0, chance = 0.0;
  for (std::size_t i = 0; i < eta.size(); ++i) {
    const double off = found.log_partition[i] - family.log_partition(eta[i]);
    error += off * off / static_cast<double>(n);
    chance += found.standard_error[i] * found.standard_error[i] / static_cast<double>(n);
  }
  out.add("log_partition_error", "A(eta) from interneurons: RMS error", std::sqrt(error),
          fmt::format(
              "of {} units at a posterior sample, by thermodynamic integration over {} nodes, {} interneurons each, "
              "in steps of {:.3g} tau_e; by chance {:.3g}{}",
              n, path.n_nodes, path.per_unit, path.dt, std::sqrt(chance),
              found.n_lost > 0 ? fmt::format("; {} interneurons were lost", found.n_lost) : ""));
}

}  // namespace

void judge_likelihood(const HeeEvaluationInput& in, EvaluationOutcome& out) {
  const EvaluationConfig& e = in.config.evaluation;
  const HeeParameters& p = in.training.model.parameters;
  const std::int64_t n = std::min(e.likelihood_data, in.data.rows.rows());
  const auto rows = in.data.rows.view().slice(0, n);
  const Annealing annealing = annealing_of(e);
  info("likelihood: {} data, {} chains each, {} temperatures", n, annealing.chains_per_datum, annealing.n_temperatures);
  const LikelihoodEstimate found = annealed_log_likelihood(p, rows, annealing, in.config.run.seed);
  const double D = static_cast<double>(in.data.n_outputs);
  std::string note = fmt::format("nats, the first {} data; 95 %: {:.5g} to {:.5g}; {:.4g} bits a dimension", n,
                                 found.mean - 1.96 * found.mean_error, found.mean + 1.96 * found.mean_error,
                                 -found.mean / D / std::log(2.0));
  if (is_linear_gaussian(p)) note += fmt::format("; exact: {:.5g}", gaussian_log_likelihood(p, rows));
  out.add("log_likelihood_ais", "log likelihood by annealed importance sampling", found.mean, note);
  const double fewest = *std::ranges::min_element(found.effective_chains);
  out.add("log_likelihood_effective_chains", "effective weights of a datum, the fewest", fewest,
          fmt::format("of {}; moves accepted: {:.0f} %", annealing.chains_per_datum, 100.0 * found.acceptance));
  if (fewest < fewest_effective) {
    out.warnings.push_back(fmt::format(
        "the likelihood of {} of {} data rests on fewer than {:.0f} weights: their intervals are too narrow; raise "
        "evaluation.likelihood_temperatures or evaluation.likelihood_chains",
        std::ranges::count_if(found.effective_chains, [](double c) { return c < fewest_effective; }), n,
        fewest_effective));
  }
  judge_partition(in, out);
}

}  // namespace tarn
