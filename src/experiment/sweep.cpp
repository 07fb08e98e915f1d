#include "tarn/experiment/sweep.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "learning_study.hpp"
#include "measured_speed.hpp"
#include "run_end.hpp"
#include "sweep_point.hpp"
#include "sweep_results.hpp"
#include "tarn/core/interrupt.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/core/version.hpp"
#include "tarn/experiment/autotune.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/file.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;

std::vector<PreparedData> prepare_targets(Config& sweep) {
  std::vector<PreparedData> data;
  for (Config& target : sweep.targets) {
    data.push_back(prepare_data(target));
    resolve(target, facts_of(data.back()));
  }
  std::sort(sweep.sweep.neurons.begin(), sweep.sweep.neurons.end());
  const auto last = std::unique(sweep.sweep.neurons.begin(), sweep.sweep.neurons.end());
  sweep.sweep.neurons.erase(last, sweep.sweep.neurons.end());
  return data;
}

std::vector<std::int64_t> outputs_of(const std::vector<PreparedData>& data) {
  std::vector<std::int64_t> n;
  for (const PreparedData& d : data) n.push_back(d.n_outputs);
  return n;
}

// One sweep at work: laws are made ready when the first of their points comes up.
class Sweep {
 public:
  Sweep(const Config& config, std::vector<PreparedData> data, Backend& backend, const RunFolder& folder)
      : config_(config), data_(std::move(data)), backend_(backend), folder_(folder.path() / "points") {
    fs::create_directories(folder_);
    judges_.resize(data_.size());
    found_.points = points_of(config_, outputs_of(data_));
  }

  const SweepResults& run() {
    const auto n = found_.points.size();
    for (std::size_t i = 0; i < n; ++i) {
      const SweepPoint& point = found_.points[i];
      const std::string name = name_of(point, config_);
      const fs::path file = folder_ / (name + ".json");
      if (!fs::exists(file)) {
        stop_if_interrupted();
        const PointResult result = compute(point, name);
        write_file_atomically(file, point_line(result));
        info("{:>4}/{} {:<52} score error {:<9.3g} KL {:.3g}{}", i + 1, n, name, result.score_error, result.kl,
             result.n_lost > 0 ? fmt::format(", {} chains lost", result.n_lost) : "");
      }
      found_.results.push_back(read_point(file));
    }
    for (std::size_t t = 0; t < data_.size(); ++t) {
      found_.kl_floor.push_back(judge(t).kl_floor());
      found_.kl_floor_deviation.push_back(judge(t).kl_floor_deviation());
    }
    return found_;
  }

 private:
  const LawJudge& judge(std::size_t target) {
    auto& made = judges_[target];
    if (!made) made = std::make_unique<LawJudge>(config_.targets[target], data_[target], config_.sweep);
    return *made;
  }

  PointResult compute(const SweepPoint& point, const std::string& name) {
    const Config config = config_of(config_.targets[point.target], point);
    const LawJudge& law = judge(point.target);
    if (point.best_fit) {
      std::vector<SamplingNetwork> trained;
      for (const SweepPoint& other : found_.points) {
        if (other.target == point.target && other.kind == point.kind && !other.best_fit)
          trained.push_back(load_network(folder_ / (name_of(other, config_) + ".safetensors")));
      }
      return law.judge_best_fit(backend_, parse_model_kind(point.kind), config, trained);
    }
    PreparedData& data = data_[point.target];
    const std::uint64_t shared = std::exchange(data.seed, point.seed);  // batches of its own
    const SamplingNetwork network = train_point(config, data, backend_, name);
    data.seed = shared;
    save_network(folder_ / (name + ".safetensors"), network);
    const PreparedLevels prepared(backend_, {network});
    return law.judge(backend_, prepared[0], config);
  }

  const Config& config_;
  std::vector<PreparedData> data_;
  Backend& backend_;
  fs::path folder_;
  std::vector<std::unique_ptr<LawJudge>> judges_;
  SweepResults found_;
};

