// Gradients of the sampler-only networks against finite differences in double, and the rows they are made of.
#include "tarn/models/sampler_only_dsm.hpp"

#include <gtest/gtest.h>

#include "models/reference.hpp"

namespace tarn {
namespace {

using test::Array;
using test::normals;
using test::Reference;

constexpr std::int64_t n_rows = 11;

SamplingNetwork network_of(ModelKind kind, Nonlinearity phi, std::int64_t D) {
  SamplingNetwork network;
  network.kind = kind;
  network.phi = phi;
  network.n_outputs = D;
  network.W_in = normals(D, D, 1, 0.7f);
  network.b = normals(1, D, 2, 0.5f);
  network.gamma = normals(1, D, 3, 1.3f);
  network.S = normals(D, D, 4, 0.8f);
  return network;
}

test::SamplerOnlyArrays arrays_of(const SamplingNetwork& network) {
  return {test::to_double(network.W_in), test::to_double(network.b), test::to_double(network.gamma),
          test::to_double(network.S)};
}

struct Case {
  ModelKind kind;
  Nonlinearity phi;
};

class SamplerOnlyDsm : public testing::TestWithParam<Case> {};

TEST_P(SamplerOnlyDsm, GradientsAreThoseOfTheLoss) {
  const ModelKind kind = GetParam().kind;
  const Nonlinearity phi = GetParam().phi;
  for (const std::int64_t D : {1, 3}) {
    const SamplingNetwork network = network_of(kind, phi, D);
    const Matrix<float> x = normals(n_rows, D, 5), xi = normals(n_rows, D, 6);
    DsmLevel level;
    level.sigma = 0.4;
    level.loss_scale = 2.5;
    SamplerOnlyGradient gradient;
    const DsmLoss loss = sampler_only_gradient(network, level, {x, xi}, gradient);

    const test::ReferenceMath exact(phi);
    const test::ReferenceBatch batch{test::to_double(x), test::to_double(xi), level.sigma};
    const test::SamplerOnlyArrays at = arrays_of(network);
    const Reference reference = exact.sampler_only(kind, at, batch);
    EXPECT_NEAR(loss.loss, reference.loss, 1e-5 * reference.loss);
    EXPECT_NEAR(loss.excess, reference.excess, 1e-5 * reference.loss);
    EXPECT_EQ(loss.gradient_norm, 0.0);

    // Central differences of the float64 loss, h = 1e-6: truncation and cancellation both below 1e-8 of the loss. What
    // is left is float32 rounding of points, targets, activations and the result.
    const auto check = [&](Array test::SamplerOnlyArrays::*field, const Matrix<float>& found, const char* name) {
      for (std::int64_t i = 0; i < found.size(); ++i) {
        test::SamplerOnlyArrays up = at, down = at;
        (up.*field).data()[i] += 1e-6;
        (down.*field).data()[i] -= 1e-6;
        const double slope =
            (exact.sampler_only(kind, up, batch).loss - exact.sampler_only(kind, down, batch).loss) / 2e-6;
        EXPECT_NEAR(found.data()[i], level.loss_scale * slope, 1e-5 * (std::abs(slope) + reference.loss))
            << name << " " << i << ", D = " << D;
      }
    };
    check(&test::SamplerOnlyArrays::W, gradient.W, "W");
    check(&test::SamplerOnlyArrays::b, gradient.b, "b");
    check(&test::SamplerOnlyArrays::gamma, gradient.gamma, "gamma");
    check(&test::SamplerOnlyArrays::S, gradient.S, "S");
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const ModelKind kind : {ModelKind::sampler_only_sc, ModelKind::sampler_only_fr}) {
    for (std::size_t i = 0; i < nonlinearity_names.size(); ++i) cases.push_back({kind, static_cast<Nonlinearity>(i)});
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(All, SamplerOnlyDsm, testing::ValuesIn(all_cases()), [](const auto& tested) {
  return std::string(name_of(tested.param.kind)) + "_" + std::string(name_of(tested.param.phi));
});

// One datum and one confinement point: the sum of two losses, each with its own scale and weight.
TEST(SamplerOnlyRows, ConfinementPointsHaveTheirOwnScaleAndStayOutOfTheLoss) {
  const SamplingNetwork network = network_of(ModelKind::sampler_only_fr, Nonlinearity::tanh, 2);
  const Matrix<float> points = normals(2, 2, 7), targets = normals(2, 2, 8);
  const float scale[] = {1.0f, 0.25f};
  constexpr double loss_scale = 3.0;
  SamplerOnlyGradients gradients;
  SamplerOnlyGradient both;
  const DsmLoss loss = gradients(network, {points, targets, scale, 1, loss_scale}, both);

  const test::ReferenceMath exact(Nonlinearity::tanh);
  // `1/2 |c s + t|^2 = c^2/2 |s + t/c|^2`: with sigma = 1 and noise t/c at a point x~ = y, data x = y - t/c
  const auto alone = [&](std::int64_t i, double c) {
    Array y = test::to_double(points.view().slice(i, i + 1)), t = test::to_double(targets.view().slice(i, i + 1));
    t = (1.0 / c) * t;
    return exact.sampler_only(network.kind, arrays_of(network), {y - t, t, 1.0});
  };
  const Reference datum = alone(0, 1.0), confinement = alone(1, 0.25);
  EXPECT_NEAR(loss.loss, datum.loss, 1e-5 * datum.loss);
  const Array expected = loss_scale * datum.dS + 0.0625 * confinement.dS;
  test::expect_within(test::to_double(both.S), expected,
                      test::map(expected, [](double v) { return 1e-5 * (1.0 + std::abs(v)); }), "dS");
}

TEST(SamplerOnlyRows, WhatDoesNotFitIsRefused) {
  const SamplingNetwork network = network_of(ModelKind::sampler_only_sc, Nonlinearity::relu, 2);
  const Matrix<float> x = normals(3, 2, 9), narrow = normals(3, 1, 9);
  SamplerOnlyGradient gradient;
  EXPECT_THROW(sampler_only_gradient(network, {}, {narrow, narrow}, gradient), Error);
  EXPECT_THROW(sampler_only_gradient(network, {}, {x, narrow}, gradient), Error);
  DsmLevel scaled;
  scaled.output_scale = 4.0;
  EXPECT_THROW(sampler_only_gradient(network, scaled, {x, x}, gradient), Error);
  SamplingNetwork reservoir = network;
  reservoir.kind = ModelKind::reservoir_sampler;
  EXPECT_THROW(sampler_only_gradient(reservoir, {}, {x, x}, gradient), Error);
}

// A weight that ran off must show itself.
TEST(SamplerOnlyRows, NanReachesTheLoss) {
  for (const ModelKind kind : {ModelKind::sampler_only_sc, ModelKind::sampler_only_fr}) {
    SamplingNetwork network = network_of(kind, Nonlinearity::relu, 2);
    network.gamma(0, 1) = NAN;
    const Matrix<float> x = normals(3, 2, 9);
    SamplerOnlyGradient gradient;
    EXPECT_TRUE(std::isnan(sampler_only_gradient(network, {}, {x, x}, gradient).loss));
  }
}

}  // namespace
}  // namespace tarn
