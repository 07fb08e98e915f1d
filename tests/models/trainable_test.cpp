// Training steps of all three kinds against a float64 restatement that draws its noise from the documented addresses.
#include "tarn/models/trainable.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <ostream>

#include "models/networks.hpp"
#include "models/reference.hpp"
#include "tarn/compute/trained_skew.hpp"
#include "tarn/core/batch_source.hpp"
#include "tarn/models/initial_weights.hpp"

namespace tarn {
namespace {

using test::Array;
using test::Reference;

constexpr std::uint64_t seed = 11;

/// Gaussian rows, a pure function of step and row.
class GaussianSource final : public BatchSource {
 public:
  GaussianSource(std::int64_t n_columns, float mean, float std) : n_columns_(n_columns), mean_(mean), std_(std) {}
  std::int64_t n_columns() const override { return n_columns_; }
  std::int64_t steps_per_epoch(std::int64_t) const override { return 100; }
  void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) override {
    fill_normals(99, Stream::synthetic_data, 0, static_cast<std::uint64_t>(first_step), n_steps, out);
    for (std::int64_t i = 0; i < out.size(); ++i) out.data[i] = mean_ + std_ * out.data[i];
  }

 private:
  std::int64_t n_columns_;
  float mean_, std_;
};

struct Setting {
  const char* name;
  OptimizerSettings optimizer;
  DsmLevel level;
};

std::vector<Setting> settings() {
  std::vector<Setting> all(6);
  for (auto& s : all) s.level.sigma = 0.6;
  all[0].name = "adam";
  all[0].optimizer.weight_decay = 1e-2;
  all[1].name = "amsgrad";
  // a short memory of second moments, so that they fall as well as rise and the largest one matters within a few steps
  all[1].optimizer = {.beta1 = 0.8, .beta2 = 0.6, .weight_decay = 1e-2, .amsgrad = true};
  all[2].name = "adamw";
  all[2].optimizer = {.kind = OptimizerKind::adamw, .weight_decay = 0.3};
  all[3].name = "antithetic";
  all[3].level.antithetic = true;
  all[4].name = "clipped";
  all[4].optimizer.clip_norm = 0.5;
  all[5].name = "averaged";
  all[5].optimizer.ema = 0.9;
  return all;
}

/// The trained arrays of a network in double, in one order for all kinds.
std::vector<Array> arrays_of(const SamplingNetwork& n) {
  if (n.kind == ModelKind::reservoir_sampler) {
    return {test::to_double(n.W_in), test::to_double(n.b), test::to_double(n.W_out)};
  }
  return {test::to_double(n.W_in), test::to_double(n.b), test::to_double(n.gamma), test::to_double(n.S)};
}

/// What training does, step by step, in float64.
class ReferenceTraining {
 public:
  ReferenceTraining(const SamplingNetwork& initial, const OptimizerSettings& optimizer)
      : initial_(initial), optimizer_(optimizer), weights(arrays_of(initial)), average(weights) {
    reset_optimizer();
  }

  /// Weights are V: those of the network are `output_scale V`. Returns the loss.
  DsmLoss step(BatchSource& source, const DsmLevel& level, std::int64_t B, std::int64_t number, double lr) {
    const std::int64_t D = initial_.n_outputs, pair = level.antithetic ? 2 : 1;
    Matrix<float> data(B / pair, source.n_columns()), noise(B / pair, D);
    source.fill(number, 1, data);
    fill_normals(seed, Stream::training_noise, 0, static_cast<std::uint64_t>(number), 1, noise);
    test::ReferenceBatch batch{Array(B, source.n_columns()), Array(B, D), level.sigma};
    for (std::int64_t i = 0; i < B; ++i) {
      for (std::int64_t k = 0; k < source.n_columns(); ++k) batch.x(i, k) = data(i / pair, k);
      const double sign = level.antithetic && i % 2 == 1 ? -1.0 : 1.0;
      for (std::int64_t d = 0; d < D; ++d) batch.xi(i, d) = sign * noise(i / pair, d);
    }
    const test::ReferenceMath exact(initial_.phi);
    std::vector<Array> gradients;
    Reference r;
    if (initial_.kind == ModelKind::reservoir_sampler) {
      r = exact.reservoir({weights[0], weights[1], level.output_scale * weights[2]}, batch);
      gradients = {r.dW_in, r.db, level.output_scale * r.dW_out};
    } else {
      r = exact.sampler_only(initial_.kind, {weights[0], weights[1], weights[2], weights[3]}, batch);
      gradients = {r.dW, r.db, r.dgamma, r.dS};
    }
    DsmLoss loss{r.loss, r.excess, 0.0};
    double square = 0.0;
    for (Array& g : gradients) {
      g = level.loss_scale * g;
      square += test::sum(test::times(g, g));
    }
    if (optimizer_.clip_norm > 0.0) {
      loss.gradient_norm = std::sqrt(square);
      for (Array& g : gradients) g = std::min(1.0, optimizer_.clip_norm / loss.gradient_norm) * g;
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      adam_[i].step(weights[i], gradients[i], lr, optimizer_.weight_decay, optimizer_.amsgrad,
                    optimizer_.kind == OptimizerKind::adamw);
      average[i] = optimizer_.ema * average[i] + (1.0 - optimizer_.ema) * weights[i];
    }
    return loss;
  }