Report report_of(const Config& config, const SweepResults& found, const EvaluationOutcome& outcome,
                 const std::string& resolved, const Backend& backend) {
  Report report = report_of_results(outcome, resolved, backend);
  report.title = config.run.name;
  report.summary =
      fmt::format("Reservoir-sampler networks of {} to {} neurons on {} laws, {} seeds each.",
                  config.sweep.neurons.front(), config.sweep.neurons.back(), config.targets.size(), config.sweep.seeds);
  std::int64_t trained = 0;
  for (const SweepPoint& point : found.points) trained += point.best_fit ? 0 : 1;
  report.facts = {{"networks", fmt::format("{}", trained), "trained and judged"},
                  {"sizes", fmt::format("{}", config.sweep.neurons.size()), "of the reservoir"},
                  {"seeds", fmt::format("{}", config.sweep.seeds), fmt::format("from {} up", config.run.seed)}};
  report.statements.clear();  // those of a single run's draws
  // the figure first; the medians that metrics.jsonl lists stand in the tables of the laws
  ReportSection& results = report.sections.front();
  ReportSection figure{
      .heading = "Against the number of neurons",
      .text =
          "Score error: E |s - s*|² under the law smoothed by the last noise level. KL: of the stationary law where D "
          "= 1, by "
          "quadrature; else of the chains' last draws, over cells of equal probability, a lower bound.",
      .tables = {},
      .figures = std::move(results.figures),
      .preformatted = {}};
  results.figures.clear();
  results.tables = outcome.tables;
  report.sections.insert(report.sections.begin(), std::move(figure));
  return report;
}

bool is_learning(const Config& config) { return config.sweep.study == "learning"; }

Report report_of(const Config& config, const EvaluationOutcome& outcome, const std::string& resolved,
                 const Backend& backend) {
  Report report = report_of_results(outcome, resolved, backend);
  report.title = config.run.name;
  std::string names;
  for (const Config& target : config.targets) names += (names.empty() ? "" : ", ") + target.run.name;
  report.summary = fmt::format("Learning curves of {} on the same data, {} seeds each.", names, config.sweep.seeds);
  report.facts = {{"models", fmt::format("{}", config.targets.size()), names},
                  {"seeds", fmt::format("{}", config.sweep.seeds), fmt::format("from {} up", config.run.seed)},
                  {"test items", fmt::format("{}", config.sweep.test_items), "held out"}};
  report.statements.clear();  // those of a single run's draws
  return report;
}

// What a study of either kind leaves to its end.
struct Findings {
  EvaluationOutcome outcome;
  std::string csv;
  Report report;
};

void show(const FigureFile& file, const std::string& caption, EvaluationOutcome& outcome) {
  if (file) outcome.figures.push_back({file.svg, caption});
}

Findings find_learning(const Config& config, std::vector<PreparedData> data, const std::string& resolved,
                       Backend& backend, const RunFolder& folder) {
  const LearningStudy study = run_learning_study(config, std::move(data), backend, folder);
  EvaluationOutcome outcome = learning_outcome(config, study);
  show(draw(figure_learning(config, study), folder.figures()),
       "What each model has learned after so many updates (left) and so much processor time of training (right). Line "
       "and band: median and range over seeds. Likelihood and distance are of data held out; the reconstruction error "
       "is that of training. Dashed: independent normals with the data's moments, and draws of one Gaussian.",
       outcome);
  Report report = report_of(config, outcome, resolved, backend);
  return {std::move(outcome), learning_csv(config, study), std::move(report)};
}

Findings find_capacity(const Config& config, std::vector<PreparedData> data, const std::string& resolved,
                       Backend& backend, const RunFolder& folder) {
  Sweep sweep(config, std::move(data), backend, folder);
  const SweepResults& found = sweep.run();
  EvaluationOutcome outcome = summary_of(config, found);
  show(draw(figure_capacity(capacity_laws(config, found)), folder.figures()),
       "KL divergence from the law and error of the score, against the number of neurons. Line and band: median and "
       "range over seeds. Level lines: networks without a reservoir, trained (with their range) and the best that "
       "their class can do. Grey: what exact draws reach (mean + 2 standard deviations); values below it are drawn on "
       "it.",
       outcome);
  Report report = report_of(config, found, outcome, resolved, backend);
  return {std::move(outcome), points_csv(config, found), std::move(report)};
}

RunOutcome perform(const Config& config, std::vector<PreparedData> data, const std::string& resolved, Backend& backend,
                   const RunFolder& folder, Checkpoints& checkpoints, bool resumed,
                   std::chrono::steady_clock::time_point start) {
  RunTimes times;
  times.prepare = seconds_since(start);
  times.n_threads = backend.n_threads();
  times.resumed = resumed;
  const auto find = is_learning(config) ? find_learning : find_capacity;
  const Findings found = find(config, std::move(data), resolved, backend, folder);
  write_file_atomically(folder.path() / "points.csv", found.csv);
  fs::remove(folder.metrics());  // of an end that was interrupted
  write_metrics(folder, found.outcome);
  return end_run(folder, checkpoints, backend, found.report, found.outcome.metrics, times, start);
}

}  // namespace

