#include "tarn/training/trainer.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>

#include "tarn/core/diverged.hpp"
#include "tarn/core/interrupt.hpp"
#include "weight_watch.hpp"

namespace tarn {
namespace {

constexpr std::int64_t records_per_level = 50;
// Steps in one call of the session. A device is not waited for within it, so that it takes in an epoch of 60000 images in batches of 64.
constexpr std::int64_t longest_stretch = 1024;
constexpr double stretch_seconds = 0.5;    // at most: the progress bar stays lively, and so does the answer to a signal
constexpr std::int64_t look_steps = 1024;  // a look at the weights copies them: after so many steps,
constexpr double look_seconds = 10.0;      // or so much time

double rate_at(const TrainingPlan& plan, std::int64_t step_in_level, std::int64_t n_steps) {
  if (plan.schedule == LearningRateSchedule::constant) return plan.learning_rate;
  const double share = static_cast<double>(step_in_level) / static_cast<double>(n_steps);
  return plan.learning_rate * 0.5 * (1.0 + std::cos(std::numbers::pi * share));
}

void add(DsmLoss& sum, const DsmLoss& loss) {
  sum.loss += loss.loss;
  sum.excess += loss.excess;
  sum.gradient_norm += loss.gradient_norm;
}
DsmLoss mean(const DsmLoss& sum, std::int64_t n) {
  const auto count = static_cast<double>(n);
  return {sum.loss / count, sum.excess / count, sum.gradient_norm / count};
}

}  // namespace

std::vector<std::int64_t> share_steps(std::int64_t total, std::int64_t n_levels) {
  std::vector<std::int64_t> steps;
  for (std::int64_t l = 0; l < n_levels; ++l) steps.push_back((l + 1) * total / n_levels - l * total / n_levels);
  return steps;
}

DsmLevel level_of(const TrainingPlan& plan, std::size_t level) {
  const double sigma = plan.sigmas.at(level);
  if (!(sigma > 0.0) || !std::isfinite(sigma))
    fail_usage("training: noise level {} must be above 0, found {}", level, sigma);
  if (plan.antithetic && plan.batch_size % 2 != 0) {
    fail_usage("training.batch_size: antithetic noise needs an even batch, found {}", plan.batch_size);
  }
  DsmLevel l;
  l.sigma = sigma;
  l.antithetic = plan.antithetic;
  if (plan.output_scaling == OutputScaling::inverse_sigma) l.output_scale = 1.0 / sigma;
  if (plan.output_scaling == OutputScaling::inverse_sigma2) l.output_scale = 1.0 / (sigma * sigma);
  if (plan.output_scaling != OutputScaling::none) l.loss_scale = sigma * sigma;
  l.confinement_points = plan.confinement_points;
  l.confinement_pull = plan.confinement_pull;
  const double reach = plan.largest_norm + sigma * std::sqrt(static_cast<double>(plan.n_outputs));
  for (int i = 0; i < 2; ++i) l.confinement_radius[i] = plan.confinement_radius[i] * reach;
  return l;
}

SamplingNetwork train(TrainableModel& model, BatchSource& source, const TrainingPlan& plan,
                      const TrainingObserver& observer, const TrainingPosition& from) {
  require(plan.sigmas.size() == plan.steps_per_level.size(), "training: {} noise levels but {} step counts",
          plan.sigmas.size(), plan.steps_per_level.size());
  std::int64_t total = 0;
  for (const auto n : plan.steps_per_level) {
    if (n < 1) fail_usage("training.epochs: too few for {} noise levels, some would get no step", plan.sigmas.size());
    total += n;
  }

  WeightWatch watch;
  // What went wrong, and where; `where` is a step or a stretch of them.
  const auto stop = [&](const std::string& what, const std::string& where, std::size_t l) {
    std::string good = observer.last_good ? observer.last_good() : "";
    if (!good.empty()) good = "last good weights: " + good;
    if (good.empty()) good = l == 0 ? "no level ended before" : fmt::format("level {} ended well", l);
    fail_diverged(
        "training: {} at {} (level {} of {}, sigma {:.4g}); {}; {}; a lower training.optimizer.lr or "
        "training.optimizer.clip_norm may help",
        what, where, l + 1, plan.sigmas.size(), plan.sigmas[l], watch.last_norms(), good);
  };

  std::vector<float> rates;
  std::vector<DsmLoss> losses;
  TrainingPosition at = from;
  require(at.level >= 0 && at.level < std::ssize(plan.sigmas), "training: there is no level {} to go on from",
          at.level);
  if (!watch.check(model.network(), at.step)) {
    stop(fmt::format("{} are not finite", watch.fault()), fmt::format("the start, step {}", at.step),
         static_cast<std::size_t>(at.level));
  }
  std::int64_t looked = at.step;  // the step of the last look at the weights
  double since_look = 0.0;
  std::int64_t longest = 1;  // in steps; grows until a stretch takes its time
  for (auto l = static_cast<std::size_t>(at.level); l < plan.sigmas.size(); ++l) {
    const DsmLevel level = level_of(plan, l);
    const auto number = static_cast<std::int64_t>(l);
    const std::int64_t n = plan.steps_per_level[l];
    if (at.done == 0) {
      if (plan.restart_per_level) model.reset_optimizer();
      model.reset_average();
    }

    const std::int64_t record_every = std::max<std::int64_t>(n / records_per_level, 1);
    while (at.done < n) {
      const std::int64_t stretch = std::min(longest, n - at.done);
      rates.clear();
      for (std::int64_t i = 0; i < stretch; ++i) rates.push_back(static_cast<float>(rate_at(plan, at.done + i, n)));
      losses.resize(static_cast<std::size_t>(stretch));
      const auto start = std::chrono::steady_clock::now();
      model.run(source, level, plan.batch_size, plan.seed, at.step, rates, losses);
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      for (std::int64_t i = 0; i < stretch; ++i) {
        const DsmLoss& loss = losses[static_cast<std::size_t>(i)];
        if (!std::isfinite(loss.loss)) {
          stop(fmt::format("the loss is {}", loss.loss), fmt::format("step {}", at.step + i), l);
        }
        if (!std::isfinite(loss.gradient_norm)) {
          stop(fmt::format("the norm of the gradient is {}", loss.gradient_norm), fmt::format("step {}", at.step + i),
               l);
        }
        add(at.sum, loss);
        ++at.n_summed;
        const std::int64_t done = at.done + i + 1;
        if (done % record_every != 0 && done != n) continue;
        if (observer.record) {
          observer.record(
              {at.step + i + 1, number, level.sigma, rates[static_cast<std::size_t>(i)], mean(at.sum, at.n_summed)});
        }
        at.sum = {};
        at.n_summed = 0;
      }
      // Rectifiers turn NaN into 0, so that a bad gradient may pass the loss by; weights that it met stay bad.
      at.done += stretch;
      at.step += stretch;
      since_look += seconds;
      if (at.step - looked >= look_steps || since_look >= look_seconds || at.done == n) {
        if (!watch.check(model.network(), at.step)) {
          stop(fmt::format("{} are not finite", watch.fault()),
               fmt::format("one of the steps {} to {}", looked, at.step - 1), l);
        }
        looked = at.step;
        since_look = 0.0;
      }
      if (seconds < 0.5 * stretch_seconds) longest = std::min(2 * longest, longest_stretch);
      if (seconds > stretch_seconds) longest = std::max<std::int64_t>(longest / 2, 1);
      if (observer.progress) observer.progress(at.step, total, number, losses.back());
      if (at.done < n) {
        if (observer.pause) observer.pause(at, false);
        stop_if_interrupted();
      }
    }
    SamplingNetwork network = model.averaged_network();
    network.validate();
    if (observer.level_end) observer.level_end(number, at.step, network);
    ++at.level;
    at.done = 0;
    if (observer.pause) observer.pause(at, true);
    stop_if_interrupted();
    if (l + 1 == plan.sigmas.size()) return network;
  }
  fail_usage("training: no noise levels");
}

}  // namespace tarn
