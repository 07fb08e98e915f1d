#include <algorithm>
#include <cmath>

#include "chain_views.hpp"
#include "hee_judgements.hpp"
#include "tarn/core/isa.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/core/version.hpp"
#include "tarn/evaluation/moments.hpp"
#include "training_course.hpp"

namespace tarn {
namespace {

// The first chains of a state, `[at most n, n_l]` each.
std::vector<Matrix<float>> first_chains(const std::vector<Matrix<float>>& layers, std::int64_t n) {
  std::vector<Matrix<float>> out;
  for (const Matrix<float>& layer : layers) {
    Matrix<float> some(std::min(n, layer.rows()), layer.cols());
    std::copy_n(layer.data(), some.size(), some.data());
    out.push_back(std::move(some));
  }
  return out;
}

void training_figure(const HeeEvaluationInput& in, EvaluationOutcome& outcome) {
  std::vector<double> steps;
  TrainingCourse error{"reconstruction", "squared reconstruction error", {}}, energy{"energy", "energy", {}};
  for (const HeeRecord& r : in.training.records) {
    steps.push_back(static_cast<double>(r.step));
    error.values.push_back(r.reading.reconstruction);
    energy.values.push_back(r.reading.energy);
  }
  add_training_courses(
      "batches", steps, {error, energy},
      "Training: mean of (x_0 - E[x_0 | x_1])^2 and energy E(x_0..x_L), of 32 chains or fewer at the end of a batch's "
      "inference.",
      in.folder, outcome);
}

// Each latent layer's units, all in one.
void add_activity(const HeeEvaluationInput& in, EvaluationOutcome& outcome) {
  for (std::size_t l = 1; l < in.sampling.last_draw.size(); ++l) {
    const Matrix<float>& x = in.sampling.last_draw[l];
    const Moments m = moments(std::span(x.data(), static_cast<std::size_t>(x.size())));
    const std::string family(name_of(in.training.model.parameters.layers[l].family));
    outcome.add(fmt::format("latent_variance_{}", l), fmt::format("variance of a unit of layer {}", l), m.variance,
                fmt::format("{}, {} units, all in one", family, x.cols()));
    outcome.add(fmt::format("latent_excess_kurtosis_{}", l), fmt::format("its excess kurtosis"), m.excess_kurtosis);
  }
}

// Posterior chains of one datum sample one law; generated ones all do.
void judge_chains(const HeeEvaluationInput& in, EvaluationOutcome& outcome) {
  if (in.sampling.draws_file.empty()) return;
  const bool posterior = in.config.sampling.mode == "posterior";
  const HeeParameters& p = in.training.model.parameters;
  std::vector<std::string> names;
  for (std::size_t l = posterior ? 1 : 0; l < p.layers.size(); ++l) {
    for (std::int64_t i = 0; i < p.layers[l].size; ++i) names.push_back(fmt::format("layer {}, unit {}", l, i));
    // behind a generated x_0 comes what the latents say of it
    for (std::int64_t i = 0; l == 0 && i < p.layers[l].size; ++i)
      names.push_back(fmt::format("E[x_0 | x_1], unit {}", i));
  }
  const auto grouped = [&](std::int64_t n) {
    ChainGroups groups(1);
    const std::int64_t per_datum = in.config.inference.chains_per_datum, n_data = in.data.rows.rows();
    if (posterior) groups.assign(static_cast<std::size_t>(std::min(n_data, (n + per_datum - 1) / per_datum)), {});
    for (std::int64_t i = 0; i < n; ++i)
      groups[posterior ? static_cast<std::size_t>(i / per_datum % n_data) : 0].push_back(i);
    return groups;
  };
  judge_kept_draws(in.sampling.draws_file, names, grouped, in.folder, outcome);
}

}  // namespace

EvaluationOutcome evaluate_hee(const HeeEvaluationInput& in) {
  constexpr std::int64_t n_read = 128;
  EvaluationOutcome outcome;
  const auto state = first_chains(in.sampling.last_draw, n_read);
  outcome.add("chains_quarantined", "chains quarantined", static_cast<double>(in.sampling.n_quarantined),
              fmt::format("of {}", in.sampling.first_bad_step.size()));
  const HeeReading reading = read_state(in.training.model.parameters, state);
  const Moments observed = moments(std::span(state[0].data(), static_cast<std::size_t>(state[0].size())));
  const double power = observed.variance + observed.mean * observed.mean;
  outcome.add("reconstruction", "squared reconstruction error", reading.reconstruction,
              fmt::format("mean square of the data {:.4g}", power));
  const bool posterior = in.config.sampling.mode == "posterior";
  outcome.add("energy", posterior ? "energy of posterior samples" : "energy of generated samples", reading.energy,
              fmt::format("mean over {} chains", reading.n_chains));
  add_activity(in, outcome);
  if (is_linear_gaussian(in.training.model.parameters)) judge_linear_gaussian(in, outcome);
  outcome.is_exact = in.config.sampling.mode == "ancestral";
  judge_chains(in, outcome);
  evaluate_live(in, outcome);
  judge_generation(in, outcome);
  if (in.config.evaluation.likelihood_data > 0) judge_likelihood(in, outcome);
  if (!in.config.evaluation.generation.empty()) judge_generation_modes(in, outcome);
  if (!in.config.evaluation.inpaint.empty() || !in.config.evaluation.denoise.empty()) judge_restoration(in, outcome);
  if (in.data.image) judge_receptive_fields(in, outcome);
  if (!in.config.evaluation.adaptation.empty()) judge_adaptation(in, outcome);
  training_figure(in, outcome);
  for (std::string& warning : hee_warnings(in.config, in.training.model.parameters, state))
    outcome.warnings.push_back(std::move(warning));
  write_metrics(in.folder, outcome);
  return outcome;
}

Report make_hee_report(const HeeEvaluationInput& in, const EvaluationOutcome& outcome,
                       const std::string& resolved_config) {
  const HeeParameters& p = in.training.model.parameters;
  Report report = report_of_results(outcome, resolved_config, in.backend);
  report.title = in.config.run.name;
  std::string layers;
  for (const HeeLayer& layer : p.layers)
    layers += fmt::format("{}{} {}", layers.empty() ? "" : ", ", layer.size, name_of(layer.family));
  report.summary = fmt::format("Hierarchical exponential-family model, from the observation up {}; on {}.", layers,
                               in.data.description);
  const InferenceConfig& c = in.config.inference;
  report.facts = {
      {"training", si(static_cast<double>(in.training.n_steps)),
       fmt::format("batches of {} data, {} steps of inference", in.config.training.batch_size, c.steps)},
      {"sampling", si(in.sampling.chain_steps),
       fmt::format("chain-steps of {} {} chains", in.sampling.first_bad_step.size(), in.config.sampling.mode)},
      {"interneurons", c.interneurons,
       c.interneurons == "sampled" ? fmt::format("tau_e / tau = {}", c.tau_ratio) : std::string("closed form")},
      {"quarantined", fmt::format("{}", in.sampling.n_quarantined),
       fmt::format("of {} chains", in.sampling.first_bad_step.size())}};
  return report;
}

}  // namespace tarn
