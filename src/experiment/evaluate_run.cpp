#include "tarn/experiment/evaluate_run.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "hee_run.hpp"
#include "json_number.hpp"
#include "run_files.hpp"
#include "tarn/core/log.hpp"
#include "tarn/evaluation/moments.hpp"
#include "tarn/evaluation/one_dimensional.hpp"
#include "tarn/experiment/runner.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/file.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/training/pca.hpp"

namespace tarn {
namespace {

constexpr std::int64_t most_components = 100, most_marginals = 8;

// The figures of training that metrics.jsonl holds; lines of other kinds, and what a reader of text might have broken, are left out.
std::vector<TrainingRecord> training_records(const std::filesystem::path& metrics) {
  std::vector<TrainingRecord> records;
  for (const auto& line : json_lines(metrics)) {
    if (line.value("kind", nlohmann::json()) != "training") continue;
    TrainingRecord record;
    const double step = number_at(line, "step"), level = number_at(line, "level");
    record.sigma = number_at(line, "sigma");
    if (!std::isfinite(record.sigma) || !std::isfinite(step) || !std::isfinite(level)) continue;
    record.step = static_cast<std::int64_t>(step);
    record.level = static_cast<std::int64_t>(level);
    record.loss.loss = number_at(line, "loss");
    record.loss.excess = number_at(line, "excess_loss");
    records.push_back(record);
  }
  return records;
}

// The state of a run after its last step, as files hold it: draws in filter space, shift and scale undone.
SamplingOutcome stored_sampling(const PreparedData& data, const SamplingSetup& setup,
                                const std::filesystem::path& samples) {
  if (!std::filesystem::exists(samples))
    fail("{}: missing; a run is evaluated by its merged draws (sampling.merge, or `tarn merge`)", samples.string());
  const DrawReader reader(samples);
  if (reader.n_dims() != data.n_outputs || reader.n_chains() != setup.run.n_chains) {
    fail("{}: holds {} chains of {} dimensions, the config has {} of {}", samples.string(), reader.n_chains(),
         reader.n_dims(), setup.run.n_chains, data.n_outputs);
  }
  SamplingOutcome outcome;
  outcome.last_draw = reader.draw(-1);
  outcome.result.last_draw = from_file_units(data, outcome.last_draw);
  outcome.result.first_bad_step = reader.first_bad_step();
  outcome.result.n_quarantined = std::count_if(outcome.result.first_bad_step.begin(),
                                               outcome.result.first_bad_step.end(), [](auto s) { return s >= 0; });
  outcome.result.n_draws = reader.n_draws();
  outcome.draws_file = samples;
  outcome.stages = setup.run.stages;
  outcome.result.chain_steps = static_cast<double>(n_steps(outcome.stages)) * static_cast<double>(reader.n_chains());
  if (!setup.inputs.empty()) {
    outcome.inputs = Matrix<float>(setup.run.n_chains, setup.inputs.cols());
    std::copy_n(setup.inputs.row((setup.run.n_input_pieces - 1) * setup.run.n_chains), outcome.inputs.size(),
                outcome.inputs.data());
  }
  outcome.clamp = setup.clamp;
  return outcome;
}

// In principal components; a chain that was lost stays lost.
Matrix<float> components(const Filter& pca, MatrixView<const float> x) {
  Matrix<float> out = pca.apply(x);
  for (std::int64_t i = 0; i < x.rows; ++i) {
    if (!std::all_of(x.row(i), x.row(i) + x.cols, [](float v) { return std::isfinite(v); }))
      std::fill_n(out.row(i), out.cols(), std::numeric_limits<float>::quiet_NaN());
  }
  return out;
}

void evaluate_against(const EvaluationInput& in, const std::filesystem::path& path, EvaluationOutcome& out) {
  const Matrix<float> real = read_npy_matrix(path);
  const std::int64_t P = in.data.filter->n_inputs();
  if (real.cols() != P) {
    fail_usage("{}: has {} columns, the run's data have {}; allowed: an array [n, {}] in the data's own units",
               path.string(), real.cols(), P, P);
  }
  if (real.rows() < 4) fail_usage("{}: has {} rows; a comparison needs four or more", path.string(), real.rows());
  for (std::int64_t i = 0; i < real.size(); ++i) {
    if (!std::isfinite(real.data()[i]))
      fail("{}: row {} holds {}; data must be finite", path.string(), i / P, real.data()[i]);
  }
  const Matrix<float> draws = in.data.to_data_units(in.sampling.result.last_draw);
  if (draws.rows() == in.sampling.result.n_quarantined) {
    out.warnings.push_back("no chain is left: the draws were not judged");
    return;
  }
  for (std::int64_t d = 0; d < std::min(P, most_marginals); ++d) {
    const std::vector<float> ours = column(draws, d), theirs = column(real, d);
    const Moments a = moments(ours), b = moments(theirs);
    out.add(fmt::format("mean_{}", d), fmt::format("mean of x_{}", d), a.mean, fmt::format("file: {:.4g}", b.mean));
    out.add(fmt::format("variance_{}", d), fmt::format("variance of x_{}", d), a.variance,
            fmt::format("file: {:.4g}", b.variance));
    out.add(fmt::format("excess_kurtosis_{}", d), fmt::format("excess kurtosis of x_{}", d), a.excess_kurtosis,
            fmt::format("file: {:.4g}", b.excess_kurtosis));
    out.add(fmt::format("w1_{}", d), fmt::format("W1 along x_{}", d), wasserstein_1(ours, theirs).value);
  }
  if (P > most_marginals)
    out.warnings.push_back(fmt::format("marginals are shown for the first {} of {} components", most_marginals, P));
  if (P <= 2) {
    add_set_comparison(draws, real, "against", "against the file", in.config.run.seed, out);
    return;
  }
  const std::int64_t K = std::min({P, most_components, real.rows() - 1});
  const bool own = in.data.filter->kind() == "pca";
  std::shared_ptr<const Filter> pca = in.data.filter;
  Matrix<float> left, right;
  if (own) {  // a run's PCA follows the scaling of each datum
    left = in.sampling.last_draw;
    right = real;
    in.data.datum_scaling.apply(right);
    right = pca->apply(right);
  } else {
    pca = std::make_shared<PcaFilter>(fit_pca(real, K));
    left = components(*pca, draws);
    right = pca->apply(real);
  }
  add_set_comparison(left, right, "pca_space",
                     fmt::format("in {} PCA space, D = {}", own ? "the run's" : "the file's", right.cols()),
                     in.config.run.seed, out);
}

}  // namespace

EvaluatedRun evaluate_run(const std::filesystem::path& path, const EvaluateOptions& options) {
  if (is_hee(load_config(RunFolder::open(path).config().string()).model)) return evaluate_hee_run(path, options);
  const bool against = !options.against.empty();
  StoredRun run = load_run(path, options.overrides);
  const RunFolder original = RunFolder::open(path);
  const auto backend =
      make_backend(run.config.run.device, options.n_threads, parse_precision(run.config.run.precision));
  // The data themselves are needed for a judgement by the run's own; a file of data takes their place.
  if (!against) {
    run.data = prepare_data_with(run.data, run.config);
    resolve(run.config, facts_of(run.data));
  }
  Config setup_config = run.config;
  if (against) {  // chains are not run: where they started, and what was held, does not matter
    setup_config.sampling.initial.kind = std::string("normal");
    setup_config.sampling.initial.space = std::string("x");
    setup_config.sampling.condition.clear();
    setup_config.sampling.clamp.clear();
    setup_config.sampling.record.reservoir = false;
    setup_config.sampling.noise = std::string("output");
    require(run.data.n_inputs == 0, "{}: draws given inputs cannot be judged against a file without them",
            path.string());
  }
  const SamplingSetup setup = make_sampling(setup_config, run.data, run.levels, *backend);
  SamplingOutcome sampling = stored_sampling(run.data, setup, original.samples_file());
  if (!against) sampling.drift = check_drift(setup_config, setup.run, run.data.rows);
  TrainingOutcome training;
  training.levels = run.levels;
  training.records = training_records(original.metrics());
  if (!training.records.empty()) training.n_steps = training.records.back().step;

  const RunFolder folder = original.create_evaluation();
  const EvaluationInput input{run.config, run.data, training, sampling, *backend, folder};
  EvaluationOutcome outcome;
  try {
    if (against) {
      outcome.add("chains_quarantined", "chains quarantined", static_cast<double>(sampling.result.n_quarantined),
                  fmt::format("of {}", sampling.last_draw.rows()));
      evaluate_against(input, options.against, outcome);
      write_metrics(input.folder, outcome);
    } else {
      outcome = evaluation_stage(input);
    }
  } catch (...) {
    std::filesystem::remove_all(folder.path());  // nothing half-written
    throw;
  }
  write_report(folder.report(), make_report(input, outcome, to_toml(run.config)));
  info("the report is {}", folder.report().string());
  return {folder.path(), outcome.metrics};
}

}  // namespace tarn
