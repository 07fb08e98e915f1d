// Parity with float64 vectors from automatic differentiation: scores, losses, gradients, optimiser steps, a reservoir
// step. Tolerances: first-order bounds of float32 rounding (see Reference), with one rounding for each term of the sums
// and a few for the activations; a wrong sign, factor or index is off by many orders more.
#include "models/golden.hpp"

#include <gtest/gtest.h>

#include "tarn/compute/backend.hpp"
#include "tarn/models/pseudo_inverse.hpp"
#include "tarn/models/sampler_only_dsm.hpp"

namespace tarn {
namespace {

using test::Array;
using test::Golden;
using test::Reference;
using test::ReferenceMath;

class GoldenTest : public testing::TestWithParam<test::GoldenCase> {
 protected:
  double roundings() const {
    const Array W_in = golden["W_in"], x = golden["x"];
    return static_cast<double>(W_in.rows() + W_in.cols() + x.rows() + 32);
  }
  Array bound(const Array& magnitude) const { return (roundings() * test::unit_roundoff) * magnitude; }
  double bound(double magnitude) const { return 2.0 * roundings() * test::unit_roundoff * magnitude; }

  Array drift_of(const SamplingNetwork& network) {
    const RunnableNetwork runnable(network);
    const Matrix<float> points = test::to_float(golden.noisy_points());
    Matrix<float> out(points.rows(), network.n_outputs);
    backend->drift(*backend->prepare(runnable.view()), points, out);
    return test::to_double(out);
  }

  DsmParameters parameters() const {
    DsmParameters p;
    p.phi = golden.phi;
    p.W_in = test::to_float(golden["W_in"]);
    p.b = test::to_float(golden["b"]);
    p.V = test::to_float(golden["W_out"]);
    p.n_outputs = p.V.rows();
    return p;
  }

