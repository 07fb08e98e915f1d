#include "learning_point.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>

#include "json_number.hpp"
#include "likelihood_settings.hpp"
#include "tarn/core/diverged.hpp"
#include "tarn/core/error.hpp"
#include "tarn/evaluation/set_comparison.hpp"
#include "tarn/experiment/hee_model.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/file.hpp"
#include "tarn/models/energy_model.hpp"
#include "tarn/models/hee_model.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double first_look = 1.0 / 64.0;  // share of the training

void require_finite(const HeeParameters& model, std::int64_t step) {
  const auto is_finite = [](const Matrix<float>& m) {
    return std::all_of(m.data(), m.data() + m.size(), [](float v) { return std::isfinite(v); });
  };
  if (!std::ranges::all_of(model.W, is_finite) || !std::ranges::all_of(model.b, is_finite))
    fail_diverged("training: weights are not finite at step {}", step);
}

// Judges one model at its looks, and keeps the time that training alone takes.
class Looks {
 public:
  Looks(const Config& config, const HeldOut& data, Backend& backend,
        const std::function<void(const LearningLook&)>& looked, LearningResult& result)
      : config_(config), data_(data), backend_(backend), looked_(looked), result_(result) {
    n_judged_ = std::min(config.evaluation.likelihood_data, data.test.rows());
    if (n_judged_ == 0) n_judged_ = data.test.rows();
    start();
  }

  void start() { started_ = std::clock(); }
  void stop() { seconds_ += static_cast<double>(std::clock() - started_) / CLOCKS_PER_SEC; }

  void look(std::int64_t step, double reconstruction, const SamplingNetwork& network) {
    stop();
    LearningLook found;
    found.step = step;
    found.reconstruction = reconstruction;
    const LogPartition log_z =
        annealed_log_partition(network, data_.base, annealing_of(config_.evaluation), config_.run.seed);
    const std::vector<double> F = free_energies(network, data_.test.view().slice(0, n_judged_));
    found.log_likelihood = -log_z.value;
    for (const double f : F) found.log_likelihood -= f / static_cast<double>(F.size());
    found.log_likelihood_error = log_z.standard_error;
    found.effective = log_z.effective_chains;
    const SamplingSetup setup = make_sampling(config_, data_.training, {network}, backend_);
    compare(run_chains(backend_, setup.run, nullptr).last_draw, found);
    take(found);
  }

  void look(std::int64_t step, double reconstruction, const HeeParameters& model) {
    stop();
    require_finite(model, step);  // which the trainer itself looks at where it keeps a record
    LearningLook found;
    found.step = step;
    found.reconstruction = reconstruction;
    const LikelihoodEstimate estimate = annealed_log_likelihood(model, data_.test.view().slice(0, n_judged_),
                                                                annealing_of(config_.evaluation), config_.run.seed);
    found.log_likelihood = estimate.mean;
    found.log_likelihood_error = estimate.mean_error;
    found.effective = *std::ranges::min_element(estimate.effective_chains);
    compare(draw_ancestral(model, config_.run.seed, 0, 0, config_.sampling.chains)[0], found);
    take(found);
  }

 private:
  void compare(const Matrix<float>& draws, LearningLook& found) const {
    const SetComparison set = compare_sets(draws, data_.test, config_.run.seed);
    found.frechet = set.frechet.value;
    found.sliced_w2 = set.sliced_w2.value;
  }
  void take(const LearningLook& found) {
    result_.looks.push_back(found);
    result_.seconds.push_back(seconds_);
    if (looked_) looked_(found);
    start();
  }

  const Config& config_;
  const HeldOut& data_;
  Backend& backend_;
  const std::function<void(const LearningLook&)>& looked_;
  LearningResult& result_;
  std::int64_t n_judged_ = 0;
  double seconds_ = 0.0;
  std::clock_t started_ = 0;
};

// A level for each look: contrastive divergence takes nothing from it, and the trainer stops there exactly.
TrainingPlan plan_with_looks(const Config& config, const PreparedData& data, const std::vector<std::int64_t>& steps) {
  TrainingPlan plan = training_plan(config, data);
  plan.sigmas.assign(steps.size(), plan.sigmas.front());
  plan.steps_per_level.clear();
  for (std::size_t i = 0; i < steps.size(); ++i) plan.steps_per_level.push_back(steps[i] - (i > 0 ? steps[i - 1] : 0));
  plan.restart_per_level = false;
  return plan;
}

void train_energy(const Config& config, const HeldOut& data, Backend& backend, const std::vector<std::int64_t>& steps,
                  Looks& looks, LearningResult& result) {
  const TrainingPlan plan = plan_with_looks(config, data.training, steps);
  const auto model = make_training(config, data.training, plan, backend);
  const SamplingNetwork start = model->network();
  result.n_weights = start.W_in.size() + start.b.size() + start.a.size() + start.v.size();
  const auto source = data.training.batches();
  double reconstruction = nan;
  TrainingObserver observer;
  observer.record = [&](const TrainingRecord& record) { reconstruction = record.loss.loss; };
  observer.level_end = [&](std::int64_t, std::int64_t step, const SamplingNetwork& network) {
    looks.look(step, reconstruction, network);
  };
  train(*model, *source, plan, observer);
}

