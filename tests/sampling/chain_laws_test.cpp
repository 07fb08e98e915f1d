// What chains of networks with a known score settle at.
#include <gtest/gtest.h>

#include <cmath>

#include "sampling/networks.hpp"
#include "tarn/sampling/chain_engine.hpp"

namespace tarn {
namespace {

using test::Prepared;

// The score of the double peak at +-1 with variance v is (tanh(x/v) - x)/v: exactly a firing-rate network of one tanh neuron.
SamplingNetwork exact_double_peak(double v) {
  SamplingNetwork n;
  n.kind = ModelKind::sampler_only_fr;
  n.phi = Nonlinearity::tanh;
  n.n_outputs = 1;
  n.W_in = n.gamma = n.S = Matrix<float>(1, 1);
  n.b = Matrix<float>(1, 1);
  n.W_in(0, 0) = n.gamma(0, 0) = static_cast<float>(1.0 / v);
  n.S(0, 0) = 1.0f;
  return n;
}

// Either way the error of the density is of second order in the step, some 0.2 % of it, below what this count shows.
void expect_double_peak(Integrator integrator, double dt, std::int64_t n_steps) {
  const auto backend = make_cpu_backend(2);
  const double v = 0.25;
  const Prepared network(*backend, exact_double_peak(v));
  constexpr std::int64_t n = 20000;
  Stage stage;
  stage.network = network.network.get();
  stage.dt = dt;
  stage.friction = 1.0;
  Matrix<float> start(n, 1);
  std::fill_n(start.data(), n, -1.0f);
  SamplingRun run;
  run.stages = plain_schedule(stage, 0, n_steps, 0);
  run.integrator = integrator;
  run.seed = 2;
  run.n_chains = n;
  run.initial.kind = InitialKind::file;
  run.initial.rows = start;
  const SamplingResult result = run_chains(*backend, run, nullptr);
  EXPECT_EQ(result.n_quarantined, 0);

  const auto cdf = [&](double x) {
    return 0.25 * (std::erfc(-(x + 1.0) / std::sqrt(2.0 * v)) + std::erfc(-(x - 1.0) / std::sqrt(2.0 * v)));
  };
  constexpr int bins = 40;
  std::vector<double> count(bins + 2), expected(bins + 2);
  const auto edge = [](int i) { return -2.5 + 5.0 * i / bins; };
  for (int i = 0; i <= bins + 1; ++i) {
    expected[static_cast<std::size_t>(i)] =
        n * ((i == bins + 1 ? 1.0 : cdf(edge(i))) - (i == 0 ? 0.0 : cdf(edge(i - 1))));
  }
  double mean = 0.0, square = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double x = result.last_draw(i, 0);
    int bin = 0;
    while (bin <= bins && x >= edge(bin)) ++bin;
    count[static_cast<std::size_t>(bin)] += 1.0;
    mean += x / n;
    square += x * x / n;
  }
  double chi2 = 0.0;
  for (std::size_t i = 0; i < count.size(); ++i)
    chi2 += (count[i] - expected[i]) * (count[i] - expected[i]) / expected[i];
  EXPECT_LT(chi2, 100.0) << "41 degrees of freedom: false alarm 8e-7";
  const double variance = 1.0 + v;
  EXPECT_NEAR(mean, 0.0, 5.0 * std::sqrt(variance / n));
  // Var x^2 of the mixture: E x^4 - (E x^2)^2 = 1 + 6 v + 3 v^2 - (1 + v)^2
  EXPECT_NEAR(square, variance, 5.0 * std::sqrt((1 + 6 * v + 3 * v * v - variance * variance) / n));
}

// All chains start in one peak; the slowest relaxation time is about 2.1, so after T = 30 the start is forgotten to 1e-6.
TEST(ChainLaws, ExactScoreGivesTheDoublePeak) { expect_double_peak(Integrator::leimkuhler_matthews, 0.01, 3000); }

// The same with momentum, in steps of a fifth of a peak's width: T = 60, where a change of peak takes some 4.
TEST(ChainLaws, ExactScoreGivesTheDoublePeakWithMomentum) { expect_double_peak(Integrator::baoab, 0.1, 600); }

// Score -x turned by J = g [[0, -1], [1, 0]]: x' = ((1 - dt) I - dt J) x + sqrt(2 dt) xi settles at variance
// 2 / (2 - dt (1 + g^2)) in both directions, uncorrelated, and turns on the way.
TEST(ChainLaws, IrreversibleDriftKeepsTheLaw) {
  const auto backend = make_cpu_backend(2);
  SamplingNetwork weights;
  weights.phi = Nonlinearity::relu;
  weights.n_outputs = 2;
  weights.W_in = Matrix<float>(1, 2);
  weights.b = Matrix<float>(1, 1);
  weights.W_out = Matrix<float>(2, 1);
  for (const double g : {0.0, 2.0}) {
    Matrix<float> J(2, 2);
    J(0, 1) = static_cast<float>(-g);
    J(1, 0) = static_cast<float>(g);
    const RunnableNetwork turned(weights, J.view());
    const auto network = backend->prepare(turned.view());
    Stage stage;
    stage.network = network.get();
    stage.dt = 0.05;
    constexpr std::int64_t n = 100000;
    SamplingRun run;
    run.stages = plain_schedule(stage, 0, 401, 400);
    run.seed = 3;
    run.n_chains = n;
    run.initial.standard_deviation = 0.0;
    class Pair final : public Sink {
     public:
      void take(const DrawBlock& block) override {
        Matrix<float>& x = block.draw == 0 ? before : after;
        x = Matrix<float>(block.x.rows, 2);
        std::copy_n(block.x.data, block.x.size(), x.data());
      }
      Matrix<float> before, after;
    } pair;
    run_chains(*backend, run, &pair);
    ASSERT_EQ(pair.after.rows(), n);
    const double variance = 2.0 / (2.0 - 0.05 * (1.0 + g * g));
    double moment[2][2] = {}, turn = 0.0;
    for (std::int64_t i = 0; i < n; ++i) {
      for (int a = 0; a < 2; ++a) {
        for (int b = 0; b < 2; ++b) moment[a][b] += static_cast<double>(pair.after(i, a)) * pair.after(i, b) / n;
      }
      turn += (static_cast<double>(pair.before(i, 0)) * pair.after(i, 1) -
               static_cast<double>(pair.before(i, 1)) * pair.after(i, 0)) /
              n;
    }
    const double five = 5.0 * variance / std::sqrt(static_cast<double>(n));  // 8 checks at 6e-7
    EXPECT_NEAR(moment[0][0], variance, std::sqrt(2.0) * five);
    EXPECT_NEAR(moment[1][1], variance, std::sqrt(2.0) * five);
    EXPECT_NEAR(moment[0][1], 0.0, five);
    // E x_0 x_1' - E x_1 x_0' = 2 dt (-J)_{10} variance: which way round it goes tells J from J^T
    EXPECT_NEAR(turn, -2.0 * 0.05 * g * variance, std::sqrt(2.0) * five);
  }
}

}  // namespace
}  // namespace tarn