  void reset_optimizer() {
    adam_.clear();
    for (const Array& a : weights) adam_.emplace_back(a.rows(), a.cols(), optimizer_.beta1, optimizer_.beta2);
  }

 private:
  SamplingNetwork initial_;
  OptimizerSettings optimizer_;
  std::vector<test::ReferenceAdam> adam_;

 public:
  std::vector<Array> weights, average;
};

void expect_weights(const SamplingNetwork& found, std::vector<Array> expected, double output_scale,
                    const std::string& what) {
  if (found.kind == ModelKind::reservoir_sampler) expected[2] = output_scale * expected[2];
  const std::vector<Array> arrays = arrays_of(found);
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    // Float32 rounding moves a weight by far less than 1e-3 of a learning rate a step (1e-2 here, some dozen steps); a
    // wrong rule moves it by a learning rate.
    const Array tolerance = test::map(expected[i], [&](double v) { return 2e-4 * std::max(1.0, std::abs(v)); });
    test::expect_within(arrays[i], expected[i], tolerance, what + " array " + std::to_string(i));
  }
}

struct Kind {
  const char* name;
  ModelKind kind;
  std::int64_t D, U, N;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class TrainableTest : public testing::TestWithParam<Kind> {
 protected:
  static constexpr std::int64_t B = 6, n_steps = 24;

  SamplingNetwork initial() const {
    const Kind& k = GetParam();
    return initial_network(k.kind, Nonlinearity::tanh, k.D, k.U, k.N, 5);
  }
  GaussianSource source() const { return {GetParam().D + GetParam().U, 0.3f, 0.8f}; }

  std::unique_ptr<Backend> backend = make_cpu_backend(1);
  std::vector<float> rates = [] {
    std::vector<float> r(n_steps);
    for (std::size_t i = 0; i < r.size(); ++i) r[i] = 0.01f / (1.0f + 0.05f * static_cast<float>(i));
    return r;
  }();
  std::vector<DsmLoss> losses{std::vector<DsmLoss>(n_steps)};
};

TEST_P(TrainableTest, StepsFollowTheReference) {
  for (const Setting& setting : settings()) {
    const SamplingNetwork start = initial();
    const auto model = make_trainable(*backend, start, setting.optimizer);
    GaussianSource data = source();
    constexpr std::int64_t first_step = 7;
    model->run(data, setting.level, B, seed, first_step, rates, losses);
    ReferenceTraining reference(start, setting.optimizer);
    for (std::int64_t s = 0; s < n_steps; ++s) {
      const auto at = static_cast<std::size_t>(s);
      const DsmLoss expected = reference.step(data, setting.level, B, first_step + s, rates[at]);
      EXPECT_NEAR(losses[at].loss, expected.loss, 1e-3 * expected.loss) << setting.name << " step " << s;
      EXPECT_NEAR(losses[at].excess, expected.excess, 1e-3 * expected.loss) << setting.name << " step " << s;
      EXPECT_NEAR(losses[at].gradient_norm, expected.gradient_norm, 1e-3 * expected.gradient_norm) << setting.name;
    }
    expect_weights(model->network(), reference.weights, 1.0, setting.name);
    expect_weights(model->averaged_network(), setting.optimizer.ema > 0.0 ? reference.average : reference.weights, 1.0,
                   setting.name);
    EXPECT_EQ(model->network().sigma, setting.level.sigma);
    EXPECT_EQ(model->averaged_network().sigma, setting.level.sigma);
    model->network().validate();
  }
}

TEST_P(TrainableTest, ARestoredStateTakesTheSameSteps) {
  for (const Setting& setting : settings()) {
    GaussianSource data = source();
    const auto whole = make_trainable(*backend, initial(), setting.optimizer);
    whole->run(data, setting.level, B, seed, 0, rates, losses);
    const std::vector<DsmLoss> expected = losses;

    constexpr std::size_t cut = 9;
    const auto span = [](auto& values, std::size_t begin, std::size_t end) {
      return std::span(values).subspan(begin, end - begin);
    };
    const auto before = make_trainable(*backend, initial(), setting.optimizer);
    before->run(data, setting.level, B, seed, 0, span(rates, 0, cut), span(losses, 0, cut));
    const TrainingState state = before->state();
    EXPECT_EQ(state.n_updates, static_cast<std::int64_t>(cut));
    // another start, and steps of its own behind it: all of that must be gone
    const auto after = make_trainable(
        *backend, initial_network(GetParam().kind, Nonlinearity::tanh, GetParam().D, GetParam().U, GetParam().N, 6),
        setting.optimizer);
    after->run(data, setting.level, B, seed, 50, span(rates, 0, 3), span(losses, 0, 3));
    after->restore(state);
    after->run(data, setting.level, B, seed, cut, span(rates, cut, n_steps), span(losses, cut, n_steps));
    EXPECT_EQ(arrays_of(after->network()), arrays_of(whole->network())) << setting.name;
    EXPECT_EQ(arrays_of(after->averaged_network()), arrays_of(whole->averaged_network())) << setting.name;
    for (std::size_t i = cut; i < n_steps; ++i) EXPECT_EQ(losses[i].loss, expected[i].loss) << setting.name;
    const TrainingState last = whole->state();
    EXPECT_EQ(after->state().arrays, last.arrays) << setting.name;

    for (const auto& [name, array] : state.arrays) {
      TrainingState wrong = state;
      wrong.arrays.erase(name);
      EXPECT_THROW(after->restore(wrong), Error) << name;
      wrong.arrays[name] = Matrix<float>(array.rows(), array.cols() + 1);
      EXPECT_THROW(after->restore(wrong), Error) << name;
    }
  }
}

TEST_P(TrainableTest, OptimizerAndAverageCanStartAnew) {
  const OptimizerSettings optimizer{.amsgrad = true, .ema = 0.8};
  const SamplingNetwork start = initial();
  const auto model = make_trainable(*backend, start, optimizer);
  EXPECT_EQ(arrays_of(model->averaged_network()), arrays_of(start));
  GaussianSource data = source();
  ReferenceTraining reference(start, optimizer);
  for (std::int64_t part = 0; part < 2; ++part) {
    DsmLevel level;
    level.sigma = part == 0 ? 1.0 : 0.5;
    model->run(data, level, B, seed, part * n_steps, rates, losses);
    for (std::int64_t s = 0; s < n_steps; ++s) {
      reference.step(data, level, B, part * n_steps + s, rates[static_cast<std::size_t>(s)]);
    }
    if (part == 1) break;
    model->reset_optimizer();
    model->reset_average();
    reference.reset_optimizer();
    reference.average = reference.weights;
    EXPECT_EQ(arrays_of(model->averaged_network()), arrays_of(model->network()));
  }
  expect_weights(model->network(), reference.weights, 1.0, "weights");
  expect_weights(model->averaged_network(), reference.average, 1.0, "average");
}

// The same bits, however the steps are cut into calls, and more of them than are prepared at a time.
TEST_P(TrainableTest, CallsMayBeCutAnywhere) {
  constexpr std::size_t n = 300;
  const SamplingNetwork start = initial();
  DsmLevel level;
  level.sigma = 0.7;
  GaussianSource data = source();
  const auto whole = make_trainable(*backend, start, {}), cut = make_trainable(*backend, start, {});
  const std::vector<float> many(n, 1e-3f);
  std::vector<DsmLoss> at_once(n), pieces(n);
  whole->run(data, level, B, seed, 3, many, at_once);
  for (std::size_t begin = 0; begin < n; begin += 41) {
    const std::size_t length = std::min<std::size_t>(41, n - begin);
    cut->run(data, level, B, seed, 3 + static_cast<std::int64_t>(begin), std::span(many).subspan(begin, length),
             std::span(pieces).subspan(begin, length));
  }
  EXPECT_EQ(arrays_of(whole->network()), arrays_of(cut->network()));
  for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(at_once[i].loss, pieces[i].loss);
}

INSTANTIATE_TEST_SUITE_P(Kinds, TrainableTest,
                         testing::Values(Kind{"reservoir", ModelKind::reservoir_sampler, 2, 0, 19},
                                         Kind{"reservoir_with_inputs", ModelKind::reservoir_sampler, 2, 1, 17},
                                         Kind{"reservoir_large", ModelKind::reservoir_sampler, 20, 0, 33},
                                         Kind{"sampler_only_sc", ModelKind::sampler_only_sc, 2, 0, 2},
                                         Kind{"sampler_only_fr", ModelKind::sampler_only_fr, 3, 0, 3}),
                         [](const auto& tested) { return tested.param.name; });

// V stays when the level changes; the network's W_out follows.
TEST(ScaledOutputs, WeightsAreKeptAndRescaledFromLevelToLevel) {
  const auto backend = make_cpu_backend(1);
  const SamplingNetwork start = initial_network(ModelKind::reservoir_sampler, Nonlinearity::tanh, 2, 0, 15, 5);
  GaussianSource data(2, 0.0f, 1.0f);
  const auto model = make_trainable(*backend, start, {});
  ReferenceTraining reference(start, {});
  const std::vector<float> rates(10, 1e-2f);
  std::vector<DsmLoss> losses(10);
  std::int64_t step = 0;
  for (const double sigma : {1.0, 0.5, 0.25}) {
    DsmLevel level;
    level.sigma = sigma;
    level.output_scale = 1.0 / (sigma * sigma);
    level.loss_scale = sigma * sigma;
    model->run(data, level, 8, seed, step, rates, losses);
    for (std::int64_t s = 0; s < 10; ++s) {
      const DsmLoss expected = reference.step(data, level, 8, step + s, 1e-2);
      EXPECT_NEAR(losses[static_cast<std::size_t>(s)].loss, expected.loss, 1e-3 * expected.loss) << sigma;
    }
    step += 10;
    expect_weights(model->network(), reference.weights, level.output_scale, "sigma " + std::to_string(sigma));
  }
}

// Weights from a file are W_out = V / sigma^2 already: training on must not change the function before the first step.
TEST(ScaledOutputs, TrainingOnFromAFileStartsAtTheSameScore) {
  const auto backend = make_cpu_backend(1);
  const SamplingNetwork loaded = test::some_network(ModelKind::reservoir_sampler, 2, 0, 15);
  DsmLevel level;
  level.sigma = 0.25;
  level.output_scale = 16.0;
  level.loss_scale = 0.0625;
  const auto model = make_trainable(*backend, loaded, {}, level.output_scale);
  EXPECT_EQ(arrays_of(model->network()), arrays_of(loaded));  // 16 is a power of two: not even rounding
  GaussianSource data(2, 0.0f, 1.0f);
  std::vector<DsmLoss> losses(1);
  model->run(data, level, 8, seed, 0, std::vector<float>{0.0f}, losses);
  EXPECT_EQ(arrays_of(model->network()), arrays_of(loaded));
}

// The map that comes out is (I + J)^-1 of a J of the strength that went in, turned by training; at rate 0 it is the one
// that went in.
TEST(TrainedSkewNetwork, KeepsItsStrengthThroughTraining) {
  const auto backend = make_cpu_backend(1);
  SamplingNetwork start = test::some_network(ModelKind::reservoir_sampler, 3, 0, 20);
  Matrix<float> A(3, 3);
  A(0, 1) = 1.0f;
  A(1, 2) = -0.5f;
  const Matrix<double> J = skew_of(A, 2.0), M = circuit_to_score(J);
  start.drift_map = Matrix<float>(3, 3);
  for (std::int64_t i = 0; i < 9; ++i) start.drift_map.data()[i] = static_cast<float>(M.data()[i]);
  GaussianSource data(3, 0.5f, 0.5f);
  std::vector<DsmLoss> losses(30);
  for (const float rate : {0.0f, 1e-2f}) {
    const auto model = make_trainable(*backend, start, {});
    model->run(data, {}, 16, seed, 0, std::vector<float>(30, rate), losses);
    const SamplingNetwork trained = model->network();
    const Matrix<double> turned = skew_of_map(trained.drift_map);
    double square = 0.0, moved = 0.0;
    for (std::int64_t i = 0; i < 9; ++i) {
      square += turned.data()[i] * turned.data()[i];
      moved += std::fabs(turned.data()[i] - J.data()[i]);
    }
    EXPECT_NEAR(std::sqrt(square), 2.0, 1e-5);
    EXPECT_EQ(moved > 1e-5, rate > 0.0f) << moved;
    trained.validate();
  }
}

TEST(SamplerOnlyTraining, ConfinementPointsPullButDoNotCount) {
  const auto backend = make_cpu_backend(1);
  const SamplingNetwork start = initial_network(ModelKind::sampler_only_fr, Nonlinearity::relu, 2, 0, 2, 5);
  GaussianSource data(2, 0.0f, 1.0f);
  DsmLevel level;
  const std::vector<float> rates(1, 1e-2f);
  std::vector<DsmLoss> plain(1), confined(1);
  const auto a = make_trainable(*backend, start, {.clip_norm = 1e9}),
             b = make_trainable(*backend, start, {.clip_norm = 1e9});
  a->run(data, level, 4, seed, 0, rates, plain);
  level.confinement_points = 2;
  level.confinement_pull = 5.0;
  level.confinement_radius[0] = 5.0;
  level.confinement_radius[1] = 10.0;
  b->run(data, level, 4, seed, 0, rates, confined);
  EXPECT_EQ(plain[0].loss, confined[0].loss);
  EXPECT_NE(plain[0].gradient_norm, confined[0].gradient_norm);
}

// For Gaussian data the best score is -(x - m) / (s^2 + sigma^2), and both sampler-only kinds can represent it (W = 0).
TEST(SamplerOnlyTraining, FindsTheScoreOfAGaussian) {
  const auto backend = make_cpu_backend(1);
  for (const ModelKind kind : {ModelKind::sampler_only_sc, ModelKind::sampler_only_fr}) {
    const SamplingNetwork start = initial_network(kind, Nonlinearity::tanh, 1, 0, 1, 5);
    GaussianSource data(1, 0.5f, 0.5f);
    const auto model = make_trainable(*backend, start, {});
    DsmLevel level;
    level.sigma = 0.5;
    level.antithetic = true;
    std::vector<float> rates(6000);
    for (std::size_t i = 0; i < rates.size(); ++i) {
      rates[i] = 5e-3f * static_cast<float>(1.0 + std::cos(M_PI * static_cast<double>(i) / 6000.0));
    }
    std::vector<DsmLoss> losses(rates.size());
    model->run(data, level, 128, seed, 0, rates, losses);
    const SamplingNetwork trained = model->network();
    Array points(21, 1), noise(21, 1);
    for (std::int64_t i = 0; i < 21; ++i) points(i, 0) = -1.0 + 0.15 * static_cast<double>(i);
    const Array score = test::ReferenceMath(Nonlinearity::tanh)
                            .sampler_only(kind,
                                          {test::to_double(trained.W_in), test::to_double(trained.b),
                                           test::to_double(trained.gamma), test::to_double(trained.S)},
                                          {points, noise, 1.0})
                            .score;
    // 6000 batches of 128 leave a slope error of about 1 %; within two standard deviations of the smoothed law
    for (std::int64_t i = 0; i < 21; ++i) EXPECT_NEAR(score(i, 0), -(points(i, 0) - 0.5) / 0.5, 0.12) << name_of(kind);
    const double late = std::accumulate(losses.end() - 500, losses.end(), 0.0,
                                        [](double sum, const DsmLoss& l) { return sum + l.excess / 500.0; });
    EXPECT_NEAR(late, -0.5 / 0.5, 0.05);  // -E |score|^2 / 2 = -1 / (2 v)
  }
}

TEST(Trainables, WhatCannotBeTrainedIsRefused) {
  const auto backend = make_cpu_backend(1);
  const auto fails = [&](const SamplingNetwork& network, double output_scale, const char* part) {
    EXPECT_NE(test::message_of([&] { make_trainable(*backend, network, {}, output_scale); }).find(part),
              std::string::npos);
  };
  SamplingNetwork reservoir = test::some_network(ModelKind::reservoir_sampler, 2, 0, 5);
  fails(reservoir, 0.0, "output_scale is 0");
  fails(reservoir, NAN, "output_scale is nan");
  SamplingNetwork broken = reservoir;
  broken.b(0, 1) = NAN;
  fails(broken, 1.0, "b holds nan");
  reservoir.drift_map = Matrix<float>(2, 2);
  fails(reservoir, 1.0, "drift_map has no inverse");
  const SamplingNetwork sc = test::some_network(ModelKind::sampler_only_sc, 2, 0, 2);
  SamplingNetwork mapped = sc;
  mapped.drift_map = Matrix<float>(2, 2);
  fails(mapped, 1.0, "sampler_only_sc with a drift map");
  fails(sc, 4.0, "output_scaling = \"none\"");

  const auto model = make_trainable(*backend, sc, {});
  GaussianSource narrow(1, 0.0f, 1.0f), data(2, 0.0f, 1.0f);
  std::vector<DsmLoss> losses(1);
  const std::vector<float> rates(1, 0.1f), two(2, 0.1f);
  DsmLevel level;
  EXPECT_THROW(model->run(narrow, level, 4, seed, 0, rates, losses), Error);
  EXPECT_THROW(model->run(data, level, 4, seed, 0, two, losses), Error);
  level.output_scale = 2.0;
  EXPECT_THROW(model->run(data, level, 4, seed, 0, rates, losses), UsageError);
}

}  // namespace
}  // namespace tarn
