// Contrastive divergence: gradients against finite differences and exact sums, particles against the exact law, training to a likelihood
// near the best. Statistical tests allow 5 standard errors: a false alarm has probability below 1e-6 for each comparison.
#include "tarn/training/contrastive.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <limits>
#include <numeric>

#include "energy_gradient.hpp"
#include "message_of.hpp"
#include "models/energy.hpp"
#include "tarn/data/synthetic.hpp"
#include "tarn/models/energy_model.hpp"
#include "tarn/training/trainer.hpp"

namespace tarn::test {
namespace {

using testing::HasSubstr;

double mean_free_energy(const SamplingNetwork& network, const Matrix<float>& x) {
  const std::vector<double> F = free_energies(network, x);
  return std::accumulate(F.begin(), F.end(), 0.0) / static_cast<double>(F.size());
}

TEST(EnergyGradient, IsThatOfTheGap) {
  const Matrix<float> data = normals(7, 3, 11), particles = normals(90, 3, 12);
  for (const Nonlinearity phi : {Nonlinearity::sigmoid, Nonlinearity::tanh}) {
    for (const ModelKind kind : {ModelKind::rbm, ModelKind::ebm}) {
      if (kind == ModelKind::rbm && phi == Nonlinearity::tanh) continue;
      SamplingNetwork network = energy_network(kind, 3, 5, 0.8, 1.0, phi);
      energy::Gradient gradient;
      energy::GradientRoom room;
      const auto reading = room.compute(network, data, particles, gradient);
      const auto gap = [&] { return mean_free_energy(network, data) - mean_free_energy(network, particles); };
      EXPECT_NEAR(reading.gap, gap(), 1e-5);
      const auto compare = [&](Matrix<float>& weights, const Matrix<float>& found, const char* name) {
        ASSERT_EQ(found.size(), weights.size()) << name;
        for (std::int64_t k = 0; k < weights.size(); ++k) {
          const float kept = weights.data()[k];
          constexpr float h = 2e-3f;
          weights.data()[k] = kept + h;
          const double above = gap(), moved_up = weights.data()[k];
          weights.data()[k] = kept - h;
          const double below = gap(), moved_down = weights.data()[k];
          weights.data()[k] = kept;
          EXPECT_NEAR(found.data()[k], (above - below) / (moved_up - moved_down), 1e-4) << name << " " << k;
        }
      };
      compare(network.W_in, gradient.W, "W");
      compare(network.b, gradient.b, "b");
      compare(network.a, gradient.a, "a");
      if (kind == ModelKind::ebm) compare(network.v, gradient.v, "v");
    }
  }
}

TEST(EnergyGradient, ReconstructionIsTheWayThereAndBack) {
  const SamplingNetwork rbm = energy_network(ModelKind::rbm, 2, 3, 0.7);
  const Matrix<float> x = normals(6, 2, 8);
  energy::Gradient gradient;
  energy::GradientRoom room;
  const double found = room.compute(rbm, x, x, gradient).reconstruction;
  double sum = 0.0;
  for (std::int64_t i = 0; i < 6; ++i) {
    double back[2] = {rbm.a(0, 0), rbm.a(0, 1)};
    for (std::int64_t j = 0; j < 3; ++j) {
      const double u = rbm.b(0, j) + (rbm.W_in(j, 0) * x(i, 0) + rbm.W_in(j, 1) * x(i, 1)) / (0.7 * 0.7);
      for (std::int64_t d = 0; d < 2; ++d) back[d] += rbm.W_in(j, d) / (1.0 + std::exp(-u));
    }
    for (std::int64_t d = 0; d < 2; ++d) sum += (x(i, d) - back[d]) * (x(i, d) - back[d]);
  }
  EXPECT_NEAR(found, sum / 12.0, 1e-5);
}

// Mean and variance of each output over many particles at the end, which are independent of one another.
void expect_moments(const Matrix<float>& x, const RbmMixture& exact, double variance_slack) {
  const auto n = static_cast<double>(x.rows());
  for (std::int64_t d = 0; d < x.cols(); ++d) {
    double sum = 0.0, squares = 0.0, fourth = 0.0;
    for (std::int64_t i = 0; i < x.rows(); ++i) sum += x(i, d);
    const double mean = sum / n;
    for (std::int64_t i = 0; i < x.rows(); ++i) {
      const double off = x(i, d) - mean;
      squares += off * off;
      fourth += off * off * off * off;
    }
    const double variance = squares / n, error = std::sqrt((fourth / n - variance * variance) / n);
    EXPECT_NEAR(mean, exact.mean(static_cast<std::size_t>(d)), 5.0 * std::sqrt(variance / n)) << d;
    const double expected = exact.variance(static_cast<std::size_t>(d));
    EXPECT_NEAR(variance, expected, 5.0 * error + variance_slack * expected) << d;
  }
}

TEST(Particles, GibbsSweepsReachTheExactMixture) {
  const SamplingNetwork rbm = energy_network(ModelKind::rbm, 3, 4, 0.5);
  Matrix<float> x(20000, 3);
  energy::ParticleRoom room;
  for (std::uint64_t step = 0; step < 60; ++step) room.gibbs(rbm, {3, step}, x.view());
  expect_moments(x, RbmMixture(rbm), 0.0);
}

TEST(Particles, LangevinStepsReachTheExactMixture) {
  const SamplingNetwork rbm = energy_network(ModelKind::rbm, 3, 4, 0.5);
  Matrix<float> x(10000, 3);
  energy::ParticleRoom room;
  // dt = s^2 / 50: a Gaussian of variance s^2 comes out dt / 2 s^2 = 1 % too wide
  for (std::uint64_t step = 0; step < 1500; ++step) room.langevin(rbm, 0.005, {3, step}, x.view());
  expect_moments(x, RbmMixture(rbm), 0.01);
}

// The gradient with particles from the exact law is the gradient of the exact log likelihood.
TEST(EnergyGradient, OverGibbsParticlesIsThatOfTheExactLikelihood) {
  SamplingNetwork rbm = energy_network(ModelKind::rbm, 2, 3, 0.6);
  const Matrix<float> data = normals(50, 2, 21);
  constexpr std::int64_t n_sets = 40;
  std::vector<energy::Gradient> sets(n_sets);
  Matrix<float> x(2000, 2);
  energy::ParticleRoom walk;
  energy::GradientRoom room;
  std::uint64_t step = 0;
  for (auto& gradient : sets) {
    for (int k = 0; k < 40; ++k) walk.gibbs(rbm, {5, step++}, x.view());
    room.compute(rbm, data, x, gradient);
  }
  const auto exact = [&] {
    const RbmMixture mixture(rbm);
    double sum = 0.0;
    for (std::int64_t i = 0; i < data.rows(); ++i)
      sum -= mixture.log_density(data.row(i)) / static_cast<double>(data.rows());
    return sum;
  };
  for (std::int64_t k = 0; k < rbm.W_in.size(); ++k) {
    double sum = 0.0, squares = 0.0;
    for (const auto& set : sets) {
      sum += set.W.data()[k];
      squares += static_cast<double>(set.W.data()[k]) * set.W.data()[k];
    }
    const double mean = sum / n_sets, error = std::sqrt((squares / n_sets - mean * mean) / (n_sets - 1));
    float& weight = rbm.W_in.data()[k];
    const float kept = weight;
    weight = kept + 1e-3f;
    const double up = weight, above = exact();
    weight = kept - 1e-3f;
    const double down = weight, below = exact();
    weight = kept;
    EXPECT_NEAR(mean, (above - below) / (up - down), 5.0 * error + 1e-4) << k;
    EXPECT_LT(error, 0.05);
  }
}

/// Fresh draws of a mixture in the plane.
class MixtureSource final : public BatchSource {
 public:
  std::int64_t n_columns() const override { return 2; }
  std::int64_t steps_per_epoch(std::int64_t) const override { return 100; }
  void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) override {
    const std::int64_t B = out.rows / n_steps;
    Matrix<float> normals(B, 4);
    for (std::int64_t s = 0; s < n_steps; ++s) {
      fill_normals(8, Stream::synthetic_data, 0, static_cast<std::uint64_t>(first_step + s), 1, normals);
      for (std::int64_t i = 0; i < B; ++i) {
        const float side = normals(i, 2) > 0.0f ? 1.0f : -1.0f;
        out(s * B + i, 0) = side + 0.5f * normals(i, 0);
        out(s * B + i, 1) = 0.5f * normals(i, 1);
      }
    }
  }
  /// E log p of the law itself, by a sample.
  static double log_density(const float* x) {
    const auto part = [&](double m) {
      return 0.5 * std::exp(-((x[0] - m) * (x[0] - m) + x[1] * x[1]) / 0.5) / (std::numbers::pi * 0.5);
    };
    return std::log(part(1.0) + part(-1.0));
  }
};

TrainingPlan plan_of(std::int64_t n_steps) {
  TrainingPlan plan;
  plan.sigmas = {1.0};
  plan.steps_per_level = {n_steps};
  plan.batch_size = 100;
  plan.seed = 3;
  plan.learning_rate = 0.02;
  plan.schedule = LearningRateSchedule::cosine;
  plan.n_outputs = 2;
  return plan;
}

// Two peaks as wide as the units' own Gaussian: an rbm can have that law exactly.
TEST(Contrastive, AnRbmComesNearTheBestLikelihood) {
  const auto start = initial_energy_network(ModelKind::rbm, Nonlinearity::sigmoid, 2, 4, 0.5, 3);
  const auto model = make_contrastive(start, {}, {200, 2, 0.0, 0});
  MixtureSource source;
  const SamplingNetwork trained = train(*model, source, plan_of(1500), {});
  const RbmMixture mixture(trained), before(start);
  Matrix<float> test(4000, 2);
  source.fill(1 << 20, 1, test.view());
  double found = 0.0, best = 0.0, untrained = 0.0;
  for (std::int64_t i = 0; i < test.rows(); ++i) {
    found += mixture.log_density(test.row(i)) / 4000.0;
    best += MixtureSource::log_density(test.row(i)) / 4000.0;
    untrained += before.log_density(test.row(i)) / 4000.0;
  }
  EXPECT_GT(found, best - 0.03);
  EXPECT_LT(found, best + 0.01);
  EXPECT_LT(untrained, best - 0.5) << "there is something to learn";
}

double log_likelihood_by_quadrature(const SamplingNetwork& network, const Matrix<float>& test) {
  constexpr std::int64_t n = 401;
  constexpr double reach = 6.0, h = 2.0 * reach / (n - 1);
  const Matrix<float> grid = square_grid(n, reach);
  double sum = 0.0;
  for (const double F : free_energies(network, grid)) sum += std::exp(-F);
  return -mean_free_energy(network, test) - std::log(sum * h * h);
}

TEST(Contrastive, AnEbmComesNearTheBestLikelihood) {
  MixtureSource source;
  Matrix<float> test(4000, 2);
  source.fill(1 << 20, 1, test.view());
  double best = 0.0;
  for (std::int64_t i = 0; i < test.rows(); ++i) best += MixtureSource::log_density(test.row(i)) / 4000.0;
  for (const Nonlinearity phi : {Nonlinearity::sigmoid, Nonlinearity::tanh}) {
    const auto model =
        make_contrastive(initial_energy_network(ModelKind::ebm, phi, 2, 8, 0.5, 3), {}, {200, 10, 0.025, 10});
    const SamplingNetwork trained = train(*model, source, plan_of(1500), {});
    const double found = log_likelihood_by_quadrature(trained, test);
    EXPECT_GT(found, best - 0.04) << name_of(phi);
    EXPECT_LT(found, best + 0.01) << name_of(phi);
  }
}

std::vector<DsmLoss> some_steps(TrainableModel& model, std::int64_t first, std::int64_t n) {
  MixtureSource source;
  const std::vector<float> rates(static_cast<std::size_t>(n), 0.01f);
  std::vector<DsmLoss> losses(rates.size());
  model.run(source, {}, 50, 3, first, rates, losses);
  return losses;
}

TEST(Contrastive, GoesOnFromItsStateAndOnAnyThreads) {
  for (const ModelKind kind : {ModelKind::rbm, ModelKind::ebm}) {
    // large enough for threads to share the work
    const auto start = initial_energy_network(kind, Nonlinearity::sigmoid, 2, 300, 0.5, 3);
    OptimizerSettings optimizer;
    optimizer.ema = 0.9;
    optimizer.amsgrad = true;
    optimizer.clip_norm = 0.5;
    const auto fresh = [&] { return make_contrastive(start, optimizer, {220, 3, 0.02, 7}); };
    const int before = omp_get_max_threads();
    omp_set_num_threads(1);
    const auto whole = fresh();
    some_steps(*whole, 0, 25);
    omp_set_num_threads(3);
    const auto first = fresh(), second = fresh();
    some_steps(*first, 0, 10);
    const TrainingState state = first->state();
    EXPECT_TRUE(state.arrays.contains("particles.x"));
    second->restore(state);
    some_steps(*second, 10, 15);
    omp_set_num_threads(before);
    EXPECT_EQ(whole->state().arrays, second->state().arrays) << name_of(kind);
    EXPECT_EQ(whole->averaged_network().W_in, second->averaged_network().W_in);
    EXPECT_NE(whole->network().W_in, start.W_in);
    TrainingState wrong = state;
    wrong.arrays["particles.x"] = Matrix<float>(3, 2);
    EXPECT_THAT(message_of([&] { fresh()->restore(wrong); }),
                HasSubstr("particles.x is [3, 2], it should be [220, 2]"));
  }
}

TEST(Contrastive, StopsWithTheStepWhereEnergiesAreNotFinite) {
  const auto model = make_contrastive(initial_energy_network(ModelKind::ebm, Nonlinearity::sigmoid, 2, 4, 0.5, 3), {},
                                      {10, 1, 0.02, 0});
  TrainingState state = model->state();
  state.arrays["particles.x"] = Matrix<float>(10, 2);
  state.arrays["particles.x"](4, 1) = std::numeric_limits<float>::quiet_NaN();
  model->restore(state);
  EXPECT_THAT(
      message_of([&] { some_steps(*model, 12, 5); }),
      HasSubstr("free energies are not finite at step 12, nor are 1 of 10 particles; a lower training.optimizer.lr"));
}

TEST(Contrastive, BadSettingsSayWhatIsWrong) {
  const auto start = initial_energy_network(ModelKind::ebm, Nonlinearity::sigmoid, 2, 4, 0.5, 3);
  const auto says = [&](const ContrastiveSettings& settings, const std::string& text) {
    EXPECT_THAT(message_of<UsageError>([&] { make_contrastive(start, {}, settings); }), HasSubstr(text));
  };
  says({0, 1, 0.1, 0}, "training.contrastive.particles: 0; allowed: 1 or more");
  says({5, 0, 0.1, 0}, "training.contrastive.steps: 0; allowed: 1 or more");
  says({5, 1, 0.0, 0}, "training.contrastive.dt: 0; allowed: > 0");
  says({5, 1, 0.1, 6}, "training.contrastive.renewed: 6 of 5 particles; allowed: 0 to all of them");
}

}  // namespace
}  // namespace tarn::test