void train_hierarchical(const Config& config, const HeldOut& data, Backend& backend,
                        const std::vector<std::int64_t>& steps, Looks& looks, LearningResult& result) {
  const HeeTrainingPlan plan = hee_training_plan(config, data.training);
  const HeeModel model = starting_hee(config, data.training);
  for (const auto& W : model.parameters.W) result.n_weights += W.size();
  if (config.training.biases) {
    for (const auto& b : model.parameters.b) result.n_weights += b.size();
  }
  const auto session = backend.make_hee_session(model.parameters, hee_optimizer(config));
  const auto source = data.training.batches();
  double reconstruction = nan;
  HeeTrainingObserver observer;
  observer.record = [&](const HeeRecord& record) { reconstruction = record.reading.reconstruction; };
  observer.pause = [&](const HeeTrainingPosition& at) {
    if (std::ranges::binary_search(steps, at.step)) looks.look(at.step, reconstruction, session->parameters());
  };
  train_hee(*session, *source, plan, observer);
  looks.look(plan.n_steps, reconstruction, session->parameters());
}

}  // namespace

HeldOut hold_out(PreparedData data, std::int64_t n_test) {
  const std::int64_t n = data.rows.rows() - n_test, D = data.rows.cols();
  if (data.target || data.patches) fail_usage("sweep.study: a learning study needs a data set, not fresh draws");
  if (n < n_test) {
    fail_usage("sweep.test_items: {} of {} items leave {} to train on; allowed: half of them or fewer", n_test,
               data.rows.rows(), std::max<std::int64_t>(n, 0));
  }
  HeldOut out{std::move(data), Matrix<float>(n_test, D), {}};
  Matrix<float> rows(n, D);
  std::copy_n(out.training.rows.data(), rows.size(), rows.data());
  std::copy_n(out.training.rows.row(n), out.test.size(), out.test.data());
  out.training.rows = std::move(rows);
  if (!out.training.labels.empty()) out.training.labels.resize(static_cast<std::size_t>(n));
  out.base = gaussian_base(out.training.rows);
  return out;
}

bool diverged(const LearningResult& result) {
  if (!result.stopped.empty() || result.looks.empty()) return true;
  return !(result.looks.back().log_likelihood > result.looks.front().log_likelihood);
}

std::string learning_line(const LearningResult& result) {
  nlohmann::ordered_json line;
  line["weights"] = result.n_weights;
  line["stopped"] = result.stopped;
  line["looks"] = nlohmann::ordered_json::array();
  for (const LearningLook& look : result.looks) {
    nlohmann::ordered_json one;
    one["step"] = look.step;
    one["log_likelihood"] = json_number(look.log_likelihood);
    one["log_likelihood_error"] = json_number(look.log_likelihood_error);
    one["effective"] = json_number(look.effective);
    one["reconstruction"] = json_number(look.reconstruction);
    one["frechet"] = json_number(look.frechet);
    one["sliced_w2"] = json_number(look.sliced_w2);
    line["looks"].push_back(std::move(one));
  }
  return line.dump() + "\n";
}

LearningResult read_learning(const std::filesystem::path& path) {
  try {
    const auto line = nlohmann::json::parse(read_text_file(path));
    LearningResult result;
    result.n_weights = line.at("weights");
    result.stopped = line.at("stopped");
    for (const auto& one : line.at("looks")) {
      result.looks.push_back({one.at("step"), number_of(one.at("log_likelihood")),
                              number_of(one.at("log_likelihood_error")), number_of(one.at("effective")),
                              number_of(one.at("reconstruction")), number_of(one.at("frechet")),
                              number_of(one.at("sliced_w2"))});
    }
    return result;
  } catch (const nlohmann::json::exception& error) {
    fail("{}: not a point of a learning study ({}); remove it, and it is computed again", path.string(), error.what());
  }
}

std::vector<std::int64_t> look_steps(std::int64_t n_steps, std::int64_t n_looks) {
  std::vector<std::int64_t> steps;
  for (std::int64_t k = 0; k < n_looks; ++k) {
    const double share = std::pow(first_look, 1.0 - static_cast<double>(k) / static_cast<double>(n_looks - 1));
    steps.push_back(std::max<std::int64_t>(1, std::llround(share * static_cast<double>(n_steps))));
  }
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  return steps;
}

std::int64_t learning_steps(const Config& config, const PreparedData& data) {
  if (is_hee(config.model)) return hee_training_plan(config, data).n_steps;
  return training_plan(config, data).steps_per_level.front();
}

LearningResult train_and_look(const Config& config, const HeldOut& data, Backend& backend, std::int64_t n_looks,
                              const std::function<void(const LearningLook&)>& looked) {
  const std::vector<std::int64_t> steps = look_steps(learning_steps(config, data.training), n_looks);
  LearningResult result;
  Looks looks(config, data, backend, looked, result);
  try {
    if (is_hee(config.model)) {
      train_hierarchical(config, data, backend, steps, looks, result);
    } else {
      train_energy(config, data, backend, steps, looks, result);
    }
  } catch (const Diverged& error) {
    result.stopped = error.what();
  }
  return result;
}

}  // namespace tarn