RunOutcome run_sweep(Config config, const RunOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const auto backend = make_backend(config.run.device, options.n_threads, parse_precision(config.run.precision));
  if (options.profile) backend->capture_profile();
  std::vector<PreparedData> data = prepare_targets(config);
  const RunFolder folder = RunFolder::create(options.out, config.run.name);
  const LogFile log(folder.log().string());
  info("sweep {}", folder.path().string());
  info("tarn {} ({}), {} ({})", version(), commit(), backend->name(), backend->description());
  const std::string resolved = to_toml(config, config_header(config, *backend));
  write_file_atomically(folder.config(), resolved);
  for (std::size_t t = 0; t < data.size(); ++t) info("{}: {}", config.targets[t].run.name, data[t].description);
  begin_autotune(config, *backend, folder.path());
  Checkpoints checkpoints(folder.checkpoints(), config.checkpoint, checkpoint_facts(*backend, "sweep"));
  checkpoints.save({}, "begin");
  return perform(config, std::move(data), resolved, *backend, folder, checkpoints, false, start);
}

RunOutcome resume_sweep(const fs::path& path, const ResumeOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const RunFolder folder = RunFolder::open(path);
  const auto checkpoint = Checkpoints::latest(folder.checkpoints());
  if (!checkpoint) fail("{}: holds no checkpoint to go on from; start it again with tarn run", path.string());
  Config config = load_config(folder.config().string());
  const std::string resolved = read_text_file(folder.config());
  std::vector<PreparedData> data = prepare_targets(config);
  const bool any_machine = !is_learning(config) && std::all_of(data.begin(), data.end(),
                                                               [](const PreparedData& d) { return d.n_outputs <= 16; });
  const auto backend = resumed_backend(*checkpoint, options, any_machine);
  resume_autotune(config, *backend, folder.path(), *checkpoint, options.allow_inexact);
  const LogFile log(folder.log().string());
  info("sweep {} goes on", folder.path().string());
  info("tarn {} ({}), {} ({})", version(), commit(), backend->name(), backend->description());
  Checkpoints checkpoints(folder.checkpoints(), config.checkpoint, checkpoint_facts(*backend, "sweep"));
  return perform(config, std::move(data), resolved, *backend, folder, checkpoints, true, start);
}

std::vector<std::string> sweep_plan(Config config, const RunOptions& options) {
  const auto backend = make_backend(config.run.device, options.n_threads, parse_precision(config.run.precision));
  const std::vector<PreparedData> data = prepare_targets(config);
  if (is_learning(config)) {
    std::vector<std::string> lines = learning_plan(config, data);
    lines.insert(lines.begin(), fmt::format("device: {} ({})", backend->name(), backend->description()));
    return lines;
  }
  const std::vector<SweepPoint> points = points_of(config, outputs_of(data));
  std::vector<std::string> lines{fmt::format("device: {} ({})", backend->name(), backend->description())};
  double seconds = 0.0;
  for (std::size_t t = 0; t < data.size(); ++t) {
    Config target = config.targets[t];
    target.model.neurons = config.sweep.neurons.back();
    const TrainingPlan plan = training_plan(target, data[t]);
    std::int64_t steps = 0, networks = 0;
    for (const std::int64_t n : plan.steps_per_level) steps += n;
    const double D = static_cast<double>(data[t].n_outputs), flops = measured_flops(target, data[t], *backend);
    double work = 0.0;
    for (const SweepPoint& point : points) {
      if (point.target != t || point.best_fit) continue;
      ++networks;
      const auto N = static_cast<double>(point.neurons);
      work +=
          10.0 * D * N * static_cast<double>(steps) * static_cast<double>(plan.batch_size + plan.confinement_points);
      if (D > 1.0)
        work += 4.0 * D * N * static_cast<double>(target.sampling.chains) *
                static_cast<double>(target.sampling.steps + target.sampling.burn_in);
    }
    lines.push_back(fmt::format("{}: {}", target.run.name, data[t].description));
    lines.push_back(fmt::format("  {} networks, {} steps of {} each over {} noise levels{}", networks, steps,
                                plan.batch_size, plan.sigmas.size(),
                                D > 1.0 ? fmt::format("; {} chains of {} steps", target.sampling.chains,
                                                      target.sampling.steps + target.sampling.burn_in)
                                        : std::string("; the law by quadrature")));
    lines.push_back(fmt::format("  about {}, from {} measured just now", duration(work / flops), si(flops) + "flop/s"));
    seconds += work / flops;
  }
  lines.push_back(
      fmt::format("in all {} points, about {} and what the best fits take", points.size(), duration(seconds)));
  return lines;
}

std::vector<std::string> files_with_times(const Config& config) {
  std::vector<std::string> files{"log.txt", "report.html", "timing.jsonl"};
  if (is_sweep(config) && is_learning(config))
    files.insert(files.end(), {"report.json", "figures/learning.png", "figures/learning.svg"});
  return files;
}

}  // namespace tarn
