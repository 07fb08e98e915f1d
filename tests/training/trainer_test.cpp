// The trainer: what it tells the model at which step, what it reports, and how it stops.
#include "tarn/training/trainer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "message_of.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/models/initial_weights.hpp"

namespace tarn {
namespace {

using test::message_of;
using testing::HasSubstr;

class NormalSource final : public BatchSource {
 public:
  explicit NormalSource(std::int64_t n_columns) : n_columns_(n_columns) {}
  std::int64_t n_columns() const override { return n_columns_; }
  std::int64_t steps_per_epoch(std::int64_t) const override { return 10; }
  void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) override {
    fill_normals(4, Stream::synthetic_data, 0, static_cast<std::uint64_t>(first_step), n_steps, out);
  }

 private:
  std::int64_t n_columns_;
};

/// Writes down what it is told; the loss of step s is s, its excess -s.
class RecordingModel final : public TrainableModel {
 public:
  std::vector<float> rates;                                    ///< one a step
  std::vector<DsmLevel> levels;                                ///< one a step
  std::vector<std::int64_t> optimizer_resets, average_resets;  ///< steps taken before
  std::int64_t nan_at = -1, longest_call = 0;
  std::int64_t bad_gradient_at = -1, bad_weight_after = -1;

  void run(BatchSource&, const DsmLevel& level, std::int64_t batch_size, std::uint64_t seed, std::int64_t first_step,
           std::span<const float> learning_rates, std::span<DsmLoss> losses) override {
    EXPECT_EQ(batch_size, 32);
    EXPECT_EQ(seed, 77u);
    EXPECT_EQ(first_step, static_cast<std::int64_t>(rates.size())) << "steps run on over levels, without gaps";
    ASSERT_EQ(learning_rates.size(), losses.size());
    longest_call = std::max(longest_call, static_cast<std::int64_t>(losses.size()));
    for (std::size_t i = 0; i < losses.size(); ++i) {
      const auto step = static_cast<std::int64_t>(rates.size());
      losses[i].loss = step == nan_at ? std::nan("") : static_cast<double>(step);
      losses[i].excess = -static_cast<double>(step);
      losses[i].gradient_norm = step == bad_gradient_at ? std::nan("") : 2.0;
      rates.push_back(learning_rates[i]);
      levels.push_back(level);
    }
  }
  SamplingNetwork network() const override {
    SamplingNetwork n;
    n.W_in = n.b = Matrix<float>(1, 1);
    n.W_out = Matrix<float>(1, 2);
    n.W_in(0, 0) = 3.0f + static_cast<float>(rates.size());
    n.W_out(0, 0) = n.W_out(0, 1) = 2.0f;
    if (bad_weight_after >= 0 && static_cast<std::int64_t>(rates.size()) > bad_weight_after) {
      n.W_out(0, 1) = std::numeric_limits<float>::infinity();
    }
    return n;
  }
  SamplingNetwork averaged_network() const override {
    SamplingNetwork n;  // the smallest that passes validate
    n.n_outputs = 1;
    n.W_in = n.b = n.W_out = Matrix<float>(1, 1);
    n.sigma = levels.empty() ? 0.0 : levels.back().sigma;
    return n;
  }
  void reset_optimizer() override { optimizer_resets.push_back(static_cast<std::int64_t>(rates.size())); }
  void reset_average() override { average_resets.push_back(static_cast<std::int64_t>(rates.size())); }
  TrainingState state() const override { return {{}, static_cast<std::int64_t>(rates.size())}; }
  void restore(const TrainingState& state) override { rates.resize(static_cast<std::size_t>(state.n_updates)); }
};

TrainingPlan some_plan() {
  TrainingPlan plan;
  plan.sigmas = {1.0, 0.5, 0.1};
  plan.steps_per_level = {1000, 7, 300};
  plan.batch_size = 32;
  plan.seed = 77;
  plan.learning_rate = 2e-3;
  plan.n_outputs = 4;
  plan.largest_norm = 3.0;
  return plan;
}

TEST(ShareSteps, IsEvenAndComplete) {
  for (const std::int64_t total : {1, 9, 10, 11, 1000, 12345}) {
    for (const std::int64_t n : {1, 2, 3, 10, 33}) {
      const auto steps = share_steps(total, n);
      ASSERT_EQ(steps.size(), static_cast<std::size_t>(n));
      EXPECT_EQ(std::accumulate(steps.begin(), steps.end(), std::int64_t{0}), total);
      const auto [least, most] = std::minmax_element(steps.begin(), steps.end());
      EXPECT_LE(*most - *least, 1);
    }
  }
}

TEST(LevelOf, FollowsThePlan) {
  TrainingPlan plan = some_plan();
  plan.antithetic = true;
  plan.confinement_points = 8;
  plan.confinement_pull = 0.3;
  DsmLevel level = level_of(plan, 1);
  EXPECT_EQ(level.sigma, 0.5);
  EXPECT_EQ(level.output_scale, 1.0);
  EXPECT_EQ(level.loss_scale, 1.0);
  EXPECT_TRUE(level.antithetic);
  EXPECT_EQ(level.confinement_points, 8);
  EXPECT_EQ(level.confinement_pull, 0.3);
  EXPECT_DOUBLE_EQ(level.confinement_radius[0], 1.3 * (3.0 + 0.5 * 2.0));
  EXPECT_DOUBLE_EQ(level.confinement_radius[1], 13.0 * (3.0 + 0.5 * 2.0));
  plan.output_scaling = OutputScaling::inverse_sigma;
  level = level_of(plan, 1);
  EXPECT_DOUBLE_EQ(level.output_scale, 2.0);
  EXPECT_DOUBLE_EQ(level.loss_scale, 0.25);
  plan.output_scaling = OutputScaling::inverse_sigma2;
  level = level_of(plan, 1);
  EXPECT_DOUBLE_EQ(level.output_scale, 4.0);
  EXPECT_DOUBLE_EQ(level.loss_scale, 0.25);
  plan.batch_size = 31;
  EXPECT_THROW(level_of(plan, 1), UsageError) << "odd and antithetic";
  plan.batch_size = 32;
  for (const double wrong : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    plan.sigmas[1] = wrong;
    EXPECT_THROW(level_of(plan, 1), UsageError) << wrong;
  }
}

TEST(Trainer, RatesAndLevelsReachTheModelStepByStep) {
  for (const LearningRateSchedule schedule : {LearningRateSchedule::constant, LearningRateSchedule::cosine}) {
    TrainingPlan plan = some_plan();
    plan.schedule = schedule;
    RecordingModel model;
    NormalSource source(4);
    const SamplingNetwork last = train(model, source, plan, {});
    ASSERT_EQ(model.rates.size(), 1307u);
    EXPECT_EQ(last.sigma, 0.1);
    EXPECT_LE(model.longest_call, 1024) << "the progress bar stays lively";
    std::size_t step = 0;
    for (std::size_t l = 0; l < 3; ++l) {
      const std::int64_t n = plan.steps_per_level[l];
      for (std::int64_t i = 0; i < n; ++i, ++step) {
        const double share = static_cast<double>(i) / static_cast<double>(n);
        const double expected =
            schedule == LearningRateSchedule::constant ? 2e-3 : 2e-3 * 0.5 * (1.0 + std::cos(std::numbers::pi * share));
        ASSERT_FLOAT_EQ(model.rates[step], static_cast<float>(expected)) << "level " << l << " step " << i;
        ASSERT_EQ(model.levels[step].sigma, plan.sigmas[l]);
      }
    }
  }
}

TEST(Trainer, OptimiserRestartsWhereAskedAndTheMeanWithEachLevel) {
  for (const bool restart : {false, true}) {
    TrainingPlan plan = some_plan();
    plan.restart_per_level = restart;
    RecordingModel model;
    NormalSource source(4);
    train(model, source, plan, {});
    const std::vector<std::int64_t> starts{0, 1000, 1007};
    EXPECT_EQ(model.average_resets, starts);
    EXPECT_EQ(model.optimizer_resets, restart ? starts : std::vector<std::int64_t>{});
  }
}

TEST(Trainer, ReportsMeansOverStretchesThatCoverEveryStep) {
  const TrainingPlan plan = some_plan();
  RecordingModel model;
  NormalSource source(4);
  TrainingObserver observer;
  std::vector<TrainingRecord> records;
  std::vector<std::int64_t> ends, progress;
  std::vector<double> end_sigmas;
  observer.record = [&](const TrainingRecord& r) { records.push_back(r); };
  observer.level_end = [&](std::int64_t level, std::int64_t step, const SamplingNetwork& n) {
    EXPECT_EQ(level, static_cast<std::int64_t>(ends.size()));
    ends.push_back(step);
    end_sigmas.push_back(n.sigma);
  };
  observer.progress = [&](std::int64_t step, std::int64_t total, std::int64_t, const DsmLoss& loss) {
    EXPECT_EQ(total, 1307);
    EXPECT_EQ(loss.loss, static_cast<double>(step - 1));
    progress.push_back(step);
  };
  train(model, source, plan, observer);
  EXPECT_EQ(ends, (std::vector<std::int64_t>{1000, 1007, 1307}));
  EXPECT_EQ(end_sigmas, plan.sigmas);
  EXPECT_EQ(progress.back(), 1307);
  std::int64_t from = 0;
  std::map<std::int64_t, int> count;
  for (const TrainingRecord& r : records) {
    ASSERT_GT(r.step, from);
    // losses are the numbers of the steps: their mean over [from, step)
    EXPECT_NEAR(r.loss.loss, 0.5 * static_cast<double>(from + r.step - 1), 1e-9);
    EXPECT_NEAR(r.loss.excess, -r.loss.loss, 1e-9);
    EXPECT_EQ(r.loss.gradient_norm, 2.0);
    EXPECT_EQ(r.sigma, plan.sigmas[static_cast<std::size_t>(r.level)]);
    EXPECT_FLOAT_EQ(static_cast<float>(r.learning_rate), model.rates[static_cast<std::size_t>(r.step - 1)]);
    from = r.step;
    ++count[r.level];
  }
  EXPECT_EQ(from, 1307);
  EXPECT_EQ(count[0], 50);
  EXPECT_EQ(count[1], 7);
  EXPECT_EQ(count[2], 50);
}

TEST(Trainer, ALossThatIsNotFiniteStopsItAndSaysWhere) {
  for (const auto& [step, parts] :
       {std::pair{5, std::vector<std::string>{"nan at step 5", "level 1 of 3", "sigma 1", "no level ended before"}},
        std::pair{1003,
                  std::vector<std::string>{"nan at step 1003", "level 2 of 3", "sigma 0.5", "level 1 ended well"}}}) {
    RecordingModel model;
    model.nan_at = step;
    NormalSource source(4);
    int ended = 0;
    TrainingObserver observer;
    observer.level_end = [&](std::int64_t, std::int64_t, const SamplingNetwork&) { ++ended; };
    const std::string message = message_of([&] { train(model, source, some_plan(), observer); });
    for (const std::string& part : parts) EXPECT_THAT(message, HasSubstr(part));
    EXPECT_EQ(ended, step < 1000 ? 0 : 1);
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(Trainer, GradientsAndWeightsThatAreNotFiniteStopItToo) {
  const auto message_with = [](RecordingModel& model, const std::string& file) {
    NormalSource source(4);
    TrainingObserver observer;
    observer.last_good = [&] { return file; };
    return message_of([&] { train(model, source, some_plan(), observer); });
  };
  // the weights were last looked at when level 1 ended
  RecordingModel gradient;
  gradient.bad_gradient_at = 1003;
  EXPECT_EQ(
      message_with(gradient, "level-00.safetensors"),
      "training: the norm of the gradient is nan at step 1003 (level 2 of 3, sigma 0.5); weights at step 1000: |W_in| "
      "= 1003, |b| = 0, |W_out| = 2.828; last good weights: level-00.safetensors; a lower training.optimizer.lr or "
      "training.optimizer.clip_norm may help");
  // calls of 1, 2, 4 ... 512 and then 1024 steps: the first look at the weights after 1024 of them or more is at step 2047
  RecordingModel weight;
  weight.bad_weight_after = 2505;
  NormalSource source(4);
  TrainingPlan plan = some_plan();
  plan.steps_per_level[0] = 3000;
  EXPECT_EQ(
      message_of([&] { train(weight, source, plan, {}); }),
      "training: 1 of the 2 values of W_out are not finite at one of the steps 2047 to 2999 (level 1 of 3, sigma 1); "
      "weights at step 2047: |W_in| = 2050, |b| = 0, |W_out| = 2.828; no level ended before; a lower "
      "training.optimizer.lr or training.optimizer.clip_norm may help");
}

// A datum that is NaN from step 130 on, as a source of one's own may have: the loss shows it at that very step.
TEST(Trainer, ANanInTheDataIsNoticedAtItsStep) {
  class Spoiled final : public BatchSource {
   public:
    std::int64_t n_columns() const override { return 2; }
    std::int64_t steps_per_epoch(std::int64_t) const override { return 10; }
    void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) override {
      NormalSource(2).fill(first_step, n_steps, out);
      const std::int64_t batch = out.rows / n_steps;
      for (std::int64_t s = std::max<std::int64_t>(130 - first_step, 0); s < n_steps; ++s)
        out(s * batch + 5, 1) = std::numeric_limits<float>::quiet_NaN();
    }
  };
  for (const Nonlinearity phi : {Nonlinearity::relu, Nonlinearity::tanh}) {
    const auto backend = make_cpu_backend(1);
    const auto model = make_trainable(*backend, initial_network(ModelKind::reservoir_sampler, phi, 2, 0, 32, 1), {});
    TrainingPlan plan = some_plan();
    plan.steps_per_level = {60, 100, 60};
    plan.n_outputs = 2;
    Spoiled source;
    EXPECT_THAT(
        message_of([&] { train(*model, source, plan, {}); }),
        AllOf(HasSubstr("the loss is nan at step 130 (level 2 of 3, sigma 0.5)"), HasSubstr("weights at step 60: ")));
  }
}

TEST(Trainer, RefusesPlansThatMakeNoSense) {
  RecordingModel model;
  NormalSource source(4);
  TrainingPlan plan = some_plan();
  plan.steps_per_level.pop_back();
  EXPECT_THROW(train(model, source, plan, {}), Error);
  plan = some_plan();
  plan.steps_per_level[1] = 0;
  EXPECT_THROW(train(model, source, plan, {}), UsageError);
  EXPECT_TRUE(model.rates.empty());
}

// With a model that learns: what comes back is the running mean of the last level, the stored weights are plain, and a rate
// without measure is noticed.
TEST(Trainer, TrainsARealNetwork) {
  const auto backend = make_cpu_backend(1);
  const SamplingNetwork initial = initial_network(ModelKind::reservoir_sampler, Nonlinearity::relu, 2, 0, 32, 1);
  OptimizerSettings settings;
  settings.ema = 0.9;
  TrainingPlan plan = some_plan();
  plan.steps_per_level = {60, 60, 60};
  plan.n_outputs = 2;
  plan.output_scaling = OutputScaling::inverse_sigma2;
  NormalSource source(2);
  const auto model = make_trainable(*backend, initial, settings);
  std::vector<SamplingNetwork> levels;
  TrainingObserver observer;
  observer.level_end = [&](std::int64_t, std::int64_t, const SamplingNetwork& n) { levels.push_back(n); };
  const SamplingNetwork last = train(*model, source, plan, observer);
  ASSERT_EQ(levels.size(), 3u);
  for (std::size_t l = 0; l < 3; ++l) {
    EXPECT_EQ(levels[l].sigma, plan.sigmas[l]);
    levels[l].validate();
  }
  EXPECT_EQ(last.W_out, levels[2].W_out);
  EXPECT_EQ(last.W_out, model->averaged_network().W_out);
  EXPECT_NE(last.W_out, model->network().W_out);

  // Rates that explode, in small networks and in those of matrix products: an error always, whichever of loss and weights shows
  // it first, and no level of such weights is ever handed on.
  plan.learning_rate = 1e30;
  for (const std::int64_t D : {2, 20}) {
    for (const Nonlinearity phi : {Nonlinearity::relu, Nonlinearity::tanh}) {
      NormalSource wide(D);
      plan.n_outputs = D;
      const auto wild =
          make_trainable(*backend, initial_network(ModelKind::reservoir_sampler, phi, D, 0, 32, 1), settings);
      observer.level_end = [](std::int64_t, std::int64_t, const SamplingNetwork& n) { n.validate(); };
      const std::string message = message_of([&] { train(*wild, wide, plan, observer); });
      EXPECT_THAT(message, HasSubstr("training.optimizer.lr")) << D << " " << name_of(phi);
    }
  }
}

}  // namespace
}  // namespace tarn