  Golden golden{GetParam()};
  std::unique_ptr<Backend> backend = make_cpu_backend();
  ReferenceMath exact{golden.phi}, magnitudes{golden.phi, true};
};

TEST_P(GoldenTest, ReferenceFormulasMatchAutomaticDifferentiation) {
  const auto near = [&](const Array& found, const std::string& name) {
    const Array expected = golden[name];
    test::expect_within(found, expected, test::map(expected, [](double v) { return 1e-11 * (1.0 + std::abs(v)); }),
                        name);
  };
  const Reference r = exact.reservoir(golden.reservoir(), golden.batch());
  near(r.score, "score");
  near(r.dW_in, "dW_in");
  near(r.db, "db");
  near(r.dW_out, "dW_out");
  EXPECT_NEAR(r.loss, golden.number("loss"), 1e-11 * r.loss);
  for (const ModelKind kind : {ModelKind::sampler_only_sc, ModelKind::sampler_only_fr}) {
    const std::string prefix = kind == ModelKind::sampler_only_sc ? "so_sc_" : "so_fr_";
    const Reference s = exact.sampler_only(kind, golden.sampler_only(), golden.batch());
    near(s.score, prefix + "score");
    near(s.dW, prefix + "dW");
    near(s.db, prefix + "db");
    near(s.dgamma, prefix + "dgamma");
    near(s.dS, prefix + "dS");
    EXPECT_NEAR(s.loss, golden.number(prefix + "loss"), 1e-11 * s.loss);
  }
}

TEST_P(GoldenTest, ReservoirScore) {
  const Reference m = magnitudes.reservoir(golden.reservoir(), golden.batch());
  test::expect_within(drift_of(golden.reservoir_network()), golden["score"], bound(m.score), "score");
}

TEST_P(GoldenTest, SamplerOnlyScores) {
  for (const ModelKind kind : {ModelKind::sampler_only_sc, ModelKind::sampler_only_fr}) {
    const Reference m = magnitudes.sampler_only(kind, golden.sampler_only(), golden.batch());
    test::expect_within(drift_of(golden.sampler_only_network(kind)),
                        golden[kind == ModelKind::sampler_only_sc ? "so_sc_score" : "so_fr_score"], bound(m.score),
                        std::string(name_of(kind)));
  }
}

TEST_P(GoldenTest, ReservoirLossAndGradients) {
  const Matrix<float> x = test::to_float(golden["x"]), xi = test::to_float(golden["eps"]);
  DsmLevel level;
  level.sigma = golden.number("sigma");
  DsmParameters gradient;
  const DsmLoss loss = backend->dsm_gradient(parameters(), level, {x, xi}, gradient);
  const Reference m = magnitudes.reservoir(golden.reservoir(), golden.batch());
  EXPECT_NEAR(loss.loss, golden.number("loss"), bound(m.loss));
  EXPECT_NEAR(loss.excess, exact.reservoir(golden.reservoir(), golden.batch()).excess, bound(m.loss));
  test::expect_within(test::to_double(gradient.W_in), golden["dW_in"], bound(m.dW_in), "dW_in");
  test::expect_within(test::to_double(gradient.b), golden["db"], bound(m.db), "db");
  test::expect_within(test::to_double(gradient.V), golden["dW_out"], bound(m.dW_out), "dW_out");
}

TEST_P(GoldenTest, SamplerOnlyLossesAndGradients) {
  const Matrix<float> x = test::to_float(golden["x"]), xi = test::to_float(golden["eps"]);
  DsmLevel level;
  level.sigma = golden.number("sigma");
  for (const ModelKind kind : {ModelKind::sampler_only_sc, ModelKind::sampler_only_fr}) {
    const std::string prefix = kind == ModelKind::sampler_only_sc ? "so_sc_" : "so_fr_";
    SamplerOnlyGradient gradient;
    const DsmLoss loss = sampler_only_gradient(golden.sampler_only_network(kind), level, {x, xi}, gradient);
    const Reference m = magnitudes.sampler_only(kind, golden.sampler_only(), golden.batch());
    EXPECT_NEAR(loss.loss, golden.number(prefix + "loss"), bound(m.loss));
    test::expect_within(test::to_double(gradient.W), golden[prefix + "dW"], bound(m.dW), prefix + "dW");
    test::expect_within(test::to_double(gradient.b), golden[prefix + "db"], bound(m.db), prefix + "db");
    test::expect_within(test::to_double(gradient.gamma), golden[prefix + "dgamma"], bound(m.dgamma), prefix + "dgamma");
    test::expect_within(test::to_double(gradient.S), golden[prefix + "dS"], bound(m.dS), prefix + "dS");
  }
}

// Five steps on the one batch: the backend's gradients through the reference optimiser. That the sessions' own
// optimiser follows the reference one is tested in trainable_test.cpp, where batches come from the noise streams.
TEST_P(GoldenTest, AdamSteps) {
  const Matrix<float> x = test::to_float(golden["x"]), xi = test::to_float(golden["eps"]);
  DsmLevel level;
  level.sigma = golden.number("sigma");
  const Reference exact_gradient = exact.reservoir(golden.reservoir(), golden.batch());
  const Reference m = magnitudes.reservoir(golden.reservoir(), golden.batch());
  for (const bool amsgrad : {false, true}) {
    DsmParameters p = parameters();
    Array W_in = golden["W_in"], b = golden["b"], W_out = golden["W_out"];
    test::ReferenceAdam adam_in(W_in.rows(), W_in.cols()), adam_b(1, b.cols()), adam_out(W_out.rows(), W_out.cols());
    for (int step = 0; step < 5; ++step) {
      DsmParameters gradient;
      backend->dsm_gradient(p, level, {x, xi}, gradient);
      adam_in.step(W_in, test::to_double(gradient.W_in), 5e-4, 1e-2, amsgrad);
      adam_b.step(b, test::to_double(gradient.b), 5e-4, 1e-2, amsgrad);
      adam_out.step(W_out, test::to_double(gradient.V), 5e-4, 1e-2, amsgrad);
      p.W_in = test::to_float(W_in);
      p.b = test::to_float(b);
      p.V = test::to_float(W_out);
    }
    // A step is lr g/|g|: an error of g matters relative to |g| (decay included), and never more than two steps' worth.
    const auto check = [&](const Array& found, const std::string& name, const Array& gradient, const Array& magnitude) {
      const Array initial = golden[name], g = gradient + 1e-2 * initial, dg = bound(magnitude);
      const Array tolerance = test::zip(g, dg, [](double value, double error) {
        return 1e-9 + 5.0 * 5e-4 * std::min(2.0, 4.0 * error / std::abs(value));
      });
      test::expect_within(found, golden[(amsgrad ? "amsgrad_" : "adam_") + name], tolerance, name);
    };
    check(W_in, "W_in", exact_gradient.dW_in, m.dW_in);
    check(b, "b", exact_gradient.db, m.db);
    check(W_out, "W_out", exact_gradient.dW_out, m.dW_out);
  }
}

TEST_P(GoldenTest, PseudoInverse) {
  const Array expected = golden["P"];
  const Matrix<float> P = pseudo_inverse(test::to_float(golden["W_out"]));
  // P depends on W_out, rounded to float32, through its inverse: |dP| <= about cond |P| |dW_out| / |W_out|, cond < 4
  // here
  double largest = 0.0;
  for (std::int64_t i = 0; i < expected.size(); ++i) largest = std::max(largest, std::abs(expected.data()[i]));
  test::expect_within(test::to_double(P), expected,
                      test::map(expected, [&](double) { return 32.0 * test::unit_roundoff * largest; }), "P");
}

// The noise of a step is the caller's business only in these vectors, so it is added here; the drift is the backend's.
TEST_P(GoldenTest, ReservoirStep) {
  const SamplingNetwork network = golden.reservoir_network();
  const RunnableNetwork runnable(network);
  const double dt = golden.number("dt");
  Matrix<float> r = test::to_float(golden["r"]);
  const Matrix<float> P = pseudo_inverse(network.W_out);
  Matrix<float> x(r.rows(), network.n_outputs);
  std::vector<std::int64_t> first_bad(static_cast<std::size_t>(r.rows()), -1);

  LangevinSteps steps;
  steps.dt = static_cast<float>(dt);
  steps.noise_scale = 0.0f;
  steps.n_steps = 1;
  backend->advance_reservoir(*backend->prepare(runnable.view()), steps,
                             {.chains = {.x = x, .first_bad_step = first_bad.data()}, .r = r, .P = P});
  const Array noise = std::sqrt(2.0 * dt) * test::dot(golden["xi"], test::transpose(test::to_double(P)));
  const Array found = test::to_double(r) + noise;

  const auto size = [](const Array& a) { return test::absolute(a); };
  const Array out = test::transpose(size(golden["W_out"]));
  const Array u = test::plus_row(test::dot(test::dot(size(golden["r"]), out), test::transpose(size(golden["W_in"]))),
                                 size(golden["b"]));
  const Array magnitude = size(golden["r"]) + dt * u + size(noise);
  test::expect_within(found, golden["r_next"], bound(magnitude), "r_next");
  test::expect_within(test::dot(found, test::transpose(test::to_double(network.W_out))), golden["x_next"],
                      bound(test::dot(magnitude, out)), "x_next");
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenTest, testing::ValuesIn(test::golden_cases),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace tarn
